// Dense matrices as plain data, and the few products that decomposing filters needs.
import { FilterBasisError } from "../errors/error.js";

/** A row-major matrix of doubles. Treat as read-only: functions make new ones. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array;
}

/** A matrix over the given values (no copy of a Float64Array), or of zeros. */
export function matrix(rows: number, cols: number, data: ArrayLike<number> = new Float64Array(rows * cols)): Matrix {
  if (data.length !== rows * cols) {
    throw new FilterBasisError("shape-mismatch", "a matrix needs rows * cols values", {
      expected: `${rows} x ${cols}`,
      got: `${data.length} values`,
    });
  }
  return { rows, cols, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

/** The matrices one below the other: [r1 x q], [r2 x q], ... -> [(r1 + r2 + ...) x q]. */
export function stackRows(parts: readonly Matrix[]): Matrix {
  const cols = parts[0]?.cols ?? 0;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const data = new Float64Array(rows * cols);
  let offset = 0;
  for (const part of parts) {
    if (part.cols !== cols) {
      throw new FilterBasisError("shape-mismatch", "stacked matrices need one width", {
        expected: `${cols}`,
        got: `${part.cols}`,
      });
    }
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { rows, cols, data };
}

export function transpose({ rows, cols, data }: Matrix): Matrix {
  const out = new Float64Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j]!;
  return { rows: cols, cols: rows, data: out };
}

/** `count` columns from `start` on: [r x count]. */
export function columns({ rows, cols, data }: Matrix, start: number, count: number): Matrix {
  if (start === 0 && count === cols) return { rows, cols, data };
  const out = new Float64Array(rows * count);
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * cols + start, i * cols + start + count), i * count);
  return matrix(rows, count, out);
}

/** a b: [r x k] [k x q] -> [r x q]. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.cols !== b.rows) {
    throw new FilterBasisError("shape-mismatch", "a product needs matching inner sizes", {
      expected: `${a.cols}`,
      got: `${b.rows}`,
    });
  }
  const { rows, cols: inner } = a;
  const { cols } = b;
  const left = a.data;
  const right = b.data;
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    const o = i * cols;
    let k = 0;
    for (; k + 3 < inner; k += 4) {
      const l = i * inner + k;
      const a0 = left[l]!;
      const a1 = left[l + 1]!;
      const a2 = left[l + 2]!;
      const a3 = left[l + 3]!;
      const r0 = k * cols;
      const r1 = r0 + cols;
      const r2 = r1 + cols;
      const r3 = r2 + cols;
      for (let j = 0; j < cols; j++) {
        out[o + j] = out[o + j]! + a0 * right[r0 + j]! + a1 * right[r1 + j]! + a2 * right[r2 + j]! + a3 * right[r3 + j]!;
      }
    }
    for (; k < inner; k++) {
      const value = left[i * inner + k]!;
      for (let j = 0; j < cols; j++) out[o + j] = out[o + j]! + value * right[k * cols + j]!;
    }
  }
  return { rows, cols, data: out };
}

/** a^T a: [r x q] -> [q x q], the lower triangle computed and mirrored. */
export function gram({ rows, cols: q, data }: Matrix): Matrix {
  const out = new Float64Array(q * q);
  let r = 0;
  // Eight rows at a time: each entry of the result is then read and written once for sixteen operations.
  for (; r + 7 < rows; r += 8) {
    const r0 = r * q;
    const r1 = r0 + q;
    const r2 = r1 + q;
    const r3 = r2 + q;
    const r4 = r3 + q;
    const r5 = r4 + q;
    const r6 = r5 + q;
    const r7 = r6 + q;
    for (let i = 0; i < q; i++) {
      const [a0, a1, a2, a3] = [data[r0 + i]!, data[r1 + i]!, data[r2 + i]!, data[r3 + i]!];
      const [a4, a5, a6, a7] = [data[r4 + i]!, data[r5 + i]!, data[r6 + i]!, data[r7 + i]!];
      const o = i * q;
      for (let j = 0; j <= i; j++) {
        const first = a0 * data[r0 + j]! + a1 * data[r1 + j]! + a2 * data[r2 + j]! + a3 * data[r3 + j]!;
        out[o + j] = out[o + j]! + first + a4 * data[r4 + j]! + a5 * data[r5 + j]! + a6 * data[r6 + j]! + a7 * data[r7 + j]!;
      }
    }
  }
  for (; r < rows; r++) {
    for (let i = 0; i < q; i++) {
      const value = data[r * q + i]!;
      for (let j = 0; j <= i; j++) out[i * q + j] = out[i * q + j]! + value * data[r * q + j]!;
    }
  }
  for (let i = 0; i < q; i++) for (let j = 0; j < i; j++) out[j * q + i] = out[i * q + j]!;
  return { rows: q, cols: q, data: out };
}

/** The sum of all squares: the squared Frobenius norm. */
export function squaredNorm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return sum;
}
