// The ways to write a layer that a method has: a line of candidates of growing cost, by one number k (a rank, or the
// number of terms).
import { type Candidate, type Factors, macsOf, weightsOf } from "../basis/factors.js";
import type { ChainLayer } from "./chain-layers.js";

export interface Line {
  /** k of full rank: beyond it nothing more is kept. */
  readonly most: number;
  at(k: number): Candidate;
  /** The share of the filters' squared norm that is lost; absent where only decomposing tells. */
  lost?(k: number): number;
  factors(k: number): Factors;
}

export type Price = "weights" | "macs";

/** Of a layer written so; multiply-accumulates over all its nodes, 0 where shapes are not known. */
export function priceOf({ shape, extents = [] }: ChainLayer, candidate: Candidate, price: Price): number {
  if (price === "weights") return weightsOf(candidate, shape);
  return extents.reduce((sum, { images, input, output }) => sum + images * macsOf(candidate, shape, output, input), 0);
}

export const densePrice = (layer: ChainLayer, price: Price): number =>
  priceOf(layer, { family: "dense", ranks: [] }, price);

/** The largest k whose cost stays within a limit; 0 where none does. */
export function largestWithin(layer: ChainLayer, { most, at }: Line, limit: number, price: Price): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (priceOf(layer, at(middle), price) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
