// What was tried for one layer of a refit, and which of it is taken: the one with the least error on images held out.
import type { Replacement } from "./replacement.js";

/** What a layer took: its factors as they were, those with a new bias, new factors, or those fitted through the ReLU. */
export type Took = "symmetric" | "bias" | "refit" | "activation";

export interface RefitOutcome {
  readonly layer: string;
  readonly took: Took;
  /** Why nothing was tried. */
  readonly reason?: string;
  /**
   * Errors of the output on images held out, of all that was tried, by its variance; of a dense layer by the variance of what
   * its output lacks.
   */
  readonly errors: Readonly<Partial<Record<Took, number>>>;
}

export class Tries {
  readonly #layer: string;
  readonly #errorOf: (one: Replacement) => number;
  readonly #tried: { readonly took: Took; readonly error: number; readonly result: () => Replacement }[] = [];

  constructor(layer: string, errorOf: (one: Replacement) => number) {
    this.#layer = layer;
    this.#errorOf = errorOf;
  }

  /** @param judged fitted without the images held out @param result what is taken then, fitted to all */
  add(took: Took, judged: Replacement, result: () => Replacement): void {
    this.#tried.push({ took, error: this.#errorOf(judged), result });
  }

  /** Of equal errors the first counts. */
  best(): { readonly replacement: Replacement; readonly outcome: RefitOutcome } {
    const { took, result } = this.#tried.reduce((a, b) => (b.error < a.error ? b : a));
    const errors = Object.fromEntries(this.#tried.map((one) => [one.took, one.error]));
    return { replacement: result(), outcome: { layer: this.#layer, took, errors } };
  }
}
