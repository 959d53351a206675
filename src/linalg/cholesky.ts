// The Cholesky factor of a symmetric positive definite matrix, and products with its inverse.
import { type Matrix, matrix, transpose } from "./matrix.js";
import { notPositive, requireFit, requireSquare } from "./require.js";

/**
 * The lower triangular L with L L^T = the matrix.
 * @throws FilterBasisError `invalid-plan` where it is not positive definite
 */
export function cholesky(positive: Matrix): Matrix {
  requireSquare(positive);
  const { rows: size, data } = positive;
  const lower = new Float64Array(size * size);
  let i = 0;
  for (; i + 3 < size; i += 4) {
    fourRows(data, lower, size, i);
    for (let row = i; row < i + 4; row++) oneRow(data, lower, size, row, i);
  }
  for (; i < size; i++) oneRow(data, lower, size, i, 0);
  return matrix(size, size, lower);
}

/** Rows i to i + 3 up to column i: four sums at a time read each row above once. */
function fourRows(data: Float64Array, lower: Float64Array, size: number, i: number): void {
  const r0 = i * size;
  const r1 = r0 + size;
  const r2 = r1 + size;
  const r3 = r2 + size;
  for (let j = 0; j < i; j++) {
    const other = j * size;
    let s0 = data[r0 + j]!;
    let s1 = data[r1 + j]!;
    let s2 = data[r2 + j]!;
    let s3 = data[r3 + j]!;
    for (let k = 0; k < j; k++) {
      const value = lower[other + k]!;
      s0 -= lower[r0 + k]! * value;
      s1 -= lower[r1 + k]! * value;
      s2 -= lower[r2 + k]! * value;
      s3 -= lower[r3 + k]! * value;
    }
    const pivot = lower[other + j]!;
    lower[r0 + j] = s0 / pivot;
    lower[r1 + j] = s1 / pivot;
    lower[r2 + j] = s2 / pivot;
    lower[r3 + j] = s3 / pivot;
  }
}

/** Row i from column `from` to its diagonal. */
function oneRow(data: Float64Array, lower: Float64Array, size: number, i: number, from: number): void {
  const row = i * size;
  for (let j = from; j <= i; j++) {
    const other = j * size;
    let sum = data[row + j]!;
    for (let k = 0; k < j; k++) sum -= lower[row + k]! * lower[other + k]!;
    if (i !== j) lower[row + j] = sum / lower[other + j]!;
    else if (sum > 0) lower[row + i] = Math.sqrt(sum);
    else throw notPositive(i, sum);
  }
}

/** X with X L = right, for a lower triangular L [q x q] and right [r x q]. */
export function solveTriangular(right: Matrix, lower: Matrix): Matrix {
  requireFit(right, lower);
  requireSquare(lower);
  const { rows, cols } = right;
  const turned = transpose(right).data; // [q x r]: L^T X^T = right^T, row by row of X^T
  for (let k = cols - 1; k >= 0; k--) {
    for (let j = k + 1; j < cols; j++) subtractRow(turned, k, j, lower.data[j * cols + k]!, rows);
    divideRow(turned, k, lower.data[k * cols + k]!, rows);
  }
  return transpose(matrix(cols, rows, turned));
}

/** X with L L^T X = right, for a lower triangular L [k x k] and right [k x q]. */
export function solveFactored(lower: Matrix, right: Matrix): Matrix {
  const { rows: size, data } = lower;
  const q = right.cols;
  const out = Float64Array.from(right.data);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) subtractRow(out, i, k, data[i * size + k]!, q);
    divideRow(out, i, data[i * size + i]!, q);
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) subtractRow(out, i, k, data[k * size + i]!, q);
    divideRow(out, i, data[i * size + i]!, q);
  }
  return matrix(size, q, out);
}

function subtractRow(out: Float64Array, to: number, from: number, factor: number, q: number): void {
  const [t, f] = [to * q, from * q];
  for (let j = 0; j < q; j++) out[t + j] = out[t + j]! - factor * out[f + j]!;
}

function divideRow(out: Float64Array, row: number, by: number, q: number): void {
  for (let j = row * q; j < (row + 1) * q; j++) out[j] = out[j]! / by;
}
