// The methods that write a trained network's filters over a basis. They differ in the splits alone: those of the
// paper's method are free, prior work is one split (Zhang et al.) or a split for every input channel (Jaderberg et
// al.).
import { FilterBasisError } from "../errors/error.js";
import { applyPlan, basisFields } from "./basis.js";
import { basisCandidates } from "./basis-candidates.js";
import { filtersOverBasis } from "./expand-bases.js";
import type { Method } from "./method.js";
import { type Plan, type PlanOptions, planCompression } from "./plan.js";

type Fixed = 1 | "channels";

function overBasis<const Name extends string>(
  name: Name,
  summary: string,
  splits?: Fixed,
): Method<Name, typeof basisFields> {
  const planning = <O extends PlanOptions>(options: O): O => {
    if (splits === undefined) return options;
    if (options.splits !== undefined && options.splits !== splits) throw ownSplits(name, splits, options.splits);
    return { ...options, splits };
  };
  return {
    ...{ name, summary, from: "weights", options: basisFields, planning, candidates: basisCandidates },
    apply(graph, options, made) {
      const all = planning(options);
      const plan = made ?? planCompression(graph, all);
      checkSplits(name, splits, plan);
      return applyPlan(graph, plan, { ...all, method: name });
    },
    reconstruct: filtersOverBasis,
    fullRank: ({ outChannels: n, inChannels: c, kernelElements }) =>
      splits === "channels"
        ? { basis: Math.min(n * c, kernelElements) }
        : { splits: 1, basis: Math.min(n, c * kernelElements) },
  };
}

/** @throws FilterBasisError `invalid-plan` where a plan gives a layer other splits than the method fixes */
function checkSplits(name: string, splits: Fixed | undefined, { groups }: Plan): void {
  if (splits === undefined) return;
  for (const { layer, splits: planned } of groups.flatMap(({ layers }) => layers))
    if (planned !== (splits === 1 ? 1 : layer.inChannels)) throw ownSplits(name, splits, planned, layer.name);
}

function ownSplits(name: string, splits: Fixed, got: unknown, layer?: string): FilterBasisError {
  return new FilterBasisError("invalid-plan", `the method ${name} has splits of its own`, {
    ...(layer === undefined ? {} : { layer }),
    field: "splits",
    expected: splits === 1 ? "1" : "one for each input channel",
    got: String(got),
    cures: ["take the method basis, whose splits are free"],
  });
}

export const basisMethod = overBasis(
  "basis",
  "filters over a small basis, split along the input channels: the paper's method",
);
export const filterWise = overBasis("filter-wise", "a basis of whole 3D filters: one split (Zhang et al.)", 1);
export const channelWise = overBasis(
  "channel-wise",
  "a basis of 2D filters: a split for every input channel (Jaderberg et al.)",
  "channels",
);
export const svd = overBasis("svd", "the truncated SVD of each layer's filters: filter-wise under its usual name", 1);
