// How two tensors differ: largest and root mean square difference, correlation, share of equal elements, and what is
// not finite.
import { elements } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import { floats, isFloat, numbers } from "../graph/values.js";

export interface Differences {
  readonly count: number;
  /** Elements that are finite on both sides. */
  readonly finite: number;
  /** Over the elements that are finite on both sides. */
  readonly max: number;
  readonly rms: number;
  /** How many elements the root mean square rests on: of n alike n, of one outlier 1. */
  readonly effective: number;
  /** Of the second tensor: the largest magnitude, the root mean square, and that around the mean. */
  readonly scale: { readonly max: number; readonly rms: number; readonly spread: number };
  /** Between the tensors; undefined where one of them is constant. */
  readonly correlation: number | undefined;
  /** Elements that are not the same. */
  readonly unequal: number;
  /** Elements further apart than `limit`. */
  readonly beyond: number;
  /** Elements that are NaN or infinite on one side, or differently so on both. NaN beside NaN is the same. */
  readonly notFinite: number;
}

/** Of tensors beside themselves: asked for again and again, of outputs of millions of elements. */
const known = new WeakMap<TensorData, Differences>();

/** Compares two tensors of the same shape element by element. */
export function differences(got: TensorData, expected: TensorData, limit = 0): Differences {
  if (got !== expected) return compared(got, expected, limit);
  const found = known.get(got) ?? compared(got, got, 0);
  known.set(got, found);
  return found;
}

function compared(got: TensorData, expected: TensorData, limit: number): Differences {
  const [a, b] = [values(got), values(expected)];
  let [max, largest, squares, fourths, unequal, beyond, notFinite, finite] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [sumA, sumB, sumAA, sumBB, sumAB] = [0, 0, 0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      if (!Object.is(x, y)) [unequal, beyond, notFinite] = [unequal + 1, beyond + 1, notFinite + 1];
      continue;
    }
    const difference = Math.abs(x - y);
    if (difference > 0) unequal++;
    if (difference > limit) beyond++;
    if (difference > max) max = difference;
    if (Math.abs(y) > largest) largest = Math.abs(y);
    const square = difference * difference; // powers are calls, and this is done for hundreds of millions
    squares += square;
    fourths += square * square;
    finite++;
    sumA += x;
    sumB += y;
    sumAA += x * x;
    sumBB += y * y;
    sumAB += x * y;
  }
  const n = Math.max(1, finite);
  const spreadA = Math.max(0, sumAA / n - (sumA / n) ** 2);
  const spreadB = Math.max(0, sumBB / n - (sumB / n) ** 2);
  const shared = sumAB / n - (sumA / n) * (sumB / n);
  const product = Math.sqrt(spreadA) * Math.sqrt(spreadB);
  return {
    count: b.length,
    finite,
    max,
    rms: Math.sqrt(squares / n),
    effective: fourths > 0 ? squares ** 2 / fourths : finite,
    scale: { max: largest, rms: Math.sqrt(sumBB / n), spread: Math.sqrt(spreadB) },
    correlation: product > 0 ? Math.min(1, Math.max(-1, shared / product)) : undefined,
    unequal,
    beyond,
    notFinite,
  };
}

/** True where the tensors have the same shape, whatever their types. */
export const sameShape = (a: TensorData, b: TensorData): boolean =>
  a.dims.length === b.dims.length && a.dims.every((dim, axis) => dim === b.dims[axis]);

/** The elements as numbers that can be compared: texts by a number of their own, 4-bit types by their bytes. */
function values(tensor: TensorData): ArrayLike<number> {
  if (isFloat(tensor.type) && tensor.type !== "float64") return floats(tensor);
  if (tensor.strings !== undefined) return tensor.strings.map(textNumber);
  const known = /^(float64|u?int(8|16|32|64)|bool)$/.test(tensor.type);
  return known && elements(tensor.dims) > 0 ? numbers(tensor) : tensor.data;
}

/** FNV-1a: equal texts have equal numbers. */
function textNumber(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}
