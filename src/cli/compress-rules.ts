// Which options of `plan` and `compress` exclude or need each other.
import { layouts } from "../basis/layouts.js";
import { weightMethods } from "../methods/methods.js";
import { shares } from "../methods/sharing.js";
import { fineTuningRules } from "./fine-tune.js";
import type { OptionRule } from "./option-rules.js";

const budgets = ["keep-params", "keep-macs", "basis"];
/** What says how layers are compressed. */
const compression = [
  ...budgets,
  "splits",
  "share",
  "share-named",
  "slice",
  "layer",
  "only",
  "skip",
  "method",
  "keep-bn",
  "layout",
];

/** Of `plan`, and of `compress` beside its own. */
export const planRules: readonly OptionRule[] = [
  { oneOf: budgets, why: "each says how far to compress; give one" },
  ...["filter-wise", "channel-wise", "svd"].map((method) => ({
    option: `method=${method}`,
    excludes: ["splits"],
    why: "the method has splits of its own",
  })),
  {
    option: "layout=dense",
    excludes: ["keep-macs"],
    why: "the dense layout computes all multiply-accumulates of the original, whatever the budget",
  },
  {
    option: "slice",
    needs: ["share=block", "share=group", "share=network", "share-named"],
    why: "a slice is of a shared basis",
  },
];

/** What asks for training, or for bases that only training and the closed form on filters know. */
const trained = ["epochs", "batch", "lr", "gamma", "distill", "run", "train-threads"];
const shaped = ["basis", "splits", "slice"];
const repeatedShapes = ["share-named", "layer"];
/** The same of options that have a value by default. */
const chosenShapes = [
  ...shares.filter((share) => share !== "none").map((share) => `share=${share}`),
  ...weightMethods.filter((method) => method !== "basis").map((method) => `method=${method}`),
  ...layouts.map((layout) => `layout=${layout}`),
];
const imageOptions = ["size", "fit", "normalize", "channels", "range", "limit"];

/** Whether data is to be calibrated on rather than trained on. */
export function isCalibrated(
  args: Readonly<Record<string, unknown>>,
  repeated: (option: string) => readonly string[],
): boolean {
  if (
    args.data === undefined ||
    [...trained, ...shaped].some((option) => args[option] !== undefined && args[option] !== false)
  )
    return false;
  const plain =
    (args.share ?? "none") === "none" && (args.method ?? "basis") === "basis" && (args.layout ?? "auto") === "auto";
  return plain && repeatedShapes.every((option) => repeated(option).length === 0);
}

/** Of `plan`, which calibrates where it is given data. */
export const planOnDataRules: readonly OptionRule[] = [
  { oneOf: [...budgets, "speedup"], why: "each says how far to compress; give one" },
  ...["speedup", "images", "data-input", "scale", "seed", ...imageOptions].map((option) => ({
    option,
    needs: ["data"],
    why: "it is about the data",
  })),
  {
    option: "data",
    excludes: [...shaped, ...repeatedShapes, ...chosenShapes],
    why: "with data the plan says how layers are written",
  },
  ...planRules,
];

export const compressRules: readonly OptionRule[] = [
  { oneOf: [...budgets, "speedup"], why: "each says how far to compress; give one" },
  ...["speedup", "max-loss", "images", "data-input", "loss-output", "loss"].map((option) => ({
    option,
    needs: ["data"],
    why: "it is about what is lost on data",
  })),
  ...imageOptions.map((option) => ({ option, needs: ["data"], why: "it is about the data" })),
  // normalize is of training too
  ...[
    ...["speedup", "max-loss", "images", "data-input", "loss-output", "loss"],
    ...imageOptions.filter((option) => option !== "normalize"),
  ].map((option) => ({
    option,
    excludes: [...trained, ...shaped, ...repeatedShapes, ...chosenShapes],
    why: "it is of compression by calibration, without training",
  })),
  { option: "undo", excludes: [...compression, "data"], why: "it expands what is compressed, and compresses nothing" },
  ...planRules,
  ...fineTuningRules,
];
