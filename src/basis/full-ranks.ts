// The full ranks of a family of factors: those at which it is the original, where it can be.
import type { Candidate, LayerShape } from "./factors.js";

/** The ranks beyond which more of them add nothing; the second for the first that the candidate has. */
export function fullRanks(
  { family, splits = 1, ranks, clusters = [1, 1] }: Candidate,
  { n, c, kernel: [kh, kw] }: LayerShape,
): readonly number[] {
  const [r1 = 1] = ranks;
  switch (family) {
    case "dense":
      return [];
    case "one-split":
    case "low-rank":
    case "own-bases":
      return [Math.min(n, (c / splits) * kh * kw)];
    case "shared-bases":
      return [Math.min(n * splits, (c / splits) * kh * kw)];
    case "tucker-2":
      return [Math.min(c, n * kh * kw), Math.min(n, r1 * kh * kw)];
    case "separable":
      return [Math.min(c * kh, n * kw)];
    case "separable-pointwise":
      return [Math.min(c * kh, n * kw), Math.min(n, r1 * kw)];
    case "channel-separable":
    case "shared-separable":
      return [kh * kw];
    case "cp":
      return [Math.min(n, c) * kh * kw];
    case "biclustered":
      return [Math.min(c / clusters[0], (n / clusters[1]) * kh * kw), Math.min(n / clusters[1], r1 * kh * kw)];
    case "outer-product":
      return [(c / clusters[0]) * (n / clusters[1])];
    case "monochromatic":
      return [n];
  }
}
