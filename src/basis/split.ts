// Into how many splits the input channels of a convolution go, and what that costs (paper, Eq. 4 to 7). n filters, c
// input channels, `kernelElements` = h * w kernel positions, s splits of p = c / s channels, m basis filters.
import { FilterBasisError } from "../errors/error.js";

/** The sizes of a convolution that the counts need. */
export interface FilterShape {
  /** n */
  readonly outChannels: number;
  /** c */
  readonly inChannels: number;
  /** h * w: the number of positions of the kernel. */
  readonly kernelElements: number;
}

/** All divisors, ascending. */
export function divisors(value: number): readonly number[] {
  const low: number[] = [];
  const high: number[] = [];
  for (let i = 1; i * i <= value; i++) {
    if (value % i !== 0) continue;
    low.push(i);
    if (i * i !== value) high.unshift(value / i);
  }
  return [...low, ...high];
}

/**
 * The divisor of `value` nearest to `wanted` by ratio (splits of 3 lie nearer to 4 than to 2); of two equally near the
 * smaller.
 */
export function nearestDivisor(value: number, wanted: number): number {
  let best = 1;
  for (const divisor of divisors(value)) {
    if (Math.abs(Math.log(divisor / wanted)) < Math.abs(Math.log(best / wanted)) - 1e-12) best = divisor;
  }
  return best;
}

/** Eq. 7: s* = sqrt(c h w / n), the split with the least rate for every basis size; a real number. */
export function optimalSplits({ outChannels, inChannels, kernelElements }: FilterShape): number {
  return Math.sqrt((inChannels * kernelElements) / outChannels);
}

/** Eq. 7 moved to a divisor of c: of the divisors around s*, the one with the lesser rate. */
export function bestSplits(shape: FilterShape): number {
  return divisors(shape.inChannels).reduce((best, s) => (rate(shape, s, 1) < rate(shape, best, 1) - 1e-15 ? s : best));
}

/** m p h w + n m s: the weights of a basis of m filters and its coefficients. */
export function basisWeights(
  { outChannels, inChannels, kernelElements }: FilterShape,
  splits: number,
  basis: number,
): number {
  return (basis * inChannels * kernelElements) / splits + outChannels * basis * splits;
}

/** m c h w + n m s: multiply-accumulates for each output position. */
export function basisMacs(
  { outChannels, inChannels, kernelElements }: FilterShape,
  splits: number,
  basis: number,
): number {
  return basis * inChannels * kernelElements + outChannels * basis * splits;
}

/** n c h w: the original's weights, and its multiply-accumulates for each output position. */
export function denseWeights({ outChannels, inChannels, kernelElements }: FilterShape): number {
  return outChannels * inChannels * kernelElements;
}

/**
 * Eq. 6: m / (n s) + m / (p h w), of which Eq. 4 is s = 1 and Eq. 5 is s = c.
 * @example
 * ```ts
 * import { bestSplits, optimalSplits, rate } from "filterbasis";
 *
 * const layer = { outChannels: 128, inChannels: 64, kernelElements: 9 };
 * const splits = bestSplits(layer);
 * console.log(optimalSplits(layer), splits, rate(layer, splits, 32));
 * ```
 */
export function rate(shape: FilterShape, splits: number, basis: number): number {
  return basisWeights(shape, splits, basis) / denseWeights(shape);
}

/** The rank beyond which more basis filters add nothing: min(n s, p h w). */
export function fullRank({ outChannels, inChannels, kernelElements }: FilterShape, splits: number): number {
  return Math.min(outChannels * splits, (inChannels / splits) * kernelElements);
}

export interface Splits {
  readonly splits: number;
  /** Set where the number asked for does not divide the channels and another was taken. */
  readonly note?: string;
}

/** The splits asked for, or the nearest divisor of the channels with a note that says so. */
export function chooseSplits(inChannels: number, wanted: number): Splits {
  if (!Number.isInteger(wanted) || wanted < 1) {
    throw new FilterBasisError("invalid-plan", "the number of splits must be a whole number", {
      expected: "1 or more",
      got: `${wanted}`,
    });
  }
  if (inChannels % wanted === 0) return { splits: wanted };
  const splits = nearestDivisor(inChannels, wanted);
  return {
    splits,
    note: `${splits} splits instead of ${wanted}, the nearest divisor of its ${inChannels} input channels`,
  };
}

export function greatestCommonDivisor(values: readonly number[]): number {
  return values.reduce((a, b) => {
    while (b > 0) [a, b] = [b, a % b];
    return a;
  }, 0);
}

/** Which channels of the basis a narrower layer reads. */
export type SliceEnd = "first" | "last";

/** Where the slice of `part` channels begins in a basis of `whole`. */
export function sliceStart(whole: number, part: number, end: SliceEnd): number {
  return end === "first" ? 0 : whole - part;
}
