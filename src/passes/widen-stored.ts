// Storing weights in the type in which layers read them: behind a Cast (half precision that is widened at load) no
// rounding finds them.
import { nodeName } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { isFloat, numbers, tensorOf } from "../graph/values.js";
import { layerConstants } from "./constant/weights.js";
import { dropUnread } from "./remove-unread.js";

const name = "widen-stored";

/**
 * Stores weights, biases and statistics of layers that stand behind Cast or Identity as the floats that are read, under
 * the name that is read. The model may grow by it; values are exactly those that the Cast gives.
 */
export const widenStored: Pass = (graph) => {
  const { stored, producers, outputs } = indexOf(graph);
  const made = new Map<string, TensorData>();
  const outcomes: Outcome[] = [];
  for (const { layer, value, what } of layerConstants(graph)) {
    const between = producers.get(value);
    if (between?.domain !== "" || (between.op !== "Cast" && between.op !== "Identity") || outputs.has(value)) continue;
    const found = stored(value);
    if (found === undefined || !isFloat(found.type)) continue;
    const { tensor, type } = found;
    made.set(value, tensor.type === type ? tensor : tensorOf(type, tensor.dims, numbers(tensor)));
    outcomes.push({ pass: name, layer: nodeName(layer), applied: true, reason: `its ${what} is stored as it is read` });
  }
  if (made.size === 0) return { graph, outcomes };
  const isGone = ({ outputs: [output = ""] }: Node): boolean => made.has(output);
  const read = graph.nodes.filter(isGone).flatMap(({ inputs }) => inputs);
  const nodes = graph.nodes.filter((node) => !isGone(node));
  const values = new Map([...graph.values].filter(([value]) => !made.has(value)));
  const initializers = new Map([...graph.initializers, ...made]);
  return {
    graph: dropUnread({ ...graph, nodes, values, initializers }, read),
    outcomes,
  };
};
