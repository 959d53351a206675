// What was tried for one layer of a refit, and which of it is taken: new factors where they have a lower error on images held
// out than the factors that were there, else those with the better of the two biases.
import type { Replacement } from "./replacement.js";

/** What a layer took: its factors as they were, those with a new bias, new factors, or those fitted through the ReLU. */
export type Took = "symmetric" | "bias" | "refit" | "activation";

export interface RefitOutcome {
  readonly layer: string;
  readonly took: Took;
  /** Of the refit that was taken. */
  readonly ridge?: number;
  /** Why nothing was tried. */
  readonly reason?: string;
  /**
   * Errors of the output on images held out, of all that was tried, by its variance; of a dense layer by the variance of what
   * its output lacks.
   */
  readonly errors: Readonly<Partial<Record<Took, number>>>;
}

interface Tried {
  readonly took: Took;
  readonly error: number;
  readonly ridge: number | undefined;
  readonly result: () => Replacement;
}

export class Tries {
  readonly #layer: string;
  readonly #errorOf: (one: Replacement) => number;
  readonly #tried: Tried[] = [];

  constructor(layer: string, errorOf: (one: Replacement) => number) {
    this.#layer = layer;
    this.#errorOf = errorOf;
  }

  /** @param evaluated fitted without the images held out @param result what is taken then, fitted to all */
  add(took: Took, evaluated: Replacement, result: () => Replacement, ridge?: number): void {
    this.#tried.push({ took, error: this.#errorOf(evaluated), ridge, result });
  }

  /**
   * What is taken. New factors need not beat the old ones with a new bias: what they give up at this layer, they give up for
   * what the layers before have lost, and the network gains by it.
   */
  best(): { readonly replacement: Replacement; readonly outcome: RefitOutcome } {
    const least = (some: readonly Tried[]): Tried => some.reduce((a, b) => (b.error < a.error ? b : a));
    const fresh = this.#tried.filter(({ took }) => took === "refit");
    const old = this.#tried.filter(({ took }) => took !== "refit");
    const before = old.find(({ took }) => took === "symmetric")!;
    const best = fresh.length > 0 && least(fresh).error < before.error ? least(fresh) : least(old);
    const errors: Partial<Record<Took, number>> = {};
    for (const { took, error } of this.#tried) errors[took] = Math.min(error, errors[took] ?? Number.POSITIVE_INFINITY);
    const outcome = { layer: this.#layer, took: best.took, ...(best.ridge === undefined ? {} : { ridge: best.ridge }), errors };
    return { replacement: best.result(), outcome };
  }
}
