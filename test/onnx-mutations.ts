// Seeded damage to ONNX files: what disks, networks and attackers do to bytes.

import { Cursor, wire } from "../src/formats/onnx/wire.js";
import type { Random } from "../src/linalg/random.js";

/** Payloads longer than this are weights: most damage is done outside of them, where it matters. */
const longRun = 4096;

/** Byte positions that are not inside of weights, and those where a length or number of the wire format stands. */
export interface Layout {
  readonly structure: readonly (readonly [from: number, to: number])[];
  readonly numbers: readonly number[];
  /** Where varints that are values begin. */
  readonly values: readonly number[];
}

/** Finds the structure of a well-formed file by walking whatever looks like messages. */
export function layoutOf(bytes: Uint8Array): Layout {
  const structure: [number, number][] = [];
  const numbers: number[] = [];
  const values: number[] = [];
  const walk = (from: number, to: number, depth: number): void => {
    for (const cursor = new Cursor(bytes, from, to); cursor.next(); ) {
      structure.push([cursor.start, Math.min(cursor.to, cursor.from + 64)]);
      numbers.push(cursor.start, cursor.type === wire.bytes ? cursor.from - 1 : cursor.from);
      if (cursor.type === wire.varint) values.push(cursor.from);
      if (
        cursor.type === wire.bytes &&
        depth < 12 &&
        cursor.to - cursor.from > 1 &&
        isMessage(bytes, cursor.from, cursor.to)
      ) {
        walk(cursor.from, cursor.to, depth + 1);
      }
    }
  };
  walk(0, bytes.length, 0);
  return { structure, numbers, values };
}

function isMessage(bytes: Uint8Array, from: number, to: number): boolean {
  try {
    let fields = 0;
    for (const cursor = new Cursor(bytes, from, to); cursor.next(); fields++) {
      if (cursor.no > 40) return false;
      if (cursor.type === wire.bytes && cursor.to - cursor.from > longRun && fields > 64) return true;
    }
    return true;
  } catch {
    return false;
  }
}

type Mutation = (bytes: Uint8Array, layout: Layout, random: Random, other: Uint8Array) => Uint8Array;

const pick = <T>(random: Random, list: readonly T[]): T => list[random.int(list.length)] as T;

function position(bytes: Uint8Array, { structure }: Layout, random: Random): number {
  if (structure.length === 0 || random.next() < 0.1) return random.int(bytes.length);
  const [from, to] = pick(random, structure);
  return Math.min(bytes.length - 1, from + random.int(Math.max(1, to - from)));
}

function replace(bytes: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array {
  const made = new Uint8Array(bytes.length - (to - from) + by.length);
  made.set(bytes.subarray(0, from));
  made.set(by, from);
  made.set(bytes.subarray(to), from + by.length);
  return made;
}

function range(bytes: Uint8Array, layout: Layout, random: Random): [number, number] {
  const from = position(bytes, layout, random);
  return [from, Math.min(bytes.length, from + 1 + random.int(2 ** random.int(12)))];
}

/** Numbers that readers get wrong: the ends of types, ten-byte varints, one more than ten bytes. */
const oddNumbers = [
  [0],
  [1],
  [0x7f],
  [0x80, 0x01],
  [0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x00],
  [0xff],
].map((bytes) => Uint8Array.from(bytes));

export const mutations = {
  "flipped bits": (bytes, layout, random) => {
    const made = bytes.slice();
    for (let left = 1 + random.int(4); left > 0; left--) made[position(bytes, layout, random)]! ^= 1 << random.int(8);
    return made;
  },
  "random bytes": (bytes, layout, random) => {
    const made = bytes.slice();
    for (let left = 1 + random.int(8); left > 0; left--) made[position(bytes, layout, random)] = random.int(256);
    return made;
  },
  // These two keep the file well-formed more often, so that the damage reaches what comes after the first look.
  "letters changed": (bytes, layout, random) => {
    const made = bytes.slice();
    for (let left = 1 + random.int(3); left > 0; left--) {
      const at = position(bytes, layout, random);
      if ((made[at] as number) >= 0x21 && (made[at] as number) < 0x7f) made[at] = 0x21 + random.int(0x5e);
    }
    return made;
  },
  "a small number changed": (bytes, layout, random) => {
    const made = bytes.slice();
    if (layout.values.length > 0) made[Math.min(bytes.length - 1, pick(random, layout.values))] = random.int(128);
    return made;
  },
  truncated: (bytes, layout, random) => bytes.slice(0, position(bytes, layout, random)),
  "a piece removed": (bytes, layout, random) => replace(bytes, ...range(bytes, layout, random), new Uint8Array(0)),
  "a piece repeated": (bytes, layout, random) => {
    const [from, to] = range(bytes, layout, random);
    return replace(bytes, from, from, bytes.slice(from, to));
  },
  "a piece of another file": (bytes, layout, random, other) => {
    const from = random.int(other.length);
    const piece = other.slice(from, from + 1 + random.int(2 ** random.int(12)));
    const at = position(bytes, layout, random);
    return replace(bytes, at, random.next() < 0.5 ? at : Math.min(bytes.length, at + piece.length), piece);
  },
  "a wrong number": (bytes, layout, random) => {
    if (layout.numbers.length === 0) return bytes.slice();
    const at = Math.min(bytes.length - 1, pick(random, layout.numbers));
    if (random.next() < 0.5) {
      const made = bytes.slice();
      made[at] = ((made[at] as number) + 1 + random.int(4) - 2 + 256) % 256;
      return made;
    }
    return replace(bytes, at, at + 1, pick(random, oddNumbers));
  },
  "a field moved": (bytes, layout, random) => {
    const [from, to] = pick(random, layout.structure).map((at) => Math.min(at, bytes.length)) as [number, number];
    const piece = bytes.slice(from, to);
    const without = replace(bytes, from, to, new Uint8Array(0));
    const at = Math.min(without.length, pick(random, layout.structure)[0]);
    return replace(without, at, at, piece);
  },
} satisfies Record<string, Mutation>;

export const mutationNames = Object.keys(mutations) as (keyof typeof mutations)[];

/** One to three mutations, one upon the other. */
export function mutate(bytes: Uint8Array, layout: Layout, random: Random, other: Uint8Array): Uint8Array {
  let made = bytes;
  for (let left = random.next() < 0.7 ? 1 : 1 + random.int(3); left > 0; left--) {
    if (made.length > 0) made = mutations[pick(random, mutationNames)](made, layout, random, other);
  }
  return made;
}
