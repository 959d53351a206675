// What a plan is made over: which layers are taken, in which groups, at how many output positions.
import type { SkippedLayer } from "../basis/convolution.js";
import { FilterBasisError } from "../errors/error.js";
import type { Dim, Graph } from "../graph/types.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import { candidateChannels, type LayerGroup, type Positions } from "./choices.js";
import { explicitChannels, makeGroups, ruleFor } from "./layer-groups.js";
import { findLayers, type Layer } from "./layers.js";
import { skipReason } from "./pattern.js";
import type { PlanOptions } from "./plan-options.js";

/** Groups of layers, the layers left out with their reasons, and whether sizes are given rather than a budget. */
export function groupsOf(graph: Graph, options: PlanOptions) {
  const { keepParams, keepMacs } = options;
  if (keepParams !== undefined && keepMacs !== undefined)
    throw new FilterBasisError("usage", "give one budget: --keep-params or --keep-macs");
  const found = findLayers(graph);
  const excluded: SkippedLayer[] = [...found.skipped];
  const taken = found.layers.filter((layer) => {
    const reason = skipReason(layer.name, options);
    if (reason) excluded.push({ name: layer.name, reason });
    return !reason;
  });
  if (taken.length === 0) throw nothingToDo(excluded);
  const groups = makeGroups(graph, taken, options);
  const explicit = options.basis !== undefined || groups.some((group) => ruleFor(group, options)?.basis !== undefined);
  return { groups, excluded, explicit };
}

/** The values of p to be tried for a group, with notes where splits that were asked for had to be moved. */
export function groupChannels(
  group: LayerGroup,
  options: PlanOptions,
): { channels: readonly number[]; notes: ReadonlyMap<Layer, string> } {
  const wanted = ruleFor(group, options)?.splits ?? (options.splits === "auto" ? undefined : options.splits);
  if (wanted === undefined)
    return {
      channels: candidateChannels(group, options.keepMacs === undefined ? "weights" : "macs"),
      notes: new Map(),
    };
  const { channels, notes } = explicitChannels(group, wanted);
  return { channels: [channels], notes };
}

/** Output positions of a layer over all its nodes, at the stated input shapes. */
export function outputPositions(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]>): Positions {
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  return ({ nodes }) => {
    let sum = 0;
    for (const { node } of nodes) {
      const dims = shapes.get(node.outputs[0]!)?.dims;
      if (!dims?.every((dim) => typeof dim === "number")) return undefined;
      sum += (dims as number[]).reduce((product, dim, axis) => (axis === 1 ? product : product * dim), 1);
    }
    return sum;
  };
}

export function nothingToDo(skipped: readonly SkippedLayer[]): FilterBasisError {
  const reasons = skipped.slice(0, 3).map(({ name, reason }) => `${name}: ${reason}`);
  const more = skipped.length > 3 ? `; and ${skipped.length - 3} more` : "";
  return new FilterBasisError("unsupported", `nothing in the model can be compressed (${reasons.join("; ")}${more})`);
}
