// Eigenvalues and leading eigenvectors of symmetric matrices.
import { inverseIteration } from "./inverse-iteration.js";
import type { Matrix } from "./matrix.js";
import { qlValues } from "./ql.js";
import { backTransform, tridiagonalise } from "./tridiagonal.js";

export interface Eigen {
  /** Descending. All of them, however many vectors were asked for. */
  readonly values: Float64Array;
  /** [count x size], one unit vector a row, for the first `count` values. */
  readonly vectors: Matrix;
}

/** All eigenvalues of a symmetric matrix, descending. */
export function eigenvalues(symmetric: Matrix): Float64Array {
  const { diagonal, off } = tridiagonalise(symmetric.data, symmetric.rows);
  return qlValues(diagonal, off).sort().reverse();
}

/** All eigenvalues and the eigenvectors of the `count` largest. */
export function eigen(symmetric: Matrix, count: number = symmetric.rows): Eigen {
  const size = symmetric.rows;
  const reduced = tridiagonalise(symmetric.data, size);
  if (size > 96) {
    const values = qlValues(reduced.diagonal, reduced.off).sort().reverse();
    const vectors = inverseIteration(reduced.diagonal, reduced.off, [...values.subarray(0, count)]);
    if (vectors) {
      backTransform(reduced, vectors);
      return { values, vectors: { rows: count, cols: size, data: vectors } };
    }
  }
  // Small, or inverse iteration did not settle: rotate the whole identity along.
  const all = new Float64Array(size * size);
  for (let i = 0; i < size; i++) all[i * size + i] = 1;
  const unsorted = qlValues(reduced.diagonal, reduced.off, all);
  const order = [...unsorted.keys()].sort((i, j) => unsorted[j]! - unsorted[i]!);
  const data = new Float64Array(count * size);
  for (const [row, index] of order.slice(0, count).entries())
    data.set(all.subarray(index * size, (index + 1) * size), row * size);
  backTransform(reduced, data);
  return { values: Float64Array.from(order, (i) => unsorted[i]!), vectors: { rows: count, cols: size, data } };
}
