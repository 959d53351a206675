// Rounding a weight W [n x d] one input column after another, the error of each made up for by the columns that are
// still to be rounded (GPTQ: Frantar et al., 2023). What is to be small is tr (W - Q) H (W - Q)^T, the mean squared
// error of the outputs where H = E[x x^T]. GPTQ states it with the Cholesky factor of the inverse of H; with that of
// H = L L^T itself it is the same without an inverse (Babai's nearest plane): the k-th entry of (w - q) L has no error
// but those of columns k and later, so that columns are rounded from the last to the first, each to
//   q_k = round(w_k + sum over i > k of (w_i - q_i) L_ik / L_kk)
import { isError } from "../../errors/error.js";
import { roundEven } from "../../graph/values.js";
import type { LinearAlgebra } from "../../linalg/linear-algebra.js";
import { type Matrix, matrix } from "../../linalg/matrix.js";

/** A weight's rows as whole steps of these scales. */
export interface RoundedRows {
  readonly scales: Float32Array;
  /** [n x d] */
  readonly steps: Int32Array;
}

/** Of the mean of H's diagonal, added to it: GPTQ's own. */
const ridge = 0.01;

/**
 * Rows that have a lower error by it than rounded to nearest, the others to nearest. Columns of larger inputs are
 * rounded earlier: more columns are left to make up for them.
 * @param scales one for each row
 * @param moments H [d x d]
 * @param most steps to either side of 0
 */
export function orderedRounding(
  weight: Matrix,
  scales: Float32Array,
  moments: Matrix,
  most: number,
  { cholesky, multiply }: Pick<LinearAlgebra, "cholesky" | "multiply">,
): RoundedRows {
  const { rows: n, cols: d, data } = weight;
  const rounded = (value: number, row: number): number =>
    Math.min(most, Math.max(-most, roundEven(value / scales[row]!)));
  const nearest = Int32Array.from(data, (value, i) => rounded(value, Math.floor(i / d)));
  const order = Int32Array.from({ length: d }, (_, i) => i).sort(
    (a, b) => moments.data[a * (d + 1)]! - moments.data[b * (d + 1)]! || a - b,
  );
  const lower = factorOf(moments, order, cholesky);
  if (lower === undefined) return { scales, steps: nearest };
  const ordered = byColumns(weight, scales, lower, order, rounded);
  const worse = rowsGainedBy(ordered, nearest, { weight, scales, moments, multiply });
  for (let row = 0; row < n; row++)
    if (!(worse[row]! < 0)) ordered.set(nearest.subarray(row * d, (row + 1) * d), row * d);
  return { scales, steps: ordered };
}

/** L of H with its ridge, rows and columns in this order; undefined where H is 0 or not positive definite. */
function factorOf(
  { rows: d, data }: Matrix,
  order: Int32Array,
  cholesky: LinearAlgebra["cholesky"],
): Matrix | undefined {
  let trace = 0;
  for (let i = 0; i < d; i++) trace += data[i * (d + 1)]!;
  if (!(trace > 0)) return undefined;
  const sorted = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    const from = order[i]! * d;
    for (let j = 0; j <= i; j++) sorted[i * d + j] = sorted[j * d + i] = data[from + order[j]!]!;
    sorted[i * (d + 1)] = sorted[i * (d + 1)]! + (ridge * trace) / d;
  }
  try {
    return cholesky(matrix(d, d, sorted));
  } catch (error) {
    if (isError(error, "invalid-plan")) return undefined;
    throw error;
  }
}

function byColumns(
  { rows: n, cols: d, data }: Matrix,
  scales: Float32Array,
  { data: lower }: Matrix,
  order: Int32Array,
  rounded: (value: number, row: number) => number,
): Int32Array {
  const steps = new Int32Array(n * d);
  const sums = new Float64Array(n * d); // of (w_i - q_i) L_ik over the columns so far, in their order
  for (let k = d - 1; k >= 0; k--) {
    const column = order[k]!;
    const factors = lower.subarray(k * d, k * (d + 1));
    for (let row = 0; row < n; row++) {
      const [at, from] = [row * d + column, row * d];
      const step = rounded(data[at]! + sums[from + k]! / lower[k * (d + 1)]!, row);
      steps[at] = step;
      const error = data[at]! - step * scales[row]!;
      for (let i = 0; i < k; i++) sums[from + i] = sums[from + i]! + error * factors[i]!;
    }
  }
  return steps;
}

/** The error of each row by `steps` less that by `others`: a H a^T - b H b^T = (a - b) H (a + b)^T. */
function rowsGainedBy(
  steps: Int32Array,
  others: Int32Array,
  {
    weight: { rows: n, cols: d, data },
    scales,
    moments,
    multiply,
  }: {
    readonly weight: Matrix;
    readonly scales: Float32Array;
    readonly moments: Matrix;
    readonly multiply: LinearAlgebra["multiply"];
  },
): Float64Array {
  const difference = new Float64Array(n * d);
  const sum = new Float64Array(n * d);
  for (let i = 0; i < n * d; i++) {
    const scale = scales[Math.floor(i / d)]!;
    difference[i] = (others[i]! - steps[i]!) * scale;
    sum[i] = 2 * data[i]! - (others[i]! + steps[i]!) * scale;
  }
  const through = multiply(matrix(n, d, difference), moments).data;
  const gained = new Float64Array(n);
  for (let i = 0; i < n * d; i++) gained[Math.floor(i / d)]! += through[i]! * sum[i]!;
  return gained;
}
