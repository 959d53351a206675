// Text files, by what stands in them.
import type { KindName } from "./kinds.js";

/** As much as is looked at. */
const most = 1 << 16;

/** A row is tried only where those before it did not fit. */
const texts: readonly (readonly [KindName, RegExp])[] = [
  ["git-lfs", /^version https:\/\/git-lfs\.github\.com\/spec\//],
  ["html", /^\s*(<!--[\s\S]*?-->\s*)?<(!doctype html|html|head|body)\b/i],
  ["openvino", /^\s*(<\?xml[^>]*>\s*)?<net\b[^>]*\bname=/],
  ["xml", /^\s*<(\?xml|[A-Za-z][\w:]*[\s>])/],
  ["tfjs", /^\s*\{[\s\S]*"(modelTopology|weightsManifest)"/],
  ["mxnet", /^\s*\{[\s\S]*"arg_nodes"/],
  ["keras", /^\s*\{[\s\S]*"class_name"\s*:\s*"(Functional|Sequential|Model)"/],
  ["onnx-text", /^\s*\{[\s\S]*"(irVersion|ir_version|opsetImport|opset_import)"/],
  ["json", /^\s*(\{\s*("|\})|\[\s*[[{"\d\]-])/],
  ["onnx-text", /^\s*(#[^\n]*\n\s*)*((ir_version|producer_name)\s*:|<\s*ir_version\s*:)/],
  ["ncnn", /^7767517\s/],
  ["darknet", /^\s*(#[^\n]*\n\s*)*\[(net|network)\]\s/],
  ["caffe", /^\s*(#[^\n]*\n\s*)*(name\s*:\s*"[^"\n]*"\s+)?(layers?\s*\{|input\s*:\s*"|input_dim\s*:)/],
  ["python", /^(from [\w.]+ import |import [\w.]+( as \w+)?[ \t]*$|def \w+\(.*:[ \t]*$|class \w+(\(.*\))?:)/m],
];

/** What a text file is; undefined for bytes that are no text. */
export function byText(bytes: Uint8Array): KindName | undefined {
  const text = decoded(bytes);
  if (text === undefined) return undefined;
  return texts.find(([, pattern]) => pattern.test(text))?.[0] ?? "text";
}

/** UTF-8 without controls; a character that the cut runs through does not count. */
function decoded(bytes: Uint8Array): string | undefined {
  const cut = bytes.length > most;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, most), { stream: cut });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a text has not
    return /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
