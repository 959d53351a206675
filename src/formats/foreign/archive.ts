// Zip archives, by the names in them: PyTorch, Keras and NumPy keep their files in such.

import type { KindName } from "./kinds.js";
import { hasBytes } from "./magic.js";

const decoder = new TextDecoder();
/** The most names that are looked at. */
const most = 100_000;

/** A row is tried only where those before it did not fit. */
const contents: readonly (readonly [KindName, RegExp])[] = [
  ["torch-export", /(^|\/)(archive_format|serialized_exported_program\.json|models\/model\.json)$/],
  ["torchscript", /(^|\/)(constants\.pkl|code\/.*\.py|bytecode\.pkl)$/],
  ["pytorch", /(^|\/)data\.pkl$/],
  ["keras", /^(model\.weights\.h5|metadata\.json)$/],
  ["coreml", /(\.mlpackage\/|com\.apple\.CoreML\/|\.mlmodel$)/],
  ["saved-model", /(^|\/)saved_model\.pb$/],
  ["zip-with-onnx", /\.onnx$/],
  ["numpy", /^[^/]*\.npy$/],
];

/** What a zip archive holds, by its beginning and its end; undefined for bytes that are no zip archive. */
export function byEntries(bytes: Uint8Array, tail: Uint8Array): KindName | undefined {
  if (!hasBytes(bytes, 0, "PK\x03\x04") && !hasBytes(bytes, 0, "PK\x05\x06")) return undefined;
  const names = [...entryNames(bytes), ...entryNames(tail)];
  return contents.find(([, pattern]) => names.some((name) => pattern.test(name)))?.[0] ?? "zip";
}

/**
 * Names from the headers of the entries, which stand before each entry and again, one behind another, in the
 * directory at the end.
 */
function entryNames(bytes: Uint8Array): readonly string[] {
  const names: string[] = [];
  for (let at = bytes.indexOf(0x50); at >= 0 && names.length < most; at = bytes.indexOf(0x50, at + 1)) {
    const local = hasBytes(bytes, at, "PK\x03\x04");
    if (!local && !hasBytes(bytes, at, "PK\x01\x02")) continue;
    const [length, from] = local ? [at + 26, at + 30] : [at + 28, at + 46];
    const size = (bytes[length] ?? 0) + 256 * (bytes[length + 1] ?? 0);
    names.push(decoder.decode(bytes.subarray(from, from + size)));
    at = from + size - 1;
  }
  return names;
}
