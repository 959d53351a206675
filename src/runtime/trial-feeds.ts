// Inputs for comparing two models: of several kinds, since what moves the outputs of one network leaves another's at
// rest (a detector that sees noise finds nothing, a network for bytes sees darkness in 0..1).
import { elements } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { type SampleOptions, sampleFeeds, sampleShape } from "./samples.js";
import type { Feeds, Port } from "./session.js";

/** In the order in which they are tried; the first ones differ most. "Smooth" and "blocks" are in the last two axes. */
export const feedKinds = [
  "uniform 0..1",
  "normal",
  "smooth 0..255",
  "blocks 0..1",
  "uniform 0..255",
  "smooth 0..1",
  "blocks 0..255",
  "smooth -2..2",
] as const;
export type FeedKind = (typeof feedKinds)[number];

export interface TrialOptions extends SampleOptions {
  /** Values of inputs by name, used as they are. */
  readonly values?: ReadonlyMap<string, TensorData>;
}

/**
 * Seeded inputs of one kind. Floats, and bytes with three axes or more (images), are filled by the kind; other integers
 * and flags as `sampleFeeds` does, unless `values` states them.
 */
export function trialFeeds(inputs: readonly Port[], kind: FeedKind, { values, ...options }: TrialOptions = {}): Feeds {
  const random = new Random(`${kind}/${options.seed ?? 0}`);
  const free = inputs.filter(({ name }) => !values?.has(name));
  const plain = sampleFeeds(free, options);
  const feeds: Record<string, TensorData> = {};
  for (const port of inputs) {
    const given = values?.get(port.name);
    const dims = given?.dims ?? sampleShape(port, options);
    if (given !== undefined) feeds[port.name] = given;
    else if (isFloat(port.type)) feeds[port.name] = tensorOf(port.type, dims, fill(kind, dims, random));
    else if (isImage(port.type, dims))
      feeds[port.name] = tensorOf(port.type, dims, asBytes(fill(kind, dims, random), kind));
    else feeds[port.name] = plain[port.name]!;
  }
  return feeds;
}

const isImage = (type: DataType, dims: readonly number[]): boolean => type === "uint8" && dims.length >= 3;

/** The numbers on 0..255, whatever range the kind has. */
function asBytes(values: Float32Array, kind: FeedKind): Uint8Array {
  const [low, high] = rangeOf(kind);
  return Uint8Array.from(values, (value) => Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low)))));
}

function rangeOf(kind: FeedKind): readonly [number, number] {
  if (kind === "normal") return [-3, 3];
  const [low, high] = kind.split(" ")[1]!.split("..").map(Number) as [number, number];
  return [low, high];
}

function fill(kind: FeedKind, dims: readonly number[], random: Random): Float32Array {
  const count = elements(dims);
  if (kind === "normal") return Float32Array.from({ length: count }, () => random.normal());
  const [low, high] = rangeOf(kind);
  const made = kind.startsWith("uniform")
    ? Float32Array.from({ length: count }, () => random.next())
    : planes(dims, kind.startsWith("smooth") ? smooth : blocks, random);
  return made.map((value) => low + (high - low) * value);
}

type Plane = (height: number, width: number, random: Random) => (y: number, x: number) => number;

/** Every plane [height, width] of the tensor filled by itself; a vector is one row. */
function planes(dims: readonly number[], plane: Plane, random: Random): Float32Array {
  const [height, width] = [dims.at(-2) ?? 1, dims.at(-1) ?? 1];
  const values = new Float32Array(elements(dims));
  for (let start = 0; start < values.length; start += height * width) {
    const at = plane(height, width, random);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) values[start + y * width + x] = at(y, x);
  }
  return values;
}

/** Bilinear between random heights on a coarse grid, and a little grain, as photographs have. */
const smooth: Plane = (height, width, random) => {
  const grid = 6;
  const nodes = Float32Array.from({ length: (grid + 1) ** 2 }, () => random.next());
  const between = (a: number, b: number, share: number): number => a + (b - a) * share;
  return (y, x) => {
    const [v, u] = [(grid * y) / height, (grid * x) / width];
    const [row, column] = [Math.floor(v), Math.floor(u)];
    const node = (i: number, j: number): number => nodes[(row + i) * (grid + 1) + column + j]!;
    const value = between(
      between(node(0, 0), node(0, 1), u - column),
      between(node(1, 0), node(1, 1), u - column),
      v - row,
    );
    return Math.min(1, Math.max(0, value + 0.02 * (random.next() - 0.5)));
  };
};

/** Dark rectangles on a bright ground: edges, and regions as large as objects or as small as letters. */
const blocks: Plane = (height, width, random) => {
  const values = new Float32Array(height * width).fill(1);
  for (let i = 0; i < 40; i++) {
    const [top, left] = [Math.floor(random.next() * height), Math.floor(random.next() * width)];
    const [bottom, right] = [top + 1 + (random.next() * height) / 8, left + 1 + (random.next() * width) / 8];
    const shade = random.next() / 2;
    for (let y = top; y < Math.min(height, bottom); y++)
      values.fill(shade, y * width + left, y * width + Math.min(width, Math.ceil(right)));
  }
  return (y, x) => values[y * width + x]!;
};
