// Which options of `plan` and `compress` exclude or need each other.
import { weightMethods } from "../methods/methods.js";
import { shares } from "../methods/sharing.js";
import { fineTuningRules } from "./fine-tune.js";
import { type GivenOptions, isGiven, type OptionRule } from "./option-rules.js";

/** How far to compress: a budget, or sizes. */
const budgets = ["keep-params", "keep-macs", "keep-bytes", "basis"];
/** Budgets that only times on data can keep. */
const timed = ["speedup", "latency"];
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

/** What only fine-tuning has a use for; how long it is to be is said by --epochs or --steps. */
const training = ["batch", "lr", "gamma", "distill", "run", "train-threads"];
/**
 * Bases that calibration does not know: shared by several layers, or of another method. With data they are fine-tuned.
 */
const tunedOnly = [
  ...["share-named", "slice"],
  ...shares.filter((share) => share !== "none").map((share) => `share=${share}`),
  ...weightMethods.filter((method) => method !== "basis").map((method) => `method=${method}`),
];
const imageOptions = ["size", "fit", "normalize", "channels", "range", "limit"];
const calibrating = ["images", "data-input", ...timed, "max-loss", "loss-output", "loss"];

/**
 * The one rule of `--data`: it calibrates. It fine-tunes where --epochs asks for it, or --steps beside what only
 * fine-tuning has a use for.
 */
export function isCalibrated(given: GivenOptions): boolean {
  if (!given.has("data") || given.has("epochs")) return false;
  return !given.has("steps") || ![...training, ...tunedOnly].some((option) => isGiven(given, option));
}

const needsLength = [...training, ...tunedOnly].map(
  (option): OptionRule => ({
    option,
    with: "data",
    needs: ["epochs", "steps"],
    why: "with data it is of fine-tuning, which --epochs N asks for; without, factors are calibrated",
  }),
);

/** Of all that data is calibrated on. */
const onData: readonly OptionRule[] = [
  { oneOf: [...budgets, ...timed], why: "each says how far to compress; give one" },
  ...[...calibrating, ...imageOptions].map((option) => ({ option, needs: ["data"], why: "it is about the data" })),
  ...["layer", "basis"].map((option) => ({
    option,
    with: "data",
    excludes: [...budgets.filter((budget) => budget !== "basis"), ...timed],
    why: "with data the sizes of single layers leave nothing to a budget",
  })),
];

/** Of `plan`, which calibrates where it is given data. */
export const planOnDataRules: readonly OptionRule[] = [
  ...onData,
  ...["scale", "seed"].map((option) => ({ option, needs: ["data"], why: "it is about the data" })),
  { option: "data", excludes: tunedOnly, why: "bases that layers share, and other methods, are not calibrated" },
  ...planRules,
];

export const compressRules: readonly OptionRule[] = [
  ...onData,
  ...calibrating.map((option) => ({
    option,
    excludes: ["epochs", ...training, ...tunedOnly],
    why: "it is of compression by calibration, without fine-tuning",
  })),
  ...imageOptions
    .filter((option) => option !== "normalize") // it is of fine-tuning too
    .map((option) => ({
      option,
      excludes: ["epochs", ...training, ...tunedOnly],
      why: "it is of compression by calibration, without fine-tuning",
    })),
  { option: "undo", excludes: [...compression, "data"], why: "it expands what is compressed, and compresses nothing" },
  ...needsLength,
  ...planRules,
  ...fineTuningRules,
];
