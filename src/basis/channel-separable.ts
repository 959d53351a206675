// Separable filters of channels (Jaderberg et al., 2014, scheme 1): W[i, j] = sum_m a[i, j, m] S_m with S_m = v_m h_m^T
// of rank 1. The M separable filters are shared by all pairs (i, j) (one CP decomposition of [n c, kh, kw]), or each
// input channel j has its own (one of [n, kh, kw] for each j). Both begin from the truncated SVD of [n c x kh kw] with
// every basis filter cut down to rank 1, as the paper's authors do; then all factors are least squares in turn.
import type { LinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { type CpTerms, cpTerms, type Tensor4 } from "./cp.js";
import { type Factors, type LayerShape, makeFactors } from "./factors.js";

/** @param filters W [n x c kh kw] */
export function channelSeparable(
  filters: Matrix,
  shape: LayerShape,
  rank: number,
  shared: boolean,
  linear: LinearAlgebra,
  seed = 1,
): Factors {
  const { n, c, kernel } = shape;
  const [kh, kw] = kernel;
  const parts = shared ? [filters.data] : channelsOf(filters.data, n, c, kh * kw);
  const rows = shared ? n * c : n;
  const terms = parts.map((values) => {
    const tensor: Tensor4 = { dims: [rows, 1, kh, kw], values };
    return cpTerms(tensor, rank, linear, { seed, start: rankOneStart(tensor, rank, linear) });
  });
  const vertical = new Float64Array(c * rank * kh);
  const horizontal = new Float64Array(c * rank * kw);
  const coefficients = new Float64Array(n * c * rank);
  for (let j = 0; j < c; j++) {
    const { a, b, y, x } = terms[shared ? 0 : j]!;
    for (let m = 0; m < rank; m++) {
      for (let t = 0; t < kh; t++) vertical[(j * rank + m) * kh + t] = y.data[t * rank + m]!;
      for (let t = 0; t < kw; t++) horizontal[(j * rank + m) * kw + t] = x.data[t * rank + m]!;
      for (let i = 0; i < n; i++)
        coefficients[(i * c + j) * rank + m] = a.data[(shared ? i * c + j : i) * rank + m]! * b.data[m]!;
    }
  }
  const family = shared ? "shared-separable" : "channel-separable";
  const all = squaredNorm(filters.data);
  const lost = terms.reduce((sum, one, i) => sum + one.lost * squaredNorm(parts[i]!), 0);
  return makeFactors({ family, ranks: [rank] }, shape, [vertical, horizontal, coefficients], {
    error: all > 0 ? lost / all : 0,
  });
}

/** W[:, j] of every channel: [n, kh kw]. */
function channelsOf(values: Float64Array, n: number, c: number, elements: number): Float64Array[] {
  return Array.from({ length: c }, (_, j) => {
    const out = new Float64Array(n * elements);
    for (let i = 0; i < n; i++)
      out.set(values.subarray((i * c + j) * elements, (i * c + j + 1) * elements), i * elements);
    return out;
  });
}

/**
 * The leading right singular vectors of [n x kh kw], each folded to kh x kw and cut down to its first singular pair.
 */
function rankOneStart({ dims, values }: Tensor4, rank: number, linear: LinearAlgebra): Omit<CpTerms, "lost"> {
  const [rows, , kh, kw] = dims;
  const count = Math.min(rank, kh * kw);
  const unfolded = matrix(rows, kh * kw, values);
  const vectors = linear.eigen(linear.gram(unfolded)).vectors(count);
  const [y, x] = [matrix(kh, rank), matrix(kw, rank)];
  for (let m = 0; m < rank; m++) {
    const from = (m % count) * kh * kw;
    const { u, v } = linear.svd(matrix(kh, kw, vectors.data.slice(from, from + kh * kw)));
    const pair = Math.min(Math.floor(m / count), u.cols - 1); // beyond the SVD's rank the next pairs of its filters
    for (let t = 0; t < kh; t++) y.data[t * rank + m] = u.data[t * u.cols + pair]!;
    for (let t = 0; t < kw; t++) x.data[t * rank + m] = v.data[t * v.cols + pair]!;
  }
  const kernels = matrix(kh * kw, rank);
  for (let t = 0; t < kh * kw; t++)
    for (let m = 0; m < rank; m++)
      kernels.data[t * rank + m] = y.data[Math.floor(t / kw) * rank + m]! * x.data[(t % kw) * rank + m]!;
  const a = transpose(linear.solve(linear.gram(kernels), linear.multiplyTransposed(transpose(kernels), unfolded)));
  return { a, b: matrix(1, rank, new Float64Array(rank).fill(1)), y, x };
}
