// Ranks by equal quality (Kim et al., 2019). Of a layer with the singular values s_1 >= s_2 >= ..., S(r) = s_1 + ... +
// s_r (not squared) and r_max the rank from which on factors save nothing, y(r) = (S(r) - S(1)) / (S(r_max) - S(1)).
// ENC-Map gives every layer the rank at which y has one value a, linear between ranks, at least 1; a is the largest
// that keeps the budget.

/** Where factors of rank r, r (c kh + n kw) weights, begin to cost what the layer costs: c n kh kw / (c kh + n kw). */
export function encMostRank(n: number, c: number, [kh, kw]: readonly [number, number]): number {
  return Math.max(1, Math.floor((c * n * kh * kw) / (c * kh + n * kw)));
}

/** y(r) for r = 1 .. r_max, at index r - 1. */
export function encQuality(values: ArrayLike<number>, most: number): Float64Array {
  const count = Math.max(1, Math.min(most, values.length));
  const sums = new Float64Array(count);
  let sum = 0;
  for (let r = 0; r < count; r++) sums[r] = sum += values[r]!;
  const [first, last] = [sums[0]!, sums[count - 1]!];
  return sums.map((value) => (last > first ? (value - first) / (last - first) : 1));
}

/** The rank at which y is `level`. */
export function encRank(quality: Float64Array, level: number): number {
  const at = quality.findIndex((value) => value >= level);
  if (at === 0) return 1;
  if (at === -1) return quality.length;
  const [below, above] = [quality[at - 1]!, quality[at]!];
  return Math.max(1, Math.round(at + (level - below) / (above - below)));
}
