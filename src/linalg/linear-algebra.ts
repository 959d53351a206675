// What the rooms above need of linear algebra. Two implementations stand behind it: pure TypeScript (pure.ts), which
// runs anywhere, and libtorch's LAPACK (torch/linalg.ts). Their results differ by rounding; vectors also in sign, and
// those of equal values in direction. Errors of all functions: `shape-mismatch` for sizes that do not fit; of all but
// the products, through which such numbers pass, `non-finite`.
import type { Matrix } from "./matrix.js";

export interface LinearAlgebra {
  readonly name: "typescript" | "libtorch" | "by-size";
  /** a b: [r x k] [k x q] -> [r x q]. */
  multiply(a: Matrix, b: Matrix): Matrix;
  /** a b^T: [r x k] [q x k] -> [r x q]. */
  multiplyTransposed(a: Matrix, b: Matrix): Matrix;
  /**
   * The same matrix in the memory where this implementation computes, for one that takes part in many products. It
   * must not be changed and serves until it is released.
   */
  keep(matrix: Matrix): Kept;
  /** a^T a: [r x q] -> [q x q], symmetric to the last bit. */
  gram(a: Matrix): Matrix;
  /** Of a symmetric matrix, of which only the lower triangle is read. */
  eigen(symmetric: Matrix): Eigen;
  /** The reduced singular value decomposition a = u diag(values) v^T. */
  svd(a: Matrix): Svd;
  /**
   * The lower triangular L with L L^T = the matrix, of which only the lower triangle is read.
   * @throws FilterBasisError `invalid-plan` where it is not positive definite
   */
  cholesky(positive: Matrix): Matrix;
  /** X with X L = right, for a lower triangular L [q x q] with a diagonal without zeros and right [r x q]. */
  solveTriangular(right: Matrix, lower: Matrix): Matrix;
  /**
   * X with N X = right for a symmetric positive semi-definite N [k x k] and right [k x q]; of many solutions about
   * the shortest.
   */
  solve(normal: Matrix, right: Matrix): Matrix;
}

export interface Kept extends Matrix {
  /** Gives the memory back; the matrix is of no use afterwards. */
  release(): void;
}

export interface Eigen {
  /** All of them, descending. */
  readonly values: Float64Array;
  /** [count x size], one unit vector a row, for the `count` largest values; computed when asked for. */
  vectors(count: number): Matrix;
}

/** Of a matrix [r x c], with k = min(r, c). */
export interface Svd {
  /** [r x k], orthonormal columns. */
  readonly u: Matrix;
  /** The singular values, descending, all k of them, to about 1e-15 of the largest. */
  readonly values: Float64Array;
  /** [c x k], orthonormal columns. */
  readonly v: Matrix;
}
