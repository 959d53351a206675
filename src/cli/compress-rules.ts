// Which options of `plan` and `compress` exclude or need each other.
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
  { option: "slice", needs: ["share=block", "share=group", "share=network", "share-named"], why: "a slice is of a shared basis" },
];

export const compressRules: readonly OptionRule[] = [
  { option: "undo", excludes: [...compression, "data"], why: "it expands what is compressed, and compresses nothing" },
  ...planRules,
  ...fineTuningRules,
];
