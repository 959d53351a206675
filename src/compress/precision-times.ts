// Milliseconds of a network's layers in floats and in eight bits, each between neighbours of its own precision. They
// say which layers may be worth keeping in floats; what a change of precision costs only the whole network tells.
import { nodeName } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import type { TimedLayer } from "../methods/latencies.js";
import { attributesToJson } from "../methods/record.js";
import { inferShapes } from "../ops/infer.js";
import { concreteInputs } from "../ops/sizes/concrete-inputs.js";
import { regionsOf } from "../passes/quantize/regions.js";
import { ruleOf, weightOf } from "../passes/quantize/rules.js";
import type { LatencyTable } from "../runtime/known-times.js";
import { inEightBits, neighboursOf, withoutNeighbours } from "./chain-times.js";
import { type JobHooks, type Place, withBar } from "./job.js";

export interface PrecisionTimes {
  readonly layer: string;
  readonly float: number;
  readonly int8: number;
}

/** The layers of a network that can run in eight bits, as far as their sizes are known. */
export async function precisionTimes(
  graph: Graph,
  { inputs }: Place,
  table: LatencyTable,
  hooks: JobHooks,
): Promise<readonly PrecisionTimes[]> {
  const { signal } = hooks;
  const questions = questionsOf(graph, inputs.shapes);
  const layers = [...questions.values()].flatMap((float) => [float, inEightBits(float)]);
  const asked = [...layers, ...layers.flatMap(neighboursOf)];
  const clock = withoutNeighbours(table.clock);
  await withBar("timing both precisions", hooks, (progress) =>
    table.measure(asked, { progress, ...(signal ? { signal } : {}) }),
  );
  return [...questions].flatMap(([layer, question]): readonly PrecisionTimes[] => {
    const [float, int8] = [clock(question), clock(inEightBits(question))];
    return float === undefined || int8 === undefined ? [] : [{ layer, float, int8 }];
  });
}

function questionsOf(graph: Graph, stated: Place["inputs"]["shapes"]): ReadonlyMap<string, TimedLayer> {
  const index = indexOf(graph);
  const shapes = inferShapes(graph, concreteInputs(graph, stated));
  const opset = graph.opsets.get("") ?? 17;
  const found = new Map<string, TimedLayer>();
  for (const node of regionsOf(graph).nodes) {
    if (ruleOf(node)!.kind !== "layer") continue;
    const input = shapes.get(node.inputs[0]!)?.dims;
    if (input?.every((dim) => typeof dim === "number" && dim > 0) !== true) continue;
    const { tensor, axis } = weightOf(node, index)!;
    const { type, dims } = tensor;
    const common = { input: input as readonly number[], type, opset };
    found.set(nodeName(node), { ...common, ...windowOf(node, axis === 0 ? dims : [...dims].reverse()) });
  }
  return found;
}

/** A convolution with its attributes; of a matrix its outputs and inputs. */
function windowOf({ op, attributes }: Node, dims: readonly number[]): Pick<TimedLayer, "shape" | "attributes"> {
  if (op !== "Conv") return { shape: dims, attributes: {} };
  return { shape: dims, attributes: attributesToJson(attributes) };
}
