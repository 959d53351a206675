// Between the two kinds of values: numbers for shapes, tensors for everything else.
import { FilterBasisError } from "../../errors/error.js";
import { elements } from "../../graph/attributes.js";
import type { DataType, TensorData } from "../../graph/types.js";
import { floats, numbers } from "../../graph/values.js";
import { fromArray, keptFor, Tensor } from "./aten.js";
import { Host } from "./host.js";
import { boundedList } from "./limits.js";
import type { Inputs, Value } from "./lowering.js";

/** libtorch's element types among ONNX's. float16 is computed as float32 and therefore stands here as float32. */
const engineTypes = {
  float32: "float32",
  float16: "float32",
  float64: "float64",
  int8: "int8",
  int16: "int16",
  int32: "int32",
  int64: "int64",
  uint8: "uint8",
  bool: "bool",
} as const satisfies Partial<Record<DataType, string>>;

export type EngineType = (typeof engineTypes)[keyof typeof engineTypes];

/** The element type in which the engine computes, or undefined where libtorch has none. */
export function engineType(type: DataType): EngineType | undefined {
  return (engineTypes as Partial<Record<DataType, EngineType>>)[type];
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** Constants of unsigned types that libtorch lacks hold their numbers in the next larger type: indices behind a Cast. */
const widened = { uint16: "int32", uint32: "int64" } as const satisfies Partial<Record<DataType, EngineType>>;

/**
 * A constant as a tensor in its engine type (float16 widened to float32, uint16 to int32). A copy: the bytes may lie in a file's buffer.
 */
export function tensorFrom(constant: TensorData, name?: string): Tensor {
  const wide = (widened as Partial<Record<DataType, "int32" | "int64">>)[constant.type];
  if (wide === "int32") return fromArray(Int32Array.from(numbers(constant)), constant.dims, wide);
  if (wide === "int64") return fromArray(BigInt64Array.from(numbers(constant), BigInt), constant.dims, wide);
  const type = engineType(constant.type);
  if (type === undefined) {
    const place = name === undefined ? {} : { tensor: name };
    throw new FilterBasisError("unsupported", `libtorch has no tensors of type ${constant.type}`, place);
  }
  if (constant.type === "float16") return fromArray(Float32Array.from(floats(constant)), constant.dims, type);
  const bytes = new Uint8Array(constant.data); // not slice(): a Buffer's shares its memory
  const count = elements(constant.dims);
  return fromArray(new arrays[type](bytes.buffer, 0, count), constant.dims, type);
}

/** The value as a tensor. The tensor of a constant is made once and lives as long as the constant. */
export function tensor(value: Value | undefined): Tensor {
  if (value instanceof Tensor) return value;
  if (value === undefined) throw new FilterBasisError("invalid-graph", "a required input is left out");
  const { source } = value;
  return source === undefined ? tensorOfNumbers(value) : keptFor(value, () => tensorFrom(source));
}

function tensorOfNumbers({ type, dims, values }: Host): Tensor {
  const engine = engineType(type);
  if (engine === undefined) throw new FilterBasisError("unsupported", `libtorch has no tensors of type ${type}`);
  if (engine === "int64") return fromArray(BigInt64Array.from(values, toInt64), dims, engine);
  return fromArray(arrays[engine].from(values), dims, engine);
}

const maxInt64 = 2n ** 63n - 1n;

/** Numbers at the ends of int64 were rounded up to 2^63; they go back to its ends. */
function toInt64(value: number): bigint {
  const whole = BigInt(Math.trunc(value));
  return whole > maxInt64 ? maxInt64 : whole < -maxInt64 - 1n ? -maxInt64 - 1n : whole;
}

/** The elements as numbers, read back from libtorch where it must be. */
export function numbersOf(value: Value | undefined): readonly number[] {
  if (value === undefined) throw new FilterBasisError("invalid-graph", "a required input is left out");
  if (value instanceof Host) return value.values;
  boundedList(value.shape.reduce((a, b) => a * b, 1));
  return Array.from(value.data() as ArrayLike<number | bigint>, Number);
}

/** The single element of a value, or the fallback where the input is left out. */
export function scalarOf<D extends number | undefined>(value: Value | undefined, fallback: D): number | D {
  return value === undefined ? fallback : (numbersOf(value)[0] ?? fallback);
}

export function dimsOf(value: Value | undefined): readonly number[] {
  if (value === undefined) throw new FilterBasisError("invalid-graph", "a required input is left out");
  return value instanceof Host ? value.dims : value.shape;
}

/** The first input, which every operator but the creators has. */
export const first = (inputs: Inputs): Tensor => tensor(inputs[0]);

/** An axis counted from the front. */
export function fromFront(axis: number, rank: number): number {
  const front = axis < 0 ? axis + rank : axis;
  if (front < 0 || front >= Math.max(rank, 1)) {
    throw new FilterBasisError("shape-mismatch", "an axis lies outside the tensor", {
      expected: `-${rank} to ${rank - 1}`,
      got: String(axis),
    });
  }
  return front;
}

export function isFloating(x: Tensor): boolean {
  const type = x.dtype;
  return type === "float32" || type === "float64" || type === "float16" || type === "bfloat16";
}
