// The Cholesky factor of a symmetric positive definite matrix, and products with it and with its inverse.
import { FilterBasisError } from "../errors/error.js";
import { type Matrix, matrix } from "./matrix.js";

/** The lower triangular L with L L^T = the matrix. Errors: `invalid-plan` where it is not positive definite. */
export function cholesky({ rows: size, data }: Matrix): Matrix {
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = i * size;
    for (let j = 0; j <= i; j++) {
      const other = j * size;
      let sum = data[row + j]!;
      for (let k = 0; k < j; k++) sum -= lower[row + k]! * lower[other + k]!;
      if (i !== j) lower[row + j] = sum / lower[other + j]!;
      else if (sum > 0) lower[row + i] = Math.sqrt(sum);
      else throw notPositive(i, sum);
    }
  }
  return matrix(size, size, lower);
}

/** X with X L = right, for a lower triangular L [q x q] and right [r x q]. */
export function solveFromRight(right: Matrix, lower: Matrix): Matrix {
  const { rows, cols } = right;
  const out = Float64Array.from(right.data);
  for (let r = 0; r < rows; r++) {
    const row = out.subarray(r * cols, (r + 1) * cols);
    for (let k = cols - 1; k >= 0; k--) {
      const value = row[k]! / lower.data[k * cols + k]!;
      row[k] = value;
      for (let j = 0; j < k; j++) row[j] = row[j]! - value * lower.data[k * cols + j]!;
    }
  }
  return matrix(rows, cols, out);
}

function notPositive(at: number, pivot: number): FilterBasisError {
  return new FilterBasisError("invalid-plan", "a matrix of second moments is not positive definite", {
    expected: "positive pivots",
    got: `${pivot} at ${at}`,
  });
}
