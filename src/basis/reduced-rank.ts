// Responses of a layer by fewer directions (Zhang et al., 2016). Y [N x n] are the original network's responses, Z [N x
// n] those of this layer in the network that is compressed so far.
//   linear       min over rank d ||Y - M Z - b||: of M = Y Z^T (Z Z^T)^+ (moments about the means) the part in the span of U_d,
//                the leading left singular vectors of M Z (reduced-rank regression); b = mean(Y) - M mean(Z). With Z = Y it is
//                the principal components of the responses.
//   nonlinear    min ||r(Y) - r(M Z + b)||, r the ReLU: alternates between targets T, element by element the exact least of
//                (r(y) - r(t))^2 + lambda (t - u)^2 with u = M z + b, and (M, b), the linear solution for T; lambda 0.01,
//                then 1, 25 times each (remembered).
import type { LinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";

/** M = P Q, P [n x d] with orthonormal columns, Q [d x n]; and b [n]. */
export interface ReducedRank {
  readonly p: Matrix;
  readonly q: Matrix;
  readonly shift: Float64Array;
}

/** Eigenvalues of the responses below this share of the largest count as 0. */
const cut = 1e-6;

export function reducedRank(target: Matrix, seen: Matrix, rank: number, linear: LinearAlgebra): ReducedRank {
  const regression = regressionOn(seen, linear);
  return regression.fit(target, rank);
}

/** What fits to many targets over the same responses share. */
function regressionOn(seen: Matrix, linear: LinearAlgebra) {
  const [inputs, mean] = centre(seen);
  const inverse = pseudoInverse(linear.gram(inputs), linear);
  return {
    fit(target: Matrix, rank: number): ReducedRank {
      const [own, average] = centre(target);
      const crossed = linear.multiply(transpose(own), inputs); // Y Z^T [n x n]
      const full = linear.multiply(crossed, inverse); // M
      const p = transpose(linear.eigen(linear.multiplyTransposed(full, crossed)).vectors(rank)); // M Z Z^T M^T = M (Y Z^T)^T
      const q = linear.multiply(transpose(p), full);
      const moved = linear.multiply(p, linear.multiply(q, matrix(mean.length, 1, mean))).data;
      return { p, q, shift: average.map((value, i) => value - moved[i]!) };
    },
  };
}

/** [N x n] less its mean. */
export const centred = (responses: Matrix): Matrix => centre(responses)[0];

/** The same, and the mean. */
function centre({ rows, cols, data }: Matrix): readonly [Matrix, Float64Array] {
  const mean = new Float64Array(cols);
  for (let i = 0; i < data.length; i++) mean[i % cols] = mean[i % cols]! + data[i]! / rows;
  return [
    matrix(
      rows,
      cols,
      data.map((value, i) => value - mean[i % cols]!),
    ),
    mean,
  ];
}

function pseudoInverse(symmetric: Matrix, linear: LinearAlgebra): Matrix {
  const { values, vectors } = linear.eigen(symmetric);
  const rank = values.filter((value) => value > cut * values[0]!).length;
  if (rank === 0) return matrix(symmetric.rows, symmetric.cols);
  const found = vectors(rank); // [rank x n]
  const scaled = matrix(
    rank,
    found.cols,
    found.data.map((value, i) => value / values[Math.floor(i / found.cols)]!),
  );
  return linear.multiply(transpose(found), scaled);
}

const steps: readonly number[] = [...new Array<number>(25).fill(0.01), ...new Array<number>(25).fill(1)];

export function reducedRankRelu(target: Matrix, seen: Matrix, rank: number, linear: LinearAlgebra): ReducedRank {
  const regression = regressionOn(seen, linear);
  let found = regression.fit(target, rank);
  const rectified = target.data.map((value) => Math.max(0, value));
  for (const lambda of steps) {
    const { data } = applied(found, seen, linear);
    const targets = data.map((u, i) => nearestTarget(u, rectified[i]!, lambda));
    found = regression.fit(matrix(target.rows, target.cols, targets), rank);
  }
  return found;
}

/** M z + b of every row. */
export function applied({ p, q, shift }: ReducedRank, seen: Matrix, { multiplyTransposed }: LinearAlgebra): Matrix {
  const out = multiplyTransposed(multiplyTransposed(seen, q), p);
  return matrix(
    out.rows,
    out.cols,
    out.data.map((value, i) => value + shift[i % out.cols]!),
  );
}

/** The z with the least (t - max(0, z))^2 + lambda (z - u)^2, for t >= 0. */
export function nearestTarget(u: number, t: number, lambda: number): number {
  const below = Math.min(u, 0);
  const above = Math.max((lambda * u + t) / (lambda + 1), 0);
  const costBelow = t * t + lambda * (below - u) ** 2;
  const costAbove = (above - t) ** 2 + lambda * (above - u) ** 2;
  return costAbove <= costBelow ? above : below;
}
