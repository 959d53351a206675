// A planned network in the precisions that its layers were timed fastest in, as it is timed before anything was
// rounded: how much rounding loses is measured later, and does not change the time.
import type { PlannedChoice } from "../calibrate/calibrated.js";
import { isError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { quantizedForTiming } from "../passes/quantize/for-timing.js";
import type { ChainClock } from "./chain-times.js";
import { floatForm } from "./eight-bits.js";
import type { Precision } from "./precisions.js";

/** Forms of which the fastest counts: in floats where that is allowed, and in eight bits where a layer is faster so. */
export function formsInPrecision(
  graph: Graph,
  chosen: readonly PlannedChoice[],
  clock: ChainClock,
  precision: Precision,
): readonly [Graph, ...Graph[]] {
  if (precision === "fp32") return [graph];
  const inFloats = chosen.filter(({ layer, candidate }) => clock.precision(layer, candidate) === "fp32");
  if (precision === "auto" && inFloats.length === chosen.length) return [graph];
  try {
    const float = floatForm(graph).graph;
    const names = inFloats.flatMap(({ layer }) => layer.nodes.flatMap((node) => nodesBetween(float, node)));
    const mixed = quantizedForTiming(float, new Map(names.map((name) => [name, "it is faster in floats"])));
    return precision === "auto" ? [graph, mixed] : [mixed];
  } catch (error) {
    if (isError(error, "unsupported")) return [graph];
    throw error;
  }
}

/** The nodes from a layer's output back to its input; none where these are no longer there. */
function nodesBetween(graph: Graph, { input, output }: { readonly input: string; readonly output: string }): string[] {
  const { producers } = indexOf(graph);
  const names: string[] = [];
  let value = output;
  while (value !== input) {
    const node = producers.get(value);
    if (node === undefined) return [];
    names.push(nodeName(node));
    value = node.inputs[0] ?? "";
  }
  return names;
}
