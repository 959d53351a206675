// Files that say what they are in their first bytes.
import type { KindName } from "./kinds.js";

/** Bytes at a place; in text, every character is one byte. */
type Signature = readonly [kind: KindName, at: number, text: string];

const signatures: readonly Signature[] = [
  ["jpeg", 0, "\xff\xd8\xff"],
  ["png", 0, "\x89PNG\r\n\x1a\n"],
  ["gif", 0, "GIF87a"],
  ["gif", 0, "GIF89a"],
  ["webp", 8, "WEBP"],
  ["audio", 8, "WAVE"],
  ["audio", 0, "OggS"],
  ["audio", 0, "ID3"],
  ["audio", 0, "fLaC"],
  ["video", 8, "AVI "],
  ["video", 0, "\x1a\x45\xdf\xa3"],
  ["tiff", 0, "II*\0"],
  ["tiff", 0, "MM\0*"],
  ["psd", 0, "8BPS"],
  ["pdf", 0, "%PDF-"],
  ["tflite", 4, "TFL3"],
  ["ort", 4, "ORTM"],
  ["executorch", 4, "ET1"],
  ["hdf5", 0, "\x89HDF\r\n\x1a\n"],
  ["gguf", 0, "GGUF"],
  ["gguf", 0, "lmgg"],
  ["gguf", 0, "tjgg"],
  ["tensorrt", 0, "ftrt"],
  ["tensorrt", 0, "ptrt"],
  ["mxnet", 0, "\x12\x01\0\0\0\0\0\0"],
  ["numpy", 0, "\x93NUMPY"],
  ["gzip", 0, "\x1f\x8b\x08"],
  ["bzip2", 0, "BZh"],
  ["xz", 0, "\xfd7zXZ\0"],
  ["7z", 0, "7z\xbc\xaf\x27\x1c"],
  ["zstd", 0, "\x28\xb5\x2f\xfd"],
  ["rar", 0, "Rar!\x1a\x07"],
  ["tar", 257, "ustar"],
  ["program", 0, "\x7fELF"],
  ["program", 0, "MZ\x90\0"],
  ["program", 0, "\xcf\xfa\xed\xfe"],
  ["program", 0, "\0asm"],
];

export function hasBytes(bytes: Uint8Array, at: number, text: string): boolean {
  return (
    bytes.length >= at + text.length && [...text].every((character, i) => bytes[at + i] === character.charCodeAt(0))
  );
}

/** Whether a text of one-byte characters stands anywhere in the bytes. */
export function contains(bytes: Uint8Array, text: string): boolean {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1))
    if (hasBytes(bytes, at, text)) return true;
  return false;
}

export function byMagic(bytes: Uint8Array): KindName | undefined {
  const found = signatures.find(([, at, text]) => hasBytes(bytes, at, text))?.[0];
  if (
    found === "webp" ||
    (found === "audio" && hasBytes(bytes, 8, "WAVE")) ||
    (found === "video" && hasBytes(bytes, 8, "AVI "))
  )
    return hasBytes(bytes, 0, "RIFF") ? found : undefined;
  if (found === "hdf5")
    return ["keras", "model_weights", "layer_names"].some((text) => contains(bytes, text)) ? "keras" : found;
  return found ?? byStructure(bytes);
}

/** Where the first bytes are a length or a version, and only together with others say something. */
function byStructure(bytes: Uint8Array): KindName | undefined {
  if (bytes.length < 12) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (hasBytes(bytes, 0, "BM") && view.getUint32(6, true) === 0) return "bmp";
  if (hasBytes(bytes, 4, "ftyp"))
    return ["avif", "heic", "heix", "mif1"].some((brand) => hasBytes(bytes, 8, brand)) ? "avif" : "video";
  // pickle's protocols 2 to 5; torch.save wrote its magic number first before it wrote zip archives
  if (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5) {
    return hasBytes(bytes, 2, "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") ? "pytorch" : "pickle";
  }
  const header = view.getBigUint64(0, true);
  if (header > 1n && header < 100_000_000n && hasBytes(bytes, 8, '{"')) return "safetensors";
  return undefined;
}
