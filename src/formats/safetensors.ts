// The safetensors format: named tensors behind a JSON header. Pure: bytes in, bytes out.
import { FilterBasisError } from "../errors/error.js";
import { elementBytes, elements } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";

const names = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U64: "uint64",
  U32: "uint32",
  U16: "uint16",
  U8: "uint8",
  BOOL: "bool",
  F8_E4M3: "float8e4m3fn",
  F8_E5M2: "float8e5m2",
} as const satisfies Record<string, DataType>;
const codes = new Map<DataType, string>(Object.entries(names).map(([code, type]) => [type, code]));
const types = new Map<string, DataType>(Object.entries(names));

/** The format's own limit on the header. */
const longestHeader = 100_000_000;

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads a file; the tensors are views on `bytes`.
 * @throws FilterBasisError `malformed` or `unsupported`, naming the tensor and the field
 */
export function readSafetensors(bytes: Uint8Array, { file }: { readonly file?: string } = {}): SafetensorsFile {
  const place = file === undefined ? {} : { file };
  const fail = (message: string, details: object = {}): never => {
    throw new FilterBasisError("malformed", message, { ...place, ...details });
  };
  if (bytes.length < 8) fail("not a safetensors file", { expected: "at least 8 bytes", got: `${bytes.length}` });
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > longestHeader || length > bytes.length - 8) {
    fail("the header is longer than it can be", {
      expected: `at most ${Math.min(longestHeader, bytes.length - 8)} bytes`,
      got: `${length}`,
    });
  }
  const start = 8 + Number(length);
  const header = parseHeader(bytes.subarray(8, start), fail);
  const tensors = new Map<string, TensorData>();
  let metadata = new Map<string, string>();
  const spans: [begin: number, end: number, name: string][] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      metadata = readMetadata(entry, fail);
      continue;
    }
    const { type, dims, begin, end } = readEntry(name, entry, fail);
    if (end > bytes.length - start)
      fail("the tensor ends beyond the file", {
        tensor: name,
        expected: `at most ${bytes.length - start}`,
        got: `${end}`,
      });
    if (end - begin !== elements(dims) * elementBytes[type]) {
      fail("the size does not fit the shape", {
        tensor: name,
        expected: `${elements(dims) * elementBytes[type]} bytes`,
        got: `${end - begin}`,
      });
    }
    spans.push([begin, end, name]);
    tensors.set(name, { type, dims, data: bytes.subarray(start + begin, start + end) });
  }
  let reached = 0;
  for (const [begin, end, name] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== reached)
      fail("tensors overlap or leave a gap", { tensor: name, expected: `offset ${reached}`, got: `${begin}` });
    reached = end;
  }
  if (reached !== bytes.length - start)
    fail("bytes behind the last tensor", { expected: `${reached}`, got: `${bytes.length - start}` });
  return { tensors, metadata };
}

type Fail = (message: string, details?: object) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    fail("the header is not JSON", { cause });
  }
  return fail("the header is not a JSON object");
}

function readMetadata(value: unknown, fail: Fail): Map<string, string> {
  const entries =
    typeof value === "object" && value !== null
      ? Object.entries(value)
      : fail("metadata is not an object", { field: "__metadata__" });
  for (const [key, text] of entries) if (typeof text !== "string") fail("metadata holds only strings", { field: key });
  return new Map(entries as [string, string][]);
}

function readEntry(
  name: string,
  value: unknown,
  fail: Fail,
): { type: DataType; dims: readonly number[]; begin: number; end: number } {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const type = typeof dtype === "string" ? types.get(dtype) : undefined;
  if (type === undefined) fail("unknown element type", { tensor: name, field: "dtype", got: JSON.stringify(dtype) });
  const sizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!sizes(shape) || !Number.isSafeInteger(elements(shape)))
    return fail("the shape is not a list of sizes", { tensor: name, field: "shape", got: JSON.stringify(shape) });
  if (!sizes(offsets) || offsets.length !== 2 || (offsets[0] as number) > (offsets[1] as number)) {
    return fail("the offsets are not a span", { tensor: name, field: "data_offsets", got: JSON.stringify(offsets) });
  }
  return { type: type as DataType, dims: shape, begin: offsets[0] as number, end: offsets[1] as number };
}

/**
 * The file as chunks to be written one after another (the tensors' bytes are not copied). The header is padded to 8
 * bytes.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array[] {
  const header: [string, unknown][] = metadata.size > 0 ? [["__metadata__", Object.fromEntries(metadata)]] : [];
  let offset = 0;
  for (const [name, { type, dims, data }] of tensors) {
    const dtype = codes.get(type);
    if (dtype === undefined || name === "__metadata__") {
      throw new FilterBasisError("unsupported", "safetensors cannot hold this tensor", {
        tensor: name,
        expected: [...codes.keys()].join(", "),
        got: type,
      });
    }
    header.push([name, { dtype, shape: dims, data_offsets: [offset, offset + data.length] }]);
    offset += data.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(text, 8);
  return [padded, ...[...tensors.values()].map(({ data }) => data)];
}
