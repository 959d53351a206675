// Samples of one layer that are kept while its factors or its biases are fitted several times.
import { Random } from "../linalg/random.js";

/**
 * Samples of a batch: x [rows x d] (or what the layer makes of it, [rows x n]), the target y [rows x n], the shortcut s
 * [rows x n] that is added to the output.
 */
export interface Kept {
  readonly rows: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly s: Float32Array | undefined;
  readonly held: boolean;
}

export interface StoreOptions {
  /** The samples that will be offered. */
  readonly expected: number;
  /** Of them as many are kept, evenly, as far as there is room. */
  readonly rows: number;
}

/** Numbers that are kept at most: 512 MB. */
const most = 2 ** 27;

export class SampleStore {
  readonly inputs: number;
  readonly outputs: number;
  readonly #every: number;
  readonly #kept: Kept[] = [];
  readonly #random = new Random("samples");
  #offered = 0;

  /** @param inputs - d, or n where x is what the layer makes */
  constructor(inputs: number, outputs: number, { expected, rows }: StoreOptions) {
    this.inputs = inputs;
    this.outputs = outputs;
    const room = Math.max(1, Math.min(rows, Math.floor(most / (inputs + 3 * outputs))));
    this.#every = Math.max(1, Math.ceil(expected / room));
  }

  /** Keeps copies of the rows, or of some of them: one at random of every so many. */
  add(rows: number, x: Float32Array, y: Float32Array, s: Float32Array | undefined, held: boolean): void {
    const before = Math.ceil(this.#offered / this.#every);
    this.#offered += rows;
    const count = Math.ceil(this.#offered / this.#every) - before;
    if (count === 0) return;
    const each = rows / count;
    const places = Array.from({ length: count }, (_, i) => Math.floor((i + this.#random.next()) * each));
    const some = (values: Float32Array, width: number): Float32Array => {
      if (count === rows) return values.slice();
      const taken = new Float32Array(count * width);
      for (const [i, row] of places.entries()) taken.set(values.subarray(row * width, (row + 1) * width), i * width);
      return taken;
    };
    const shortcut = s && some(s, this.outputs);
    this.#kept.push({ rows: count, x: some(x, this.inputs), y: some(y, this.outputs), s: shortcut, held });
  }

  get kept(): readonly Kept[] {
    return this.#kept;
  }
}
