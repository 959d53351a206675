// Eigenvalues and leading eigenvectors of symmetric matrices. The reduction to tridiagonal form, most of the work, is
// done once.
import { inverseIteration } from "./inverse-iteration.js";
import type { Eigen } from "./linear-algebra.js";
import type { Matrix } from "./matrix.js";
import { qlValues } from "./ql.js";
import { requireCount, requireSquare } from "./require.js";
import { backTransform, type Tridiagonal, tridiagonalise } from "./tridiagonal.js";

/** Below this size rotating the whole identity along is the cheaper way to vectors. */
const small = 96;

/** All eigenvalues of a symmetric matrix, and its eigenvectors as they are asked for. */
export function eigen(symmetric: Matrix): Eigen {
  requireSquare(symmetric);
  const size = symmetric.rows;
  const scale = scaleOf(symmetric.data);
  const reduced = tridiagonalise(scale === 1 ? symmetric.data : symmetric.data.map((value) => value * scale), size);
  const values = qlValues(reduced.diagonal, reduced.off).sort().reverse();
  return {
    values: scale === 1 ? values : values.map((value) => value / scale),
    vectors(count) {
      requireCount(count, size);
      return vectorsOf(reduced, values, count);
    },
  };
}

/** A power of two that brings entries whose squares would leave the range of doubles to about 1; 1 for all others. */
function scaleOf(data: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < data.length; i++) largest = Math.max(largest, Math.abs(data[i]!));
  return largest === 0 || (largest > 2 ** -300 && largest < 2 ** 300)
    ? 1
    : 2 ** -Math.max(-1000, Math.floor(Math.log2(largest)));
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
