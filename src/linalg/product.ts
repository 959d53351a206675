// Products of matrices, by tiles: 4 x 4 entries of the result are summed in registers over columns that were packed
// side by side.
import type { Matrix } from "./matrix.js";
import { requireFit, requireWidth } from "./require.js";

/** Rows (or columns) in a panel: a tile of the result is this many squared. */
const side = 4;
/** Inner indices that are summed before the next tile: two panels of them stay in the nearest cache. */
const depth = 256;

/** a b: [r x k] [k x q] -> [r x q]. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  requireFit(a, b);
  const out = { rows: a.rows, cols: b.cols, data: new Float64Array(a.rows * b.cols) };
  addTiles(out, packRows(a), packColumns(b), a.cols, false);
  return out;
}

/** a b^T: [r x k] [q x k] -> [r x q]. */
export function multiplyTransposed(a: Matrix, b: Matrix): Matrix {
  requireWidth(a, b);
  const out = { rows: a.rows, cols: b.rows, data: new Float64Array(a.rows * b.rows) };
  addTiles(out, packRows(a), packRows(b), a.cols, false);
  return out;
}

/** a^T a: [r x q] -> [q x q], the lower triangle computed and mirrored. */
export function gram(a: Matrix): Matrix {
  const { rows, cols: q } = a;
  const data = new Float64Array(q * q);
  const packed = packColumns(a);
  addTiles({ rows: q, cols: q, data }, packed, packed, rows, true);
  for (let i = 0; i < q; i++) for (let j = 0; j < i; j++) data[j * q + i] = data[i * q + j]!;
  return { rows: q, cols: q, data };
}

/** Panels of four columns each, [panel][row][4]; the last is filled up with zeros. */
function packColumns({ rows, cols, data }: Matrix): Float64Array {
  const out = new Float64Array(Math.ceil(cols / side) * side * rows);
  for (let from = 0, base = 0; from < cols; from += side, base += side * rows) {
    const count = Math.min(side, cols - from);
    for (let r = 0; r < rows; r++)
      for (let j = 0; j < count; j++) out[base + side * r + j] = data[r * cols + from + j]!;
  }
  return out;
}

/** Panels of four rows each, [panel][column][4]; the last is filled up with zeros. */
function packRows({ rows, cols, data }: Matrix): Float64Array {
  const out = new Float64Array(Math.ceil(rows / side) * side * cols);
  for (let from = 0, base = 0; from < rows; from += side, base += side * cols) {
    const count = Math.min(side, rows - from);
    for (let i = 0; i < count; i++)
      for (let k = 0; k < cols; k++) out[base + side * k + i] = data[(from + i) * cols + k]!;
  }
  return out;
}

/** out[i, j] += sum over k of left[i, k] right[j, k], both packed; `lower` leaves out tiles above the diagonal. */
function addTiles(out: Matrix, left: Float64Array, right: Float64Array, inner: number, lower: boolean): void {
  const tile = new Float64Array(side * side);
  const panel = side * inner;
  for (let from = 0; from < inner; from += depth) {
    const length = side * Math.min(depth, inner - from);
    for (let i = 0, l = side * from; i < out.rows; i += side, l += panel) {
      const end = lower ? Math.min(out.cols, i + side) : out.cols;
      for (let j = 0, r = side * from; j < end; j += side, r += panel) {
        sumTile(left, l, right, r, length, tile);
        addTile(out, i, j, tile);
      }
    }
  }
}

function sumTile(
  left: Float64Array,
  l: number,
  right: Float64Array,
  r: number,
  length: number,
  tile: Float64Array,
): void {
  let [c00, c01, c02, c03, c10, c11, c12, c13] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [c20, c21, c22, c23, c30, c31, c32, c33] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (const end = l + length; l < end; l += side, r += side) {
    const b0 = right[r]!;
    const b1 = right[r + 1]!;
    const b2 = right[r + 2]!;
    const b3 = right[r + 3]!;
    const a0 = left[l]!;
    c00 += a0 * b0;
    c01 += a0 * b1;
    c02 += a0 * b2;
    c03 += a0 * b3;
    const a1 = left[l + 1]!;
    c10 += a1 * b0;
    c11 += a1 * b1;
    c12 += a1 * b2;
    c13 += a1 * b3;
    const a2 = left[l + 2]!;
    c20 += a2 * b0;
    c21 += a2 * b1;
    c22 += a2 * b2;
    c23 += a2 * b3;
    const a3 = left[l + 3]!;
    c30 += a3 * b0;
    c31 += a3 * b1;
    c32 += a3 * b2;
    c33 += a3 * b3;
  }
  tile[0] = c00;
  tile[1] = c01;
  tile[2] = c02;
  tile[3] = c03;
  tile[4] = c10;
  tile[5] = c11;
  tile[6] = c12;
  tile[7] = c13;
  tile[8] = c20;
  tile[9] = c21;
  tile[10] = c22;
  tile[11] = c23;
  tile[12] = c30;
  tile[13] = c31;
  tile[14] = c32;
  tile[15] = c33;
}

function addTile({ rows, cols, data }: Matrix, top: number, left: number, tile: Float64Array): void {
  const down = Math.min(side, rows - top);
  const across = Math.min(side, cols - left);
  for (let i = 0; i < down; i++) {
    const at = (top + i) * cols + left;
    for (let j = 0; j < across; j++) data[at + j] = data[at + j]! + tile[side * i + j]!;
  }
}
