// Eigenvalues and leading eigenvectors of symmetric matrices. The reduction to tridiagonal form, most of the work, is done once.
import { inverseIteration } from "./inverse-iteration.js";
import type { Matrix } from "./matrix.js";
import { qlValues } from "./ql.js";
import { backTransform, type Tridiagonal, tridiagonalise } from "./tridiagonal.js";

export interface Eigen {
  /** All of them, descending. */
  readonly values: Float64Array;
  /** [count x size], one unit vector a row, for the `count` largest values. */
  vectors(count: number): Matrix;
}

/** Below this size rotating the whole identity along is the cheaper way to vectors. */
const small = 96;

/** All eigenvalues of a symmetric matrix, and its eigenvectors as they are asked for. */
export function eigen(symmetric: Matrix): Eigen {
  const reduced = tridiagonalise(symmetric.data, symmetric.rows);
  const values = qlValues(reduced.diagonal, reduced.off).sort().reverse();
  return { values, vectors: (count) => vectorsOf(reduced, values, count) };
}

function vectorsOf(reduced: Tridiagonal, values: Float64Array, count: number): Matrix {
  const { size, diagonal, off } = reduced;
  const found = size > small ? inverseIteration(diagonal, off, [...values.subarray(0, count)]) : null;
  const data = found ?? rotated(reduced, count); // where inverse iteration did not settle, QL does
  backTransform(reduced, data);
  return { rows: count, cols: size, data };
}

/** Eigenvectors of the tridiagonal matrix by QL, for the largest values. */
function rotated({ size, diagonal, off }: Tridiagonal, count: number): Float64Array {
  const all = new Float64Array(size * size);
  for (let i = 0; i < size; i++) all[i * size + i] = 1;
  const unsorted = qlValues(diagonal, off, all);
  const order = [...unsorted.keys()].sort((i, j) => unsorted[j]! - unsorted[i]!);
  const data = new Float64Array(count * size);
  for (const [row, index] of order.slice(0, count).entries())
    data.set(all.subarray(index * size, (index + 1) * size), row * size);
  return data;
}
