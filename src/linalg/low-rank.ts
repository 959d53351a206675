// The best approximation of a matrix by one of lower rank (Eckart and Young), and the energies that say which rank is worth it.
import { Matrix as MlMatrix, SVD } from "ml-matrix";
import { FilterBasisError } from "../errors/error.js";
import { eigen } from "./eigen.js";
import { gram, type Matrix, multiply, squaredNorm, transpose } from "./matrix.js";

/** left [rows x rank] times right [rank x cols] is the best approximation of that rank. */
export interface LowRank {
  readonly left: Matrix;
  readonly right: Matrix;
  /** Squared Frobenius norm of what is lost: the sum of the discarded energies. */
  readonly squaredError: number;
}

/** A matrix's singular values, and its approximations of any rank. */
export interface Spectrum {
  /** Squares of the singular values, all min(rows, cols) of them, descending. */
  readonly energies: Float64Array;
  lowRank(rank: number): LowRank;
}

/** What the layers above need of linear algebra; another library (libtorch's) can stand behind it. */
export interface LinearAlgebra {
  spectrum(matrix: Matrix): Spectrum;
}

/** Singular values to full relative accuracy, descending, by the SVD of `ml-matrix`; slower, for small matrices and for checks. */
export function singularValues({ rows, cols, data }: Matrix): Float64Array {
  const source = MlMatrix.from1DArray(rows, cols, data);
  const options = { computeLeftSingularVectors: false, computeRightSingularVectors: false, autoTranspose: true };
  return Float64Array.from(new SVD(source, options).diagonal);
}

/**
 * Singular values through the eigenvalues of the smaller side's Gram matrix: exact to about 1e-15 of the largest energy.
 *
 * Of rank m, the truncated singular value decomposition W = U S V^T, split evenly: left = U S^1/2, right = S^1/2 V^T, so that
 * both factors learn at the same pace. Directions that W does not have at all get a zero column on the left and a unit row on
 * the right. The product is exact at full rank whatever the condition of W, since U (or V) is orthonormal to working
 * precision and the other factor is W itself in its coordinates.
 */
export function spectrum(matrix: Matrix): Spectrum {
  const { rows, cols } = matrix;
  const full = Math.min(rows, cols);
  const { values, vectors } = eigen(smallerGram(matrix));
  const squares = values.map((value) => Math.max(0, value));
  return {
    energies: squares,
    lowRank(rank) {
      if (!Number.isInteger(rank) || rank < 1 || rank > full) {
        throw new FilterBasisError("invalid-plan", "the rank must lie between 1 and the full rank", {
          expected: `1 to ${full}`,
          got: `${rank}`,
        });
      }
      const found = vectors(rank);
      const [left, right] =
        rows < cols
          ? balance(transpose(found), multiply(found, matrix)) // U [rows x rank], U^T W
          : balance(multiply(matrix, transpose(found)), found); // W V, V^T [rank x cols]
      return { left, right, squaredError: lost(matrix, left, right, squares, rank) };
    },
  };
}

/** The default: small, pure, runs anywhere. */
export const pureLinearAlgebra: LinearAlgebra = { spectrum };

function smallerGram(matrix: Matrix): Matrix {
  return gram(matrix.rows < matrix.cols ? transpose(matrix) : matrix);
}

/** Scales column j of left and row j of right so that both get the same length, leaving the product alone. */
export function balance(left: Matrix, right: Matrix): [Matrix, Matrix] {
  const rank = left.cols;
  const a = Float64Array.from(left.data);
  const b = Float64Array.from(right.data);
  for (let j = 0; j < rank; j++) {
    let first = 0;
    for (let i = 0; i < left.rows; i++) first += a[i * rank + j]! ** 2;
    let second = squaredNorm(b.subarray(j * right.cols, (j + 1) * right.cols));
    [first, second] = [Math.sqrt(first), Math.sqrt(second)];
    const usable = first * second > 1e-150;
    const up = usable ? Math.sqrt(second / first) : 0;
    for (let i = 0; i < left.rows; i++) a[i * rank + j] = a[i * rank + j]! * up;
    if (usable) for (let i = 0; i < right.cols; i++) b[j * right.cols + i] = b[j * right.cols + i]! / up;
    else if (second === 0) b[j * right.cols + (j % right.cols)] = 1;
  }
  return [
    { ...left, data: a },
    { ...right, data: b },
  ];
}

/** The sum of the discarded energies; where rounding would drown it, the residual itself is computed. */
function lost(matrix: Matrix, left: Matrix, right: Matrix, squares: Float64Array, rank: number): number {
  const discarded = squares.subarray(rank).reduce((sum, value) => sum + value, 0);
  const total = squares.reduce((sum, value) => sum + value, 0);
  if (discarded > 1e-9 * total || rank === squares.length) return rank === squares.length ? 0 : discarded;
  const product = multiply(left, right).data;
  return squaredNorm(product.map((value, i) => value - matrix.data[i]!));
}
