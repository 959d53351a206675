// The typed data fields of TensorProto (float_data and its kin), decoded into the little-endian bytes that raw_data
// would have.
import { elementBytes } from "../../graph/attributes.js";
import type { DataType } from "../../graph/types.js";
import { Cursor, wire } from "./wire.js";

type TypedField = "floatData" | "int32Data" | "int64Data" | "doubleData" | "uint64Data";
type Elements = { [at: number]: number | bigint; readonly buffer: ArrayBufferLike; readonly length: number };

/** Which typed field holds which element types, and the array that they become (onnx.proto, TensorProto). */
const arrays: Record<TypedField, Partial<Record<DataType, (length: number) => Elements>>> = {
  floatData: { float32: (n) => new Float32Array(n), complex64: (n) => new Float32Array(n) },
  doubleData: { float64: (n) => new Float64Array(n), complex128: (n) => new Float64Array(n) },
  int64Data: { int64: (n) => new BigInt64Array(n) },
  uint64Data: { uint64: (n) => new BigUint64Array(n), uint32: (n) => new Uint32Array(n) },
  int32Data: {
    int32: (n) => new Int32Array(n),
    int16: (n) => new Int16Array(n),
    uint16: (n) => new Uint16Array(n),
    // Half floats are stored as their bit patterns.
    float16: (n) => new Uint16Array(n),
    bfloat16: (n) => new Uint16Array(n),
    int8: (n) => new Int8Array(n),
    // One byte an element; types of 4 and 2 bits are packed into bytes, and these came one or four to a number.
    ...Object.fromEntries(
      ["uint8", "bool", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0"]
        .concat(["uint4", "int4", "float4e2m1", "uint2", "int2"])
        .map((type) => [type, (n: number) => new Uint8Array(n)]),
    ),
  },
};

/**
 * The elements in one typed field of a TensorProto, as raw bytes; undefined where the field cannot hold the type.
 * `expected` is the size in bytes that the shape asks for. Numbers may come packed, one by one, or both. The bytes have
 * passed `checkBytes`.
 */
export function typedData(
  bytes: Uint8Array,
  no: number,
  field: TypedField,
  type: DataType,
  expected: number,
): Uint8Array | undefined {
  const make = arrays[field][type];
  if (make === undefined) return undefined;
  const fixed = field === "floatData" ? 4 : field === "doubleData" ? 8 : 0;
  const number = count(bytes, no, fixed);
  if (elementBytes[type] < 1 && number < expected && number === Math.ceil(expected / 4)) {
    const words = new Uint32Array(number);
    fillSmall(bytes, no, words);
    return new Uint8Array(words.buffer, 0, expected);
  }
  const values = make(number);
  if (fixed > 0) copyFixed(bytes, no, new Uint8Array(values.buffer));
  else if (field === "int32Data") fillSmall(bytes, no, values);
  else fillLong(bytes, no, values, type);
  return new Uint8Array(values.buffer);
}

function count(bytes: Uint8Array, no: number, fixed: number): number {
  let sum = 0;
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    if (cursor.no !== no) continue;
    if (fixed > 0) sum += (cursor.to - cursor.from) / fixed;
    else if (cursor.type === wire.varint) sum++;
    else for (let at = cursor.from; at < cursor.to; at++) if ((bytes[at] as number) < 128) sum++;
  }
  return sum;
}

/** Numbers of fixed width lie in the file as they lie in memory. */
function copyFixed(bytes: Uint8Array, no: number, target: Uint8Array): void {
  let done = 0;
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    if (cursor.no !== no) continue;
    target.set(bytes.subarray(cursor.from, cursor.to), done);
    done += cursor.to - cursor.from;
  }
}

/** Varints of which the low 32 bits count (int32: negative ones take ten bytes). */
function fillSmall(bytes: Uint8Array, no: number, values: Elements): void {
  let done = 0;
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    if (cursor.no !== no) continue;
    for (let at = cursor.from; at < cursor.to; ) {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] as number;
        if (shift < 32) value |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      values[done++] = value;
    }
  }
}

/** Varints of 64 bits, as low and high half. */
function fillLong(bytes: Uint8Array, no: number, values: Elements, type: DataType): void {
  const halves = new Uint32Array(values.buffer);
  const stride = type === "uint32" ? 1 : 2;
  let done = 0;
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    if (cursor.no !== no) continue;
    for (let at = cursor.from; at < cursor.to; done += stride) {
      let low = 0;
      let high = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] as number;
        if (shift < 28) low |= (byte & 127) << shift;
        else if (shift === 28) {
          low |= (byte & 15) << 28;
          high = (byte & 127) >> 4;
        } else high |= (byte & 127) << (shift - 32);
        if (byte < 128) break;
      }
      halves[done] = low;
      if (stride === 2) halves[done + 1] = high;
    }
  }
}
