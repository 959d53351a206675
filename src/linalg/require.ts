// What every implementation of linear algebra refuses before it computes, in the same words.
import { FilterBasisError } from "../errors/error.js";
import type { Matrix } from "./matrix.js";

/** @throws FilterBasisError `shape-mismatch` where a b cannot be */
export function requireFit(a: Matrix, b: Matrix): void {
  if (a.cols === b.rows) return;
  throw new FilterBasisError("shape-mismatch", "a product needs matching inner sizes", {
    expected: `${a.cols}`,
    got: `${b.rows}`,
  });
}

/** @throws FilterBasisError `shape-mismatch` where a b^T cannot be */
export function requireWidth(a: Matrix, b: Matrix): void {
  if (a.cols === b.cols) return;
  throw new FilterBasisError("shape-mismatch", "a product with a transposed matrix needs equal widths", {
    expected: `${a.cols}`,
    got: `${b.cols}`,
  });
}

/** @throws FilterBasisError `shape-mismatch` for a matrix that is not square, `non-finite` */
export function requireSquare(matrix: Matrix): void {
  if (matrix.rows !== matrix.cols) {
    throw new FilterBasisError("shape-mismatch", "the matrix must be square", {
      expected: `${matrix.rows} x ${matrix.rows}`,
      got: `${matrix.rows} x ${matrix.cols}`,
    });
  }
  requireFinite(matrix);
}

/** @throws FilterBasisError `non-finite` */
export function requireFinite({ cols, data }: Matrix): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new FilterBasisError("non-finite", "an entry of the matrix is not a finite number", {
      got: `${data[i]} in row ${Math.floor(i / cols)}, column ${i % cols}`,
    });
  }
}

/** @throws FilterBasisError `invalid-plan` for a number of vectors or a rank that cannot be */
export function requireCount(count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new FilterBasisError("invalid-plan", "the rank must lie between 1 and the full rank", {
    expected: `1 to ${most}`,
    got: `${count}`,
  });
}

/** The error for a matrix whose Cholesky factor does not exist. */
export function notPositive(at: number, pivot?: number): FilterBasisError {
  return new FilterBasisError("invalid-plan", "the matrix is not positive definite", {
    expected: "positive pivots",
    got: pivot === undefined ? `none at ${at}` : `${pivot} at ${at}`,
  });
}
