// What a file is, whatever its name says. Used where reading it as what was expected has failed.
import { FilterBasisError } from "../../errors/error.js";
import { byEntries } from "./archive.js";
import { type KindName, type KindOfFile, kinds } from "./kinds.js";
import { byMagic } from "./magic.js";
import { byFields } from "./protobuf.js";
import { byText } from "./text.js";

export interface Identified extends KindOfFile {
  readonly kind: KindName;
}

/** Where the bytes say nothing. */
const endings: readonly (readonly [KindName, RegExp])[] = [
  ["tf-checkpoint", /\.ckpt(\.index|\.meta|\.data-\d+-of-\d+)?$|\.data-\d+-of-\d+$/],
  ["tensorrt", /\.(engine|plan|trt)$/],
  ["paddle", /\.(pdmodel|pdiparams|pdparams|nb)$/],
  ["caffe", /\.caffemodel$/],
  ["mnn", /\.mnn$/],
  ["coreml", /\.mlmodel$/],
  ["darknet", /(yolo|darknet)[^/]*\.weights$/],
  ["onnx-weights", /\.(onnx[._]data|data|weights|bin)$/],
];

/** So much of the beginning, and of the end, is looked at. */
export const lookedAt = 1 << 18;

/**
 * What a file is, from its content, else from its name. `bytes` is all of it, or its beginning with its end as
 * `tail`. Undefined where nothing fits.
 */
export function identify(
  bytes: Uint8Array,
  { name = "", tail = bytes }: { readonly name?: string; readonly tail?: Uint8Array } = {},
): Identified | undefined {
  const kind = kindOf(bytes.subarray(0, lookedAt), tail.subarray(-lookedAt), name.toLowerCase());
  return kind === undefined ? undefined : { kind, ...kinds[kind] };
}

function kindOf(head: Uint8Array, tail: Uint8Array, name: string): KindName | undefined {
  if (head.length === 0) return "empty";
  const said = byMagic(head) ?? byEntries(head, tail) ?? byFields(head) ?? byText(head);
  if (said !== undefined) return said;
  if (head.every((byte) => byte === 0)) return "zeros";
  return endings.find(([, pattern]) => pattern.test(name))?.[0];
}

/** What a folder is, by the names in it. */
export function identifyFolder(names: readonly string[], name = ""): Identified | undefined {
  const has = (one: string): boolean => names.includes(one);
  const kind: KindName | undefined = has("saved_model.pb")
    ? "saved-model"
    : /\.ml(package|modelc)\/*$/i.test(name) || has("com.apple.CoreML")
      ? "coreml"
      : has("model.json") && names.some((one) => /^group\d+-shard\d+of\d+/.test(one))
        ? "tfjs"
        : has("data.pkl") && has("version")
          ? "pytorch"
          : names.some((one) => /\.pdmodel$/.test(one))
            ? "paddle"
            : undefined;
  return kind === undefined ? undefined : { kind, ...kinds[kind] };
}

/** Files that are no use to anybody as they are; what to do about them is the same wherever they are given. */
const useless: readonly KindName[] = ["git-lfs", "html", "xml", "zeros", "empty"];

export interface Wanted {
  /** "an ONNX model". */
  readonly wanted: string;
  readonly file?: string;
  /** What to give instead. */
  readonly cures: readonly string[];
  readonly cause?: unknown;
}

/** "this is a JPEG image, not an ONNX model", code `malformed`. */
export function notWanted(
  { kind, what, cures: own }: Identified,
  { wanted, file, cures, cause }: Wanted,
): FilterBasisError {
  return new FilterBasisError("malformed", `this is ${what}, not ${wanted}`, {
    ...(file === undefined ? {} : { file }),
    ...(cause === undefined ? {} : { cause }),
    cures: useless.includes(kind) ? own : cures,
  });
}
