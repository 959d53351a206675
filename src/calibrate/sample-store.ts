// Samples of one layer that are kept while its factors are fitted several times.

/** Samples of a batch: x [rows x d], the target y [rows x n], the shortcut s [rows x n] that is added to the output. */
export interface Kept {
  readonly rows: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly s: Float32Array | undefined;
  readonly held: boolean;
}

/** Numbers that are kept at most: 512 MB. */
const most = 2 ** 27;

export class SampleStore {
  readonly inputs: number;
  readonly outputs: number;
  readonly #kept: Kept[] = [];
  #numbers = 0;

  constructor(inputs: number, outputs: number) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /** Keeps copies, as long as there is room: of many images the first ones. */
  add(rows: number, x: Float32Array, y: Float32Array, s: Float32Array | undefined, held: boolean): void {
    this.#numbers += x.length + 3 * y.length;
    if (this.#numbers > most) return;
    this.#kept.push({ rows, x: x.slice(), y: y.slice(), s: s?.slice(), held });
  }

  get kept(): readonly Kept[] {
    return this.#kept;
  }
}
