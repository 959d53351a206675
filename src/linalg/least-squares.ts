// Least squares with few unknowns, through the normal equations.
import { CholeskyDecomposition, Matrix as MlMatrix, pseudoInverse } from "ml-matrix";
import { type Matrix, matrix } from "./matrix.js";

/** X with N X = R for a symmetric positive semi-definite N [k x k] and R [k x q]; of many solutions about the shortest. */
export function solveNormal(normal: Matrix, right: Matrix): Matrix {
  const n = MlMatrix.from1DArray(normal.rows, normal.cols, normal.data);
  const r = MlMatrix.from1DArray(right.rows, right.cols, right.data);
  const cholesky = new CholeskyDecomposition(n);
  const solved = wellConditioned(cholesky, normal.rows) ? cholesky.solve(r) : pseudoInverse(n, 1e-12).mmul(r);
  return matrix(right.rows, right.cols, solved.to1DArray());
}

function wellConditioned(cholesky: CholeskyDecomposition, size: number): boolean {
  if (!cholesky.isPositiveDefinite()) return false;
  const lower = cholesky.lowerTriangularMatrix;
  let [least, most] = [Infinity, 0];
  for (let i = 0; i < size; i++) {
    least = Math.min(least, lower.get(i, i));
    most = Math.max(most, lower.get(i, i));
  }
  return least > 1e-6 * most;
}
