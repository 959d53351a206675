// The singular value decomposition by ml-matrix (Golub and Reinsch), to full accuracy of the small values too.
import { Matrix as MlMatrix, SVD } from "ml-matrix";
import type { Svd } from "./linear-algebra.js";
import { type Matrix, matrix } from "./matrix.js";
import { requireFinite } from "./require.js";

/** The reduced singular value decomposition. Slow beside `eigen`: for small matrices. */
export function svd(a: Matrix): Svd {
  requireFinite(a);
  const found = new SVD(toMl(a), { autoTranspose: true });
  const size = Math.min(a.rows, a.cols);
  return {
    u: fromMl(found.leftSingularVectors, size),
    values: Float64Array.from(found.diagonal.slice(0, size)),
    v: fromMl(found.rightSingularVectors, size),
  };
}

/** The singular values alone, descending. */
export function singularValues(a: Matrix): Float64Array {
  requireFinite(a);
  const options = { computeLeftSingularVectors: false, computeRightSingularVectors: false, autoTranspose: true };
  return Float64Array.from(new SVD(toMl(a), options).diagonal);
}

const toMl = ({ rows, cols, data }: Matrix): MlMatrix => MlMatrix.from1DArray(rows, cols, data);

const fromMl = (found: MlMatrix, size: number): Matrix =>
  matrix(found.rows, size, found.subMatrix(0, found.rows - 1, 0, size - 1).to1DArray());
