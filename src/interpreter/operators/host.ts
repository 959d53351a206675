// Small constants and shapes as plain numbers: shape arithmetic happens in JavaScript and never touches libtorch.
import { elements } from "../../graph/attributes.js";
import type { DataType, TensorData } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";

/** More elements than this and a constant is kept as a tensor only. */
export const hostLimit = 256;

/** A small tensor as numbers, row-major. float32 values are rounded to float32; int64 beyond 2^53 lose digits (`source` has them all). */
export class Host {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  /** The constant that the numbers came from, when they are one. */
  readonly source: TensorData | undefined;

  constructor(type: DataType, dims: readonly number[], values: readonly number[], source?: TensorData) {
    this.type = type;
    this.dims = dims;
    this.values = values;
    this.source = source;
  }
}

/** A constant as numbers, or undefined where it is too large or not numeric. */
export function hostOf(constant: TensorData): Host | undefined {
  if (elements(constant.dims) > hostLimit) return undefined;
  return new Host(constant.type, constant.dims, Array.from(numbers(constant)), constant);
}

/** A vector of int64. */
export const hostInts = (values: readonly number[]): Host => new Host("int64", [values.length], values);
