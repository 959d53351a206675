// What was tried for one layer of a refit, and which of it is taken: new factors where they have a lower error on
// images held out than the factors that were there, else those with the better of the two biases.
import type { Replacement } from "./replacement.js";

/**
 * What a layer took: its factors as they were, those with a new bias, new factors, or those fitted through the ReLU.
 */
export type Took = "symmetric" | "bias" | "refit" | "activation";

export interface RefitOutcome {
  readonly layer: string;
  readonly took: Took;
  /** Of the refit that was taken. */
  readonly ridge?: number;
  /** Why nothing was tried. */
  readonly reason?: string;
  /**
   * Errors of the output on images held out, of all that was tried, by its variance; of a dense layer by the variance
   * of what its output lacks.
   */
  readonly errors: Readonly<Partial<Record<Took, number>>>;
}

/** One way to write the layer. */
export interface Tried {
  readonly took: Took;
  /** On images held out, fitted without them. */
  readonly error: number;
  /** Of a refit. */
  readonly ridge?: number;
  /** What is taken then, fitted to all images. */
  readonly result: () => Replacement;
}

/**
 * What is taken. New factors need not beat the old ones with a new bias: what they give up at this layer, they give up
 * for what the layers before have lost, and the network gains by it.
 */
export function best(
  layer: string,
  tried: readonly Tried[],
): { readonly replacement: Replacement; readonly outcome: RefitOutcome } {
  const least = (some: readonly Tried[]): Tried => some.reduce((a, b) => (b.error < a.error ? b : a));
  const refits = tried.filter(({ took }) => took === "refit");
  const others = tried.filter(({ took }) => took !== "refit");
  const before = others.find(({ took }) => took === "symmetric")!;
  const taken = refits.length > 0 && least(refits).error < before.error ? least(refits) : least(others);
  const errors: Partial<Record<Took, number>> = {};
  for (const { took, error } of tried) errors[took] = Math.min(error, errors[took] ?? Number.POSITIVE_INFINITY);
  const { took, ridge } = taken;
  return { replacement: taken.result(), outcome: { layer, took, ...(ridge === undefined ? {} : { ridge }), errors } };
}
