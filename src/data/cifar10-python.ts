// CIFAR-10's Python version: batches that were pickled. They are read as data; nothing in them is ever executed.
import { FilterBasisError } from "../errors/error.js";
import { cifar10FromBinary, type ImageData } from "./cifar10.js";
import { type Pickled, readPickle } from "./pickle.js";

const pixels = 3 * 32 * 32;

/**
 * Image sets from pickled batches by file name: each a dict with `data` (a numpy array of bytes [n, 3072]) and `labels` (a list of n integers).
 * @throws FilterBasisError `malformed`
 */
export function cifar10FromPython(parts: ReadonlyMap<string, Uint8Array>, origin = "CIFAR-10"): ImageData {
  const records = [...parts].map(([file, bytes]) => [`${file}.bin`, toRecords(readPickle(bytes, file), file)] as const);
  return cifar10FromBinary(new Map(records), origin);
}

function toRecords(batch: Pickled, file: string): Uint8Array {
  const fail = (field: string, expected: string): never => {
    throw new FilterBasisError("malformed", "this is not a batch of CIFAR-10", { file, field, expected });
  };
  if (batch.kind !== "dict") return fail("", "a dictionary");
  const get = (key: string) => batch.entries.find(([name]) => asText(name) === key)?.[1];
  const [data, labels] = [get("data"), get("labels")];
  if (labels?.kind !== "list") return fail("labels", "a list of integers");
  const pixelsOf = data && arrayBytes(data);
  if (pixelsOf === undefined || pixelsOf.length !== labels.items.length * pixels)
    return fail("data", `${labels.items.length} images of ${pixels} bytes, in rows`);
  const out = new Uint8Array(labels.items.length * (1 + pixels));
  for (const [n, label] of labels.items.entries()) {
    if (label.kind !== "number" || !Number.isInteger(label.value) || label.value < 0 || label.value > 9)
      return fail("labels", "integers from 0 to 9");
    out[n * (1 + pixels)] = label.value;
    out.set(pixelsOf.subarray(n * pixels, (n + 1) * pixels), n * (1 + pixels) + 1);
  }
  return out;
}

/** The bytes of a numpy uint8 array in C order: `_reconstruct(...)` with the state (version, shape, dtype, fortran, bytes). */
function arrayBytes(value: Pickled): Uint8Array | undefined {
  if (value.kind !== "object" || !value.callee.endsWith("_reconstruct") || value.state?.kind !== "tuple") return undefined;
  const [, , type, fortran, raw] = value.state.items;
  const code = type?.kind === "object" && type.callee.endsWith("dtype") ? asText(type.args[0]) : undefined;
  if (code !== "u1" && code !== "|u1") return undefined;
  if (fortran?.kind !== "constant" || fortran.value !== false) return undefined;
  return raw === undefined ? undefined : asBytes(raw);
}

/** Byte strings: as such, as Python 2 text, or as Python 3 writes them for protocol 2 (latin-1 text through _codecs.encode). */
function asBytes(value: Pickled): Uint8Array | undefined {
  if (value.kind === "bytes") return value.value;
  if (value.kind !== "object" || value.callee !== "_codecs.encode") return undefined;
  const text = value.args[0];
  return text?.kind === "text" ? Uint8Array.from(text.value, (letter) => letter.charCodeAt(0)) : undefined;
}

function asText(value: Pickled | undefined): string | undefined {
  if (value?.kind === "text") return value.value;
  const bytes = value && asBytes(value);
  return bytes && new TextDecoder("latin1").decode(bytes);
}
