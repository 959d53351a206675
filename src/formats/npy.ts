// NumPy's array files: .npy (one array behind a header in Python's notation) and .npz (a ZIP of them). Pure: bytes in,
// arrays out.
import { FilterBasisError, isError } from "../errors/error.js";
import { elementBytes, elements } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { isZip, readZip } from "./zip.js";

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** Headers of plain arrays take about a hundred bytes; numpy itself refuses more than 10,000. */
const longestHeader = 1 << 16;
/** The largest array that is unpacked from an .npz file. */
const largestEntry = 4 * 2 ** 30;

/** Element types by numpy's kind and size; the first letter says the byte order. */
const types: Readonly<Record<string, DataType>> = {
  f2: "float16",
  f4: "float32",
  f8: "float64",
  i1: "int8",
  i2: "int16",
  i4: "int32",
  i8: "int64",
  u1: "uint8",
  u2: "uint16",
  u4: "uint32",
  u8: "uint64",
  b1: "bool",
};

/** True when the bytes begin as an .npy file does. */
function isNpy(bytes: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

/**
 * One array, row-major and little-endian; a view on `bytes` where it lies so in the file.
 * @throws FilterBasisError `malformed`; `unsupported` for objects, text, complex numbers and records
 */
export function readNpy(bytes: Uint8Array, { file }: { readonly file?: string } = {}): TensorData {
  try {
    return readArray(bytes);
  } catch (error) {
    throw isError(error) && file !== undefined ? error.at({ file }) : error;
  }
}

/**
 * The arrays of an .npz file by name, stored or deflated. A file that holds more than arrays is refused.
 * @throws FilterBasisError `malformed`, `unsupported`, `too-large`, naming the array
 */
export async function readNpz(
  bytes: Uint8Array,
  { file }: { readonly file?: string } = {},
): Promise<ReadonlyMap<string, TensorData>> {
  const arrays = new Map<string, TensorData>();
  try {
    if (!isZip(bytes)) fail("this is not an .npz file: it does not begin as a ZIP archive does");
    for await (const { name, bytes: content } of readZip(bytes, { most: largestEntry })) {
      const [array, ...rest] = name.split(/\.npy$/);
      if (array === undefined || rest.length === 0)
        throw new FilterBasisError("unsupported", "the archive holds something that is no array", {
          field: name,
          expected: "entries NAME.npy, as numpy.savez writes them",
        });
      arrays.set(array, readEntry(array, content));
    }
  } catch (error) {
    throw isError(error) && file !== undefined ? error.at({ file }) : error;
  }
  return arrays;
}

function readEntry(name: string, bytes: Uint8Array): TensorData {
  try {
    return readArray(bytes);
  } catch (error) {
    throw isError(error) ? error.at({ tensor: name }) : error;
  }
}

function readArray(bytes: Uint8Array): TensorData {
  if (!isNpy(bytes)) fail("this is not an .npy file");
  const version = bytes[6] ?? 0;
  if (version < 1 || version > 3)
    throw new FilterBasisError("unsupported", "unknown version of the .npy format", {
      expected: "1 to 3",
      got: String(version),
    });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) fail("the .npy file is cut off");
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > longestHeader || start + length > bytes.length)
    fail("the header of the .npy file is longer than it can be", `${length} bytes`);
  const { type, swapped, fortran, dims } = readHeader(new TextDecoder().decode(bytes.subarray(start, start + length)));
  const data = bytes.subarray(start + length);
  const expected = elements(dims) * elementBytes[type];
  if (!Number.isSafeInteger(expected) || data.length !== expected)
    fail("the size of the array does not fit its shape", `${data.length} bytes for [${dims.join(", ")}] of ${type}`);
  const ordered = swapped ? byteSwapped(data, elementBytes[type]) : data;
  return { type, dims, data: fortran && dims.length > 1 ? rowMajor(ordered, dims, elementBytes[type]) : ordered };
}

interface Header {
  readonly type: DataType;
  readonly swapped: boolean;
  readonly fortran: boolean;
  readonly dims: readonly number[];
}

/** "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }": the three keys in any order, and nothing else. */
function readHeader(text: string): Header {
  let rest =
    /^\{(.*)\}\s*$/s.exec(text)?.[1]?.trim() ?? fail("the header of the .npy file is not a dictionary", shown(text));
  const found = new Map<string, string>();
  while (rest !== "") {
    // A value in the notation of these headers: a text, a tuple of numbers, a name; or a list, which stands for a
    // record type.
    const entry = /^'(\w+)'\s*:\s*('[^']*'|\([\d\s,L]*\)|\w+|\[.*\])\s*(?:,\s*|$)/s.exec(rest);
    if (entry === null || found.has(entry[1] as string))
      return fail("the header of the .npy file cannot be read", shown(text));
    found.set(entry[1] as string, entry[2] as string);
    rest = rest.slice(entry[0].length);
  }
  const [descr, order, shape] = [found.get("descr"), found.get("fortran_order"), found.get("shape")];
  if (found.size !== 3 || descr === undefined || shape === undefined || !shape.startsWith("("))
    return fail("the header of the .npy file lacks descr, fortran_order or shape", shown(text));
  if (order !== "True" && order !== "False") return fail("fortran_order is neither True nor False", order);
  const [, byteOrder = "", kind = ""] = /^'([<>|=]?)([^<>|=]*)'$/.exec(descr) ?? [];
  const type = Object.hasOwn(types, kind) ? types[kind] : undefined;
  if (type === undefined)
    throw new FilterBasisError("unsupported", "the array has elements of a type that is not read", {
      expected: "booleans, whole numbers or floats",
      got: shown(descr),
    });
  const sizes = shape
    .slice(1, -1)
    .split(",")
    .map((size) => size.trim().replace(/L$/, ""));
  const dims = sizes
    .filter((size, i) => size !== "" || i < sizes.length - 1)
    .map((size) => (/^\d{1,15}$/.test(size) ? Number(size) : -1));
  if (dims.some((dim) => dim < 0)) return fail("the shape of the array is no list of sizes", shape);
  return { type, swapped: byteOrder === ">" && elementBytes[type] > 1, fortran: order === "True", dims };
}

function byteSwapped(data: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) out[i] = data[i - (i % width) + width - 1 - (i % width)]!;
  return out;
}

/** Column-major elements [d0, d1, ...] in row-major order. */
function rowMajor(data: Uint8Array, dims: readonly number[], width: number): Uint8Array {
  const out = new Uint8Array(data.length);
  const strides = dims.map((_, axis) => elements(dims.slice(0, axis)));
  const index = dims.map(() => 0);
  for (let to = 0, from = 0; to < out.length; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = data[from * width + byte]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      index[axis]! += 1;
      from += strides[axis]!;
      if (index[axis]! < dims[axis]!) break;
      from -= strides[axis]! * dims[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 120));

function fail(message: string, got?: string): never {
  throw new FilterBasisError("malformed", message, got === undefined ? {} : { got });
}
