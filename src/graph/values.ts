// The numbers in a constant tensor: decoding what models store (half, bfloat16, double, small integers), and encoding
// it again.
import { FilterBasisError } from "../errors/error.js";
import { elementBytes, elements } from "./attributes.js";
import type { DataType, TensorData } from "./types.js";

/** Element types whose numbers are floating-point. */
export const isFloat = (type: DataType): boolean =>
  type === "float32" || type === "float16" || type === "float64" || type === "bfloat16";

/**
 * The elements as float32, row-major. float32 data at an aligned offset is returned as a view (do not write to it);
 * everything else is a copy. float16 and bfloat16 are widened exactly; float64 and integers are rounded to float32.
 * Other types: a typed error.
 */
export function floats(tensor: TensorData): Float32Array {
  const { data } = tensor;
  if (tensor.type === "float32" && data.byteOffset % 4 === 0) {
    return new Float32Array(data.buffer as ArrayBuffer, data.byteOffset, checkedCount(tensor));
  }
  if (tensor.type === "float32") return new Float32Array(aligned(tensor));
  if (tensor.type === "float16") {
    const halfs = new Uint16Array(aligned(tensor));
    const decoded = new Float32Array(halfs.length);
    for (let i = 0; i < halfs.length; i++) decoded[i] = halfToFloat(halfs[i]!);
    return decoded;
  }
  if (tensor.type === "bfloat16") {
    const words = Uint32Array.from(new Uint16Array(aligned(tensor)), (word) => word << 16);
    return new Float32Array(words.buffer);
  }
  return Float32Array.from(numbers(tensor));
}

/**
 * The elements as doubles: exact for every numeric type but int64 and uint64 beyond 2^53. Other types: a typed error.
 */
export function numbers(tensor: TensorData): Float64Array {
  switch (tensor.type) {
    case "float32":
    case "float16":
    case "bfloat16":
      return Float64Array.from(floats(tensor));
    case "float64":
      return new Float64Array(aligned(tensor));
    case "int64":
      return Float64Array.from(new BigInt64Array(aligned(tensor)), Number);
    case "uint64":
      return Float64Array.from(new BigUint64Array(aligned(tensor)), Number);
    case "int32":
      return Float64Array.from(new Int32Array(aligned(tensor)));
    case "uint32":
      return Float64Array.from(new Uint32Array(aligned(tensor)));
    case "int16":
      return Float64Array.from(new Int16Array(aligned(tensor)));
    case "uint16":
      return Float64Array.from(new Uint16Array(aligned(tensor)));
    case "int8":
      return Float64Array.from(new Int8Array(aligned(tensor)));
    case "uint8":
    case "bool":
      return Float64Array.from(new Uint8Array(aligned(tensor)));
    default:
      throw new FilterBasisError("unsupported", `the numbers of a tensor of type ${tensor.type} cannot be read`);
  }
}

/** The elements of an integer or bool tensor as numbers. A float tensor is a typed error. */
export function ints(tensor: TensorData): number[] {
  if (isFloat(tensor.type)) {
    throw new FilterBasisError("type-mismatch", "a tensor of integers was needed", {
      expected: "integers",
      got: tensor.type,
    });
  }
  return Array.from(numbers(tensor));
}

/**
 * A constant of the given type over the given numbers: rounded to nearest even for float types, which must be
 * representable for integer ones.
 * @example
 * ```ts
 * import { floats, tensorOf } from "filterbasis";
 *
 * const half = tensorOf("float16", [2, 2], [1, 2, 3, 1 / 3]);
 * console.log(floats(half)); // the last one rounded to half precision
 * ```
 */
export function tensorOf(type: DataType, dims: readonly number[], values: ArrayLike<number>): TensorData {
  if (values.length !== elements(dims)) {
    throw new FilterBasisError("shape-mismatch", "the values do not fill the shape", {
      expected: `${elements(dims)} values for [${dims.join(", ")}]`,
      got: String(values.length),
    });
  }
  return { type, dims, data: encode(type, values) };
}

