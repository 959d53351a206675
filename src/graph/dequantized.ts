// The floats that stored integers stand for: what DequantizeLinear makes of a constant, or a product with the scales of
// its channels.
import { elements, readInt } from "./attributes.js";
import type { Node, TensorData } from "./types.js";
import { isFloat, numbers, tensorOf } from "./values.js";

const isInteger = ({ type }: TensorData): boolean => /^u?int(8|16|32)$/.test(type);

/**
 * The result of a DequantizeLinear over constants, rounded as runtimes round it; undefined where they do not fit each
 * other or steps are those of blocks.
 */
export function dequantizedTensor(
  node: Node,
  integers: TensorData,
  scale: TensorData,
  zero: TensorData | undefined,
): TensorData | undefined {
  if (!isInteger(integers) || !isFloat(scale.type) || readInt(node, "block_size", 0) !== 0) return undefined;
  const { dims } = integers;
  const stated = readInt(node, "axis", 1);
  const axis = stated < 0 ? stated + dims.length : stated;
  const scales = numbers(scale);
  const zeros = zero && numbers(zero);
  if (scales.length !== 1 && dims[axis] !== scales.length) return undefined;
  if (zeros !== undefined && zeros.length !== scales.length) return undefined;
  return scaled(integers, axis, scale, zeros);
}

/** Integers times scales that have one size other than 1 at most; undefined where they do not fit. */
export function productTensor(integers: TensorData, scale: TensorData): TensorData | undefined {
  if (!isInteger(integers) || !isFloat(scale.type) || scale.dims.length > integers.dims.length) return undefined;
  const before = integers.dims.length - scale.dims.length;
  const axis =
    before +
    Math.max(
      0,
      scale.dims.findIndex((size) => size !== 1),
    );
  const count = elements(scale.dims);
  const fits = count === 1 || (scale.dims[axis - before] === count && integers.dims[axis] === count);
  return fits ? scaled(integers, axis, scale, undefined) : undefined;
}

function scaled(integers: TensorData, axis: number, scale: TensorData, zeros: Float64Array | undefined): TensorData {
  const scales = numbers(scale);
  const { dims } = integers;
  const inner = scales.length === 1 ? 1 : elements(dims.slice(axis + 1));
  const values = numbers(integers);
  for (let i = 0; i < values.length; i++) {
    const at = scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length;
    values[i] = Math.fround(values[i]! - (zeros?.[at] ?? 0)) * scales[at]!;
  }
  return tensorOf(scale.type, dims, values);
}

/** Whether a node widens integers to the floats that they stand for. */
export const isDequantize = ({ op, domain }: Node): boolean => op === "DequantizeLinear" && domain === "";
