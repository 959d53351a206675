// Factors in two linear steps, of which the first is the same small filter bank at every slot of the input. The input
// x of d = S w values is seen as S slots of w values; a bank V [r x w] takes each slot to r values, and H [n x S r]
// takes all of them to the outputs:
//   shared bases   slots are the splits of the channels, V the basis, H the coefficients
//   own bases      the same with a bank V_q for each slot
//   separable      slots are the columns of the kernel, V the vertical filters, H the horizontal ones
//   Tucker-2       slots are the kernel's elements, V the 1x1 in front, H = U G of rank r2
// Columns of T and C are in the order (slot, place in the slot) here; features in the order (slot, filter of the bank).
import type { Kept, LinearAlgebra } from "../linalg/linear-algebra.js";
import { columns, type Matrix, matrix, stackRows, transpose } from "../linalg/matrix.js";
import type { FitProblem } from "./fit-problem.js";

/** A layer's target and covariance by slots. */
export interface Slots {
  readonly slots: number;
  /** w */
  readonly width: number;
  /** Every slot has a bank of its own. */
  readonly own: boolean;
  /** T [n x S w]. */
  readonly target: Matrix;
  /** T C [n x S w]. */
  readonly crossed: Matrix;
  /** C's rows of each slot, [w x S w]. */
  readonly blocks: readonly Kept[];
  /** tr(T C T^T) */
  readonly energy: number;
  readonly algebra: LinearAlgebra;
}

/** A bank for all slots, or one for each: [r x w]. */
export type Banks = readonly Matrix[];

/**
 * The problem with its columns in slots.
 * @param order where the value at each place of the slots, slot by slot, lies in [c, kh, kw]
 */
export function slotsOf(problem: FitProblem, slots: number, own: boolean, order?: Int32Array): Slots {
  const { target, crossed, covariance, energy, algebra } = problem;
  const width = covariance.rows / slots;
  const d = covariance.cols;
  const blocks = Array.from({ length: slots }, (_, q) => {
    const rows = order?.subarray(q * width, (q + 1) * width);
    const data = covariance.data.subarray(q * width * d, (q + 1) * width * d);
    return algebra.keep(rows && order ? gathered(covariance, rows, order) : matrix(width, d, data));
  });
  const inOrder = (values: Matrix) => (order ? gathered(values, undefined, order) : values);
  return { slots, width, own, target: inOrder(target), crossed: inOrder(crossed), blocks, energy, algebra };
}

/** The rows and columns of a matrix at the given places. */
function gathered({ rows, cols, data }: Matrix, down: Int32Array | undefined, across: Int32Array): Matrix {
  const count = down?.length ?? rows;
  const out = new Float64Array(count * across.length);
  for (let i = 0; i < count; i++) {
    const from = (down ? down[i]! : i) * cols;
    for (let j = 0; j < across.length; j++) out[i * across.length + j] = data[from + across[j]!]!;
  }
  return matrix(count, across.length, out);
}

/** The covariance of slot q, [w x w]. */
export const slotCovariance = ({ blocks, width }: Slots, q: number): Matrix => columns(blocks[q]!, q * width, width);

/** The mean of the slots' covariances, [w x w]. */
export function meanCovariance(problem: Slots): Matrix {
  const { slots, width } = problem;
  const sum = new Float64Array(width * width);
  for (let q = 0; q < slots; q++) {
    const { data } = slotCovariance(problem, q);
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + data[i]! / slots;
  }
  return matrix(width, width, sum);
}

/** D C [S r x S w], D being the banks at all slots. */
export function throughCovariance({ blocks, algebra }: Slots, banks: Banks): Matrix {
  return stackRows(blocks.map((block, q) => algebra.multiply(bankAt(banks, q), block)));
}

export const bankAt = (banks: Banks, q: number): Matrix => (banks.length === 1 ? banks[0]! : banks[q]!);

/** A D^T: [k x S w] -> [k x S r]. */
export function features({ slots, width, algebra }: Slots, values: Matrix, banks: Banks): Matrix {
  const { rows } = values;
  const r = banks[0]!.rows;
  if (banks.length === 1) {
    const slices = matrix(rows * slots, width, values.data);
    return matrix(rows, slots * r, algebra.multiplyTransposed(slices, banks[0]!).data);
  }
  const out = new Float64Array(rows * slots * r);
  for (let q = 0; q < slots; q++) {
    const { data } = algebra.multiplyTransposed(columns(values, q * width, width), banks[q]!);
    for (let i = 0; i < rows; i++) out.set(data.subarray(i * r, (i + 1) * r), (i * slots + q) * r);
  }
  return matrix(rows, slots * r, out);
}

/** What coefficients [k x S r] make of values [k x S w] for each bank: sum over slots of H_q^T E_q, [r x w]. */
export function adjoint({ slots, width, own, algebra }: Slots, coefficients: Matrix, values: Matrix): Banks {
  return slotColumns(coefficients, slots, own).map((part, q) => {
    const seen = own ? columns(values, q * width, width) : matrix(values.rows * slots, width, values.data);
    return algebra.multiply(transpose(part), seen);
  });
}

/** H as [k S x r], or for banks of their own as [k x r] for each slot. */
export function slotColumns(coefficients: Matrix, slots: number, own: boolean): readonly Matrix[] {
  const r = coefficients.cols / slots;
  if (!own) return [matrix(coefficients.rows * slots, r, coefficients.data)];
  return Array.from({ length: slots }, (_, q) => columns(coefficients, q * r, r));
}
