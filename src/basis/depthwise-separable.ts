// The depthwise separable convolution that is nearest to given filters: of every input channel j the slice W[:, j] [n x
// kh kw] by its leading singular triple, D_j = v, P[:, j] = sigma u. The optimum, for the channels do not meet in the
// error.
import type { LinearAlgebra } from "../linalg/low-rank.js";
import { matrix } from "../linalg/matrix.js";

export interface DepthwiseSeparable {
  /** [c, kh kw] */
  readonly depthwise: Float64Array;
  /** [n, c] */
  readonly pointwise: Float64Array;
}

/** @param weights W [n, c, kh kw] */
export function depthwiseSeparable(
  weights: Float64Array,
  [n, c, area]: readonly [n: number, c: number, area: number],
  linear: LinearAlgebra,
): DepthwiseSeparable {
  const [depthwise, pointwise] = [new Float64Array(c * area), new Float64Array(n * c)];
  for (let j = 0; j < c; j++) {
    const slice = matrix(n, area);
    for (let i = 0; i < n; i++) slice.data.set(weights.subarray((i * c + j) * area, (i * c + j + 1) * area), i * area);
    const { u, values, v } = linear.svd(slice);
    for (let t = 0; t < area; t++) depthwise[j * area + t] = v.data[t * v.cols]!;
    for (let i = 0; i < n; i++) pointwise[i * c + j] = values[0]! * u.data[i * u.cols]!;
  }
  return { depthwise, pointwise };
}
