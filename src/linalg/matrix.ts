// Dense matrices as plain data: how they are made, stacked, cut and turned.
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

/** The sum of all squares: the squared Frobenius norm. */
export function squaredNorm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return sum;
}
