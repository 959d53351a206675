// New tensors, from a shape or from typed arrays, on a device. Elements are float32 unless said otherwise, whatever the
// numbers look like.
import { call } from "./call.js";
import type { Device } from "./device.js";
import { type DType, fromArray, type Tensor } from "./tensor.js";

export { fromArray } from "./tensor.js";

export interface MakeOptions {
  readonly dtype?: DType;
  /** Default: the processor. */
  readonly device?: Device;
}

type Named = readonly [] | readonly [MakeOptions];

/** float32 on the CPU is what libtorch makes by itself from a shape. */
const options = ({ dtype = "float32", device }: MakeOptions): Named =>
  dtype === "float32" && device === undefined ? [] : typed({ dtype, ...(device !== undefined && { device }) });

/** Where libtorch would follow the number: 1 makes whole numbers. */
const typed = ({ dtype = "float32", device }: MakeOptions): Named => [
  { dtype, ...(device !== undefined && { device }) },
];

export function zeros(shape: readonly number[], o: MakeOptions = {}): Tensor {
  return call("zeros", shape, ...options(o));
}

export function ones(shape: readonly number[], o: MakeOptions = {}): Tensor {
  return call("ones", shape, ...options(o));
}

export function full(shape: readonly number[], value: number, o: MakeOptions = {}): Tensor {
  return call("full", shape, value, ...typed(o));
}

/** Uninitialised elements. */
export function empty(shape: readonly number[], o: MakeOptions = {}): Tensor {
  return call("empty.memory_format", shape, ...options(o));
}

/** Normal deviates from the engine's generator: see manualSeed. */
export function randn(shape: readonly number[], o: MakeOptions = {}): Tensor {
  return call("randn", shape, ...options(o));
}

/** 0, 1, ... end - 1 */
export function arange(end: number, o: MakeOptions = {}): Tensor {
  return call("arange", end, ...typed(o));
}

/** Zeros of the shape, dtype and device of another tensor. */
export function zerosLike(tensor: Tensor): Tensor {
  return call("zeros_like", tensor);
}

/** A tensor of no dimensions. */
export function scalar(
  value: number,
  { dtype = "float32", device }: { dtype?: "float32" | "float64"; device?: Device } = {},
): Tensor {
  return fromArray(dtype === "float32" ? Float32Array.of(value) : Float64Array.of(value), [], dtype, device);
}
