// What a plan is made over: which layers are taken, in which groups, at how many output positions.
import type { Refusal } from "../basis/convolution.js";
import { FilterBasisError } from "../errors/error.js";
import type { Dim, Graph } from "../graph/types.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import { candidateChannels, type Positions, type Unit } from "./candidates.js";
import { findLayers, type Layer } from "./layers.js";
import type { PlanOptions } from "./plan-options.js";
import { explicitChannels, leftOut, makeUnits, ruleFor } from "./units.js";

/** Groups of layers, the layers left out with their reasons, and whether sizes are given rather than a budget. */
export function unitsOf(graph: Graph, options: PlanOptions) {
  const { keepParams, keepMacs } = options;
  if (keepParams !== undefined && keepMacs !== undefined)
    throw new FilterBasisError("usage", "give one budget: --keep-params or --keep-macs");
  const found = findLayers(graph);
  const left: Refusal[] = [...found.refused];
  const taken = found.layers.filter((layer) => {
    const because = leftOut(layer, options);
    if (because) left.push({ name: layer.name, because });
    return !because;
  });
  if (taken.length === 0) throw nothingToDo(left);
  const units = makeUnits(graph, taken, options);
  const explicit = options.basis !== undefined || units.some((unit) => ruleFor(unit, options)?.basis !== undefined);
  return { units, left, explicit };
}

/** The values of p to be tried for a group, with notes where splits that were asked for had to be moved. */
export function unitChannels(
  unit: Unit,
  options: PlanOptions,
): { channels: readonly number[]; notes: ReadonlyMap<Layer, string> } {
  const wanted = ruleFor(unit, options)?.splits ?? (options.splits === "auto" ? undefined : options.splits);
  if (wanted === undefined)
    return { channels: candidateChannels(unit, options.keepMacs === undefined ? "weights" : "macs"), notes: new Map() };
  const { channels, notes } = explicitChannels(unit, wanted);
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

export function nothingToDo(refused: readonly Refusal[]): FilterBasisError {
  const reasons = refused.slice(0, 3).map(({ name, because }) => `${name}: ${because}`);
  const more = refused.length > 3 ? `; and ${refused.length - 3} more` : "";
  return new FilterBasisError("unsupported", `nothing in the model can be compressed (${reasons.join("; ")}${more})`);
}