function encode(type: DataType, values: ArrayLike<number>): Uint8Array {
  switch (type) {
    case "float32":
      return bytes(Float32Array.from(values));
    case "float64":
      return bytes(Float64Array.from(values));
    case "float16":
      return bytes(mapped(values, floatToHalf));
    case "bfloat16":
      return bytes(mapped(values, floatToBfloat));
    case "int64":
      return bytes(BigInt64Array.from(Array.from(values, BigInt)));
    case "uint64":
      return bytes(BigUint64Array.from(Array.from(values, BigInt)));
    case "int32":
      return bytes(Int32Array.from(values));
    case "uint32":
      return bytes(Uint32Array.from(values));
    case "int16":
      return bytes(Int16Array.from(values));
    case "uint16":
      return bytes(Uint16Array.from(values));
    case "int8":
      return bytes(Int8Array.from(values));
    case "uint8":
      return bytes(Uint8Array.from(values));
    case "bool":
      return bytes(Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)));
    default:
      throw new FilterBasisError("unsupported", `a tensor of type ${type} cannot be made from numbers`);
  }
}

/** A loop, for from() with a function is ten times slower on millions of weights. */
function mapped(values: ArrayLike<number>, encodeOne: (value: number) => number): Uint16Array {
  const encoded = new Uint16Array(values.length);
  for (let i = 0; i < encoded.length; i++) encoded[i] = encodeOne(values[i]!);
  return encoded;
}

const bytes = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);

function checkedCount(tensor: TensorData): number {
  const count = elements(tensor.dims);
  const expected = count * elementBytes[tensor.type];
  if (tensor.data.byteLength === expected) return count;
  throw new FilterBasisError("invalid-graph", "the bytes of a tensor do not fill its shape", {
    expected: `${expected} bytes for ${tensor.type}[${tensor.dims.join(", ")}]`,
    got: String(tensor.data.byteLength),
  });
}

function aligned(tensor: TensorData): ArrayBuffer {
  checkedCount(tensor);
  return new Uint8Array(tensor.data).buffer; // copies; slice() of a Buffer would not
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** All 65,536 values of binary16, made when first needed. */
let halves: Float32Array | undefined;

/** IEEE 754 binary16 -> number, exactly. */
export function halfToFloat(half: number): number {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => decodeHalf(bits));
  return halves[half]!;
}

function decodeHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Number -> IEEE 754 binary16, to nearest, ties to even; beyond 65504 (by half a step) infinite. */
export function floatToHalf(value: number): number {
  single[0] = value;
  return single[0] === value ? singleToHalf(word[0]!) : doubleToHalf(value);
}

/**
 * The bits of a float32 -> those of a float16. Rounds by adding half a step (less one where the kept part is even)
 * before cutting.
 */
function singleToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size >= 0x477ff000) return sign | 0x7c00; // 65520 and up; NaN never comes here
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  const shift = 126 - (size >>> 23); // below 2^-14: a count of steps of 2^-24
  if (shift > 24) return sign;
  const fraction = (size & 0x7fffff) | 0x800000;
  const steps = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (rest > middle || (rest === middle && steps % 2 === 1) ? steps + 1 : steps);
}

/** For numbers that are no float32, rounded once. */
function doubleToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  const exponent = size < 2 ** -14 ? -14 : exponentOf(size);
  const steps = roundEven(size / 2 ** (exponent - 10)); // in units of the last place; 1024..2048 for normal numbers
  return sign | (size < 2 ** -14 ? steps : ((exponent + 14) << 10) + steps);
}

/** Number -> bfloat16, to nearest, ties to even. */
function floatToBfloat(value: number): number {
  single[0] = value;
  const bits = word[0]!;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The nearest bfloat16, as a number. */
export function toBfloat(value: number): number {
  word[0] = floatToBfloat(value) << 16;
  return single[0]!;
}

function exponentOf(size: number): number {
  const exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) return exponent - 1;
  return 2 ** (exponent + 1) <= size ? exponent + 1 : exponent;
}

/** To the nearest whole number, ties to the even one. */
export function roundEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
