// The options that `plan` and `compress` share: what is to be compressed, how far, and over which bases.

import { type Layout, layouts } from "../basis/layouts.js";
import type { JobOptions } from "../compress/job.js";
import { prepare } from "../compress/prepare.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { findLayers } from "../methods/layers.js";
import { weightMethods } from "../methods/methods.js";
import { aboutOf } from "../methods/options.js";
import { type PlanOptions, planFields, type Splitting } from "../methods/plan-options.js";
import { shares, sharingSets } from "../methods/sharing.js";
import { type RuntimeName, runtimeNames } from "../runtime/index.js";
import type { Context } from "./frame.js";
import { checkLayerPatterns } from "./layer-patterns.js";
import { inputOptions } from "./model-inputs.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });
/** What an option does, as the method's own field says it. */
const about = (field: keyof typeof planFields): string => aboutOf(planFields[field]);
// citty wants the list writable
const choice = <T extends string>(options: readonly T[], description: string) => ({
  type: "enum" as const,
  options: [...options],
  description,
});

/** Their definitions, for a command's `args`. */
export const compressionOptions = {
  "keep-params": text(about("keepParams"), "F"),
  "keep-macs": text(about("keepMacs"), "F"),
  "keep-bytes": text("keep this fraction of the file's bytes", "F"),
  basis: text(about("basis"), "M"),
  splits: text(about("splits"), "S"),
  share: { ...choice(shares, about("share")), default: "none" as const },
  "share-named": text("these layers share a basis; may be repeated", "NAME=PATTERN,PATTERN"),
  slice: choice(["first", "last"] as const, about("slice")),
  layer: text("splits x basis filters of the layers that match; may be repeated", "PATTERN=SxM"),
  only: text("compress only layers that match; may be repeated", "PATTERN"),
  skip: text("skip the layers that match; may be repeated", "PATTERN"),
  method: { ...choice(weightMethods, "how filters are decomposed"), default: "basis" as const },
  ...inputOptions,
  layout: {
    ...choice(["auto", ...layouts], "how layers are written; auto measures"),
    default: "auto" as const,
  },
  runtime: choice(runtimeNames, "where layers are timed; node where it is there"),
  threads: text("threads of ONNX Runtime", "N"),
  "keep-bn": {
    type: "boolean" as const,
    description: "leave batch normalisation as it is instead of folding it first",
  },
};

/** The options' values as citty hands them over. */
export interface CompressionArguments {
  readonly "keep-params"?: string | undefined;
  readonly "keep-macs"?: string | undefined;
  readonly "keep-bytes"?: string | undefined;
  readonly basis?: string | undefined;
  readonly splits?: string | undefined;
  readonly share?: (typeof shares)[number] | undefined;
  readonly slice?: "first" | "last" | undefined;
  readonly method?: (typeof weightMethods)[number] | undefined;
  readonly layout?: "auto" | Layout | undefined;
  readonly runtime?: RuntimeName | undefined;
  readonly threads?: string | undefined;
  readonly "keep-bn"?: boolean | undefined;
}

/**
 * Reads what is to be compressed, and how far.
 * @throws FilterBasisError `usage`
 */
function readPlanOptions(args: CompressionArguments, repeated: (option: string) => readonly string[]): PlanOptions {
  const { share = "none", slice } = args;
  return {
    ...(args.splits === undefined ? {} : { splits: readSplits(args.splits) }),
    ...(args.basis === undefined ? {} : { basis: wholeNumber("--basis", args.basis) }),
    ...(args["keep-params"] === undefined ? {} : { keepParams: fraction("--keep-params", args["keep-params"]) }),
    ...(args["keep-macs"] === undefined ? {} : { keepMacs: fraction("--keep-macs", args["keep-macs"]) }),
    ...(slice === undefined ? {} : { slice }),
    share,
    shareNamed: Object.fromEntries(
      repeated("share-named").map((text) =>
        named("--share-named", text, "NAME=PATTERN,PATTERN", (value) => value.split(",")),
      ),
    ),
    layers: Object.fromEntries(repeated("layer").map((text) => named("--layer", text, "PATTERN=SxM", splitsAndBasis))),
    ...(repeated("only").length > 0 ? { only: repeated("only") } : {}),
    skip: repeated("skip"),
  };
}

/**
 * The options of the main job, before the model is read.
 * @throws FilterBasisError `usage`
 */
export function jobOptions(args: CompressionArguments, { repeated }: Pick<Context, "repeated">): JobOptions {
  const { method, layout, runtime, threads } = args;
  return {
    plan: readPlanOptions(args, repeated),
    ...(method === undefined ? {} : { method }),
    ...(layout === undefined ? {} : { layout }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(threads === undefined ? {} : { threads: wholeNumber("--threads", threads) }),
    ...(args["keep-bytes"] === undefined ? {} : { keepBytes: fraction("--keep-bytes", args["keep-bytes"]) }),
    keepBatchNorm: args["keep-bn"] === true,
  };
}

/**
 * Refuses patterns that match no layer of the network as it is planned.
 * @throws FilterBasisError `not-found`
 */
export function checkPatterns(graph: Graph, options: JobOptions, { repeated }: Pick<Context, "repeated">): void {
  const patterns = {
    only: repeated("only"),
    skip: repeated("skip"),
    layer: repeated("layer").map((text) => text.slice(0, text.lastIndexOf("="))),
  };
  if (Object.values(patterns).every(({ length }) => length === 0)) return;
  const prepared = prepare(graph, options).graph;
  const { layers, skipped } = findLayers(prepared);
  const { share = "none", shareNamed = {} } = options.plan ?? {};
  const groups = [...Object.keys(shareNamed), ...sharingSets(prepared, layers, share).map(({ name }) => name)];
  checkLayerPatterns(patterns, [...layers, ...skipped].map(({ name }) => name).concat(groups));
}

function readSplits(text: string): Splitting {
  return text === "auto" || text === "channels" ? text : wholeNumber("--splits", text);
}

export function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new FilterBasisError("usage", `${option} must be a whole number`, { expected: "1 or more", got: text });
}

function fraction(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 1) return value;
  throw new FilterBasisError("usage", `${option} must be a fraction of the whole model`, {
    expected: "above 0, at most 1",
    got: text,
  });
}

function named<T>(option: string, text: string, expected: string, read: (value: string) => T): [string, T] {
  const at = text.lastIndexOf("=");
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), read(text.slice(at + 1))];
  throw new FilterBasisError("usage", `${option} needs a name and a value`, { expected, got: text });
}

function splitsAndBasis(text: string): { readonly splits?: number; readonly basis: number } {
  const [first, second, ...rest] = text.split("x");
  if (rest.length > 0 || first === undefined)
    throw new FilterBasisError("usage", "--layer needs splits x basis filters", { expected: "4x32", got: text });
  if (second === undefined) return { basis: wholeNumber("--layer", first) };
  return { splits: wholeNumber("--layer", first), basis: wholeNumber("--layer", second) };
}
