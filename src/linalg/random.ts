// A seeded generator of random numbers, the same on every machine: xoshiro128** (Blackman and Vigna, 2018), seeded by
// splitmix32.
import { FilterBasisError } from "../errors/error.js";

/** What a generator needs to continue: four words, and the spare normal deviate (Box-Muller makes two at a time). */
export interface RandomState {
  readonly words: readonly [number, number, number, number];
  readonly spare: number | null;
}

/**
 * A seeded stream of numbers. `new Random(7)` gives the same stream everywhere; `state` is plain data, so a stream
 * can be stored and resumed.
 */
export class Random {
  #words: Uint32Array;
  #spare: number | null = null;

  /** Any finite number or text is a seed; a number and its decimal text are different seeds. */
  constructor(seed: number | string) {
    let word = typeof seed === "string" ? hash(seed) : (seed ^ Math.floor(seed / 0x1_0000_0000)) >>> 0;
    this.#words = Uint32Array.from({ length: 4 }, () => {
      word = (word + 0x9e3779b9) >>> 0;
      return mix(word);
    });
    if (this.#words.every((part) => part === 0)) this.#words[0] = 1; // the one state that xoshiro never leaves
  }

  /** The next 32 random bits. */
  bits(): number {
    const words = this.#words as Uint32Array & { 0: number; 1: number; 2: number; 3: number };
    const result = Math.imul(rotate(Math.imul(words[1], 5), 7), 9) >>> 0;
    const shifted = words[1] << 9;
    words[2] ^= words[0];
    words[3] ^= words[1];
    words[1] ^= words[2];
    words[0] ^= words[3];
    words[2] ^= shifted;
    words[3] = rotate(words[3], 11);
    return result;
  }

  /** Uniform on [0, 1), with 53 random bits. */
  next(): number {
    const high = this.bits() >>> 5; // 27 bits
    const low = this.bits() >>> 6; // 26 bits
    return (high * 0x400_0000 + low) / 0x20_0000_0000_0000;
  }

  /** Uniform on 0 .. n - 1 without bias; n from 1 to 2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x1_0000_0000)
      throw new FilterBasisError("usage", "a random integer needs a whole number of choices", {
        expected: "1 .. 2^32",
        got: String(n),
      });
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    for (;;) {
      const bits = this.bits();
      if (bits < limit) return bits % n;
    }
  }

  /** Normal with mean 0 and standard deviation 1 (Box-Muller). */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  get state(): RandomState {
    const [a = 0, b = 0, c = 0, d = 0] = this.#words;
    return { words: [a, b, c, d], spare: this.#spare };
  }

  set state({ words, spare }: RandomState) {
    const valid =
      Array.isArray(words) &&
      words.length === 4 &&
      words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffffffff) &&
      words.some((word) => word !== 0) &&
      (spare === null || Number.isFinite(spare));
    if (!valid)
      throw new FilterBasisError("malformed", "this is not the state of a random generator", {
        expected: "four 32-bit words, not all 0, and a number or null",
        got: JSON.stringify({ words, spare }),
      });
    this.#words = Uint32Array.from(words);
    this.#spare = spare;
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** The finalizer of splitmix32. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** FNV-1a, 32 bits, of the UTF-16 code units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
