// Tucker-2 of every block of clustered filters (Denton et al., 2014): of a block [n / H, c / G, kh kw] the truncated
// SVD over the filters, K1 of them, then of what that leaves over the channels, K2 of them (the HOSVD in the order
// filters, channels). Written as a grouped 1x1, a grouped kh x kw with one group a block, and a grouped 1x1. G = H = 1
// is Tucker-2.
import { type LinearAlgebra, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { blockOf, blockOrders, type Clusters } from "./blocks.js";
import { type Candidate, type Factors, type LayerShape, makeFactors } from "./factors.js";

export const biclusteredCandidate = (clusters: Clusters, ranks: readonly [k2: number, k1: number]): Candidate => ({
  family: "biclustered",
  ranks,
  clusters: clusters.counts,
  ...blockOrders(clusters, ranks[1]),
});

/** @param weights W [n x c kh kw] */
export function biclustered(
  weights: Matrix,
  shape: LayerShape,
  clusters: Clusters,
  ranks: readonly [k2: number, k1: number],
  linear: LinearAlgebra,
): Factors {
  const { n, c, kernel } = shape;
  const [[g, h], [k2, k1]] = [clusters.counts, ranks];
  const [width, height, area] = [c / g, n / h, kernel[0] * kernel[1]];
  const into = new Float64Array(g * h * k2 * width);
  const core = new Float64Array(g * h * k1 * k2 * area);
  const out = new Float64Array(n * g * k1);
  for (let from = 0; from < g; from++)
    for (let to = 0; to < h; to++) {
      const block = blockOf(weights, shape, clusters, from, to);
      const { coefficients, basis } = spectrum(block, linear).lowRank(k1); // [height x k1], [k1 x width area]
      const inner = spectrum(channelsFirst(basis, width, area), linear).lowRank(k2); // [width x k2], [k2 x k1 area]
      const at = from * h + to;
      into.set(transpose(inner.coefficients).data, at * k2 * width);
      core.set(channelsFirst(inner.basis, k1, area).data, at * k1 * k2 * area); // -> [k1 x k2 area]
      for (let o = 0; o < height; o++)
        for (let k = 0; k < k1; k++) out[((to * height + o) * g + from) * k1 + k] = coefficients.data[o * k1 + k]!;
    }
  return makeFactors(biclusteredCandidate(clusters, ranks), shape, [into, core, out]);
}

/** [a x b t] -> [b x a t] */
function channelsFirst({ rows, data }: Matrix, inner: number, area: number): Matrix {
  const out = matrix(inner, rows * area);
  for (let a = 0; a < rows; a++)
    for (let b = 0; b < inner; b++)
      out.data.set(data.subarray((a * inner + b) * area, (a * inner + b + 1) * area), (b * rows + a) * area);
  return out;
}
