// The table of methods: every way to make a network smaller is a function from options to a pass over the graph.
import type { Pass } from "../graph/types.js";
import { type BasisOptions, basis } from "./basis.js";
import { basisScratch } from "./basis-scratch.js";
import { factor } from "./factor.js";
import { group } from "./group.js";
import type { Splitting } from "./plan-options.js";
import { transitionBottleneck } from "./transition.js";

interface Entry {
  /** One line for the list of methods. */
  readonly summary: string;
  /** `weights`: made from a trained network's filters. `architecture`: replaces them by new ones that have to be trained. */
  readonly from: "weights" | "architecture";
  /** The splits that a method fixes. */
  readonly splits?: Splitting;
  readonly pass: (options: never) => Pass;
}

/** Methods by the name that --method and recipes take. */
export const methods = {
  basis: {
    summary: "filters over a small basis, split along the input channels: the paper's method",
    from: "weights",
    pass: (options: BasisOptions) => basis({ ...options, method: "basis" }),
  },
  "filter-wise": {
    summary: "a basis of whole 3D filters: one split (Zhang et al.)",
    from: "weights",
    splits: 1,
    pass: (options: BasisOptions) => basis({ ...options, splits: 1, method: "filter-wise" }),
  },
  "channel-wise": {
    summary: "a basis of 2D filters: a split for every input channel (Jaderberg et al.)",
    from: "weights",
    splits: "channels",
    pass: (options: BasisOptions) => basis({ ...options, splits: "channels", method: "channel-wise" }),
  },
  svd: {
    summary: "the truncated SVD of each layer's filters: filter-wise under its usual name",
    from: "weights",
    splits: 1,
    pass: (options: BasisOptions) => basis({ ...options, splits: 1, method: "svd" }),
  },
  "basis-scratch": {
    summary: "the paper's basis networks with new weights, to be trained",
    from: "architecture",
    pass: basisScratch,
  },
  factor: { summary: "depthwise and 1 x 1 convolutions, stacked (Wang et al.)", from: "architecture", pass: factor },
  group: { summary: "a grouped convolution, then 1 x 1 (Peng et al.)", from: "architecture", pass: group },
  transition: { summary: "DenseNet's transitions as a bottleneck with a skip", from: "architecture", pass: transitionBottleneck },
} as const satisfies Readonly<Record<string, Entry>>;

export type MethodName = keyof typeof methods;

/** The splits that a method fixes, as options of a plan. */
export function fixedSplits(name: MethodName): { readonly splits?: Splitting } {
  const { splits }: Entry = methods[name];
  return splits === undefined ? {} : { splits };
}

/** The methods that start from a trained network's filters, with budgets, splits and basis sizes as options. */
export const weightMethods = ["basis", "filter-wise", "channel-wise", "svd"] as const satisfies readonly MethodName[];
