// CIFAR-10's Python version: batches that were pickled. They are read as data; nothing in them is ever executed.
import { FilterBasisError, isError } from "../errors/error.js";
import { type PickleRules, type PickleValue, readPickle } from "../formats/pickle.js";
import { cifar10FromBinary } from "./cifar10-binary.js";
import type { ImageData } from "./image-set.js";

const pixels = 3 * 32 * 32;

/**
 * What numpy's calls leave here: the element type of an array, and the array's state (version, shape, dtype, fortran,
 * bytes).
 */
class ElementType {
  readonly code: PickleValue;
  constructor(code: PickleValue) {
    this.code = code;
  }
}
class NumpyArray {
  state: readonly PickleValue[] = [];
}
/** Bytes as Python 3 writes them for protocol 2: latin-1 text that _codecs.encode would turn back. */
class EncodedText {
  readonly text: PickleValue;
  constructor(text: PickleValue) {
    this.text = text;
  }
}

const calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  "numpy.core.multiarray._reconstruct": () => new NumpyArray(),
  "numpy._core.multiarray._reconstruct": () => new NumpyArray(),
  "numpy.dtype": ([code = null]) => new ElementType(code),
  "_codecs.encode": ([text = null]) => new EncodedText(text),
};

const rules: PickleRules = {
  names: (name) => Object.hasOwn(calls, name) || name === "numpy.ndarray",
  call(name, args) {
    const run = Object.hasOwn(calls, name) ? calls[name] : undefined;
    if (run === undefined)
      throw new FilterBasisError("unsupported", `the batch calls ${JSON.stringify(name)}`, { field: name });
    return run(args);
  },
  byteString: (bytes) => bytes,
  setState(object, state) {
    if (object instanceof ElementType) return true;
    if (!(object instanceof NumpyArray) || !Array.isArray(state)) return false;
    object.state = state;
    return true;
  },
};

/**
 * Image sets from pickled batches by file name: each a dict with `data` (a numpy array of bytes [n, 3072]) and `labels`
 * (a list of n integers).
 * @throws FilterBasisError `malformed`, `unsupported`
 */
export function cifar10FromPython(parts: ReadonlyMap<string, Uint8Array>, origin = "CIFAR-10"): ImageData {
  const records = [...parts].map(([file, bytes]) => [`${file}.bin`, toRecords(readBatch(bytes, file), file)] as const);
  return cifar10FromBinary(new Map(records), origin);
}

function readBatch(bytes: Uint8Array, file: string): PickleValue {
  try {
    return readPickle(bytes, rules).value;
  } catch (error) {
    throw isError(error) ? error.at({ file }) : error;
  }
}

function toRecords(batch: PickleValue, file: string): Uint8Array {
  const fail = (field: string, expected: string): never => {
    throw new FilterBasisError("malformed", "this is not a batch of CIFAR-10", { file, field, expected });
  };
  if (!(batch instanceof Map)) return fail("", "a dictionary");
  const get = (key: string) => [...batch].find(([name]) => asText(name) === key)?.[1];
  const [data, labels] = [get("data"), get("labels")];
  if (!Array.isArray(labels)) return fail("labels", "a list of integers");
  const pixelsOf = arrayBytes(data);
  if (pixelsOf === undefined || pixelsOf.length !== labels.length * pixels)
    return fail("data", `${labels.length} images of ${pixels} bytes, in rows`);
  const out = new Uint8Array(labels.length * (1 + pixels));
  for (const [n, label] of labels.entries()) {
    if (!Number.isInteger(label) || label < 0 || label > 9) return fail("labels", "integers from 0 to 9");
    out[n * (1 + pixels)] = label as number;
    out.set(pixelsOf.subarray(n * pixels, (n + 1) * pixels), n * (1 + pixels) + 1);
  }
  return out;
}

/** The bytes of a numpy uint8 array in C order. */
function arrayBytes(value: PickleValue | undefined): Uint8Array | undefined {
  if (!(value instanceof NumpyArray)) return undefined;
  const [, , type, fortran, raw = null] = value.state;
  const code = type instanceof ElementType ? asText(type.code) : undefined;
  return (code === "u1" || code === "|u1") && fortran === false ? asBytes(raw) : undefined;
}

function asBytes(value: PickleValue): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (!(value instanceof EncodedText) || typeof value.text !== "string") return undefined;
  return Uint8Array.from(value.text, (letter) => letter.charCodeAt(0));
}

/** A key or a name: text, or the bytes of Python 2. Longer ones are neither. */
function asText(value: PickleValue): string | undefined {
  if (typeof value === "string") return value;
  if (value instanceof EncodedText) return typeof value.text === "string" ? value.text : undefined;
  return value instanceof Uint8Array && value.length < 100 ? new TextDecoder().decode(value) : undefined;
}
