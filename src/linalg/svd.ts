// The singular value decomposition by one-sided Jacobi rotations (Hestenes 1958): pairs of columns are turned until all
// are orthogonal. Slow beside `eigen`, but small singular values come out as accurate as large ones.
import { FilterBasisError } from "../errors/error.js";
import type { Svd } from "./linear-algebra.js";
import { type Matrix, matrix, squaredNorm, transpose } from "./matrix.js";
import { requireFinite } from "./require.js";

/** Sweeps over all pairs; some ten are usual. */
const mostSweeps = 60;

/** Columns shorter than this, of entries up to 2, count as zero: their squares would leave the range of doubles. */
const nothing = 2 ** -500;

/** The reduced singular value decomposition. */
export function svd(a: Matrix): Svd {
  requireFinite(a);
  if (a.rows < a.cols) {
    const { u, values, v } = svd(transpose(a));
    return { u: v, values, v: u };
  }
  const { rows, cols: size } = a;
  const largest = a.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = largest > 0 ? 2 ** Math.max(-1000, Math.min(1000, Math.floor(Math.log2(largest)))) : 1;
  const columns = transpose(a).data.map((value) => value / scale); // row j is column j of a
  const v = new Float64Array(size * size);
  for (let j = 0; j < size; j++) v[j * size + j] = 1;
  for (let sweep = 0; rotateAll(columns, v, rows, size) > 0; sweep++)
    if (sweep === mostSweeps) throw new FilterBasisError("internal", "the Jacobi rotations did not converge");
  const rowOf = (data: Float64Array, j: number) =>
    data.subarray(j * (data.length / size), (j + 1) * (data.length / size));
  const norms = Float64Array.from({ length: size }, (_, j) => Math.sqrt(squaredNorm(rowOf(columns, j))));
  const order = [...norms.keys()].sort((i, j) => norms[j]! - norms[i]!);
  const sorted = new Float64Array(size * size);
  for (const [at, j] of order.entries()) sorted.set(rowOf(v, j), at * size);
  return {
    u: transpose(unitRows(matrix(size, rows, columns), order, norms)),
    values: Float64Array.from(order, (j) => norms[j]! * scale),
    v: transpose(matrix(size, size, sorted)),
  };
}

/** One sweep; returns how many pairs were not orthogonal. */
function rotateAll(columns: Float64Array, v: Float64Array, rows: number, size: number): number {
  let rotated = 0;
  for (let p = 0; p < size - 1; p++) {
    const first = columns.subarray(p * rows, (p + 1) * rows);
    for (let q = p + 1; q < size; q++) {
      const second = columns.subarray(q * rows, (q + 1) * rows);
      let [alpha, beta, gamma] = [0, 0, 0];
      for (let i = 0; i < rows; i++) {
        const [x, y] = [first[i]!, second[i]!];
        alpha += x * x;
        beta += y * y;
        gamma += x * y;
      }
      if (alpha < nothing ** 2 || beta < nothing ** 2) continue;
      if (Math.abs(gamma) <= rows * Number.EPSILON * Math.sqrt(alpha) * Math.sqrt(beta)) continue;
      rotated++;
      const zeta = (beta - alpha) / (2 * gamma);
      const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
      const c = 1 / Math.hypot(1, t);
      rotate(first, second, c, c * t);
      rotate(v.subarray(p * size, (p + 1) * size), v.subarray(q * size, (q + 1) * size), c, c * t);
    }
  }
  return rotated;
}

function rotate(first: Float64Array, second: Float64Array, c: number, s: number): void {
  for (let i = 0; i < first.length; i++) {
    const [x, y] = [first[i]!, second[i]!];
    first[i] = c * x - s * y;
    second[i] = s * x + c * y;
  }
}

/** The rows in the order given, each of unit length; where a row is nothing, any that is orthogonal to all others. */
function unitRows({ rows: count, cols, data }: Matrix, order: readonly number[], norms: Float64Array): Matrix {
  const out = new Float64Array(count * cols);
  for (const [at, j] of order.entries()) {
    const row = out.subarray(at * cols, (at + 1) * cols);
    if (norms[j]! > nothing) row.set(data.subarray(j * cols, (j + 1) * cols).map((value) => value / norms[j]!));
    else complete(out, at, cols);
  }
  return matrix(count, cols, out);
}

/**
 * Fills row `at` with a unit vector orthogonal to the rows before it: of the axes, what is left of the one that they
 * reach least.
 */
function complete(out: Float64Array, at: number, cols: number): void {
  const reached = new Float64Array(cols);
  for (let i = 0; i < at * cols; i++) reached[i % cols] = reached[i % cols]! + out[i]! ** 2;
  const row = out.subarray(at * cols, (at + 1) * cols);
  row[reached.indexOf(Math.min(...reached))] = 1;
  for (let pass = 0; pass < 2; pass++) {
    for (let k = 0; k < at; k++) {
      const other = out.subarray(k * cols, (k + 1) * cols);
      const dot = row.reduce((sum, value, i) => sum + value * other[i]!, 0);
      for (let i = 0; i < cols; i++) row[i] = row[i]! - dot * other[i]!;
    }
    const length = Math.sqrt(squaredNorm(row));
    for (let i = 0; i < cols; i++) row[i] = row[i]! / length;
  }
}
