// Storing weights in half precision: each float32 weight becomes a float16 constant and a Cast, so that all computing
// stays in float32.
import { elements, int, makeNode, nodeName, tensor as tensorAttribute } from "../graph/attributes.js";
import { constantTensor } from "../graph/constants.js";
import { freshNames, renameReads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";

const name = "half-weights";
const largestHalf = 65504;
/** ONNX's number of float32, for Cast. */
const float32 = 1;

/**
 * Turns every float32 constant with two axes or more (initializers and Constant nodes of the main graph) into float16
 * followed by a Cast. Vectors and scalars (biases, normalisation) stay: they are small and the most sensitive. Refused:
 * values beyond 65504 or not finite, and what is so small that its Cast takes more bytes than are saved. Initializers
 * keep their names. Runtimes fold the Cast when they load the model, so that speed and memory are as before.
 */
export const halfWeights: Pass = (graph) => {
  const outcomes: Outcome[] = [];
  const fresh = freshNames(graph);
  const initializers = new Map(graph.initializers);
  const casts: Node[] = [];
  const renamed = new Map<string, string>();
  const { consumers: read, outputs } = indexOf(graph);
  const report = (layer: string, reason: string | undefined) =>
    outcomes.push({
      pass: name,
      layer,
      applied: reason === undefined,
      reason: reason ?? "its values are stored in half precision",
    });
  for (const [key, tensor] of graph.initializers) {
    if (!isWeight(tensor) || !read.has(key)) continue;
    const reason = outputs.has(key) ? "it is an output of the graph" : against(key, tensor);
    report(key, reason);
    if (reason !== undefined) continue;
    const wide = fresh(`${key}_float32`);
    initializers.set(key, half(tensor));
    renamed.set(key, wide);
    casts.push(castTo(key, wide));
  }
  const replaced = renameReads(
    { ...graph, nodes: graph.nodes.flatMap((node) => halveConstant(node, fresh, report)) },
    renamed,
  );
  if (!outcomes.some((outcome) => outcome.applied)) return { graph, outcomes };
  // an initializer whose type changed cannot stay an optional input: a caller would feed float32
  const inputs = graph.inputs.filter((input) => !renamed.has(input.name));
  const values = new Map([...graph.values].filter(([key]) => !renamed.has(key)));
  return { graph: { ...replaced, initializers, inputs, values, nodes: [...casts, ...replaced.nodes] }, outcomes };
};

/**
 * The same graph with the weights rounded to half precision but stored as float32: what a graph from halfWeights
 * computes.
 */
export function roundedToHalf(graph: Graph): Graph {
  const round = (key: string, tensor: TensorData): TensorData =>
    isWeight(tensor) && against(key, tensor) === undefined
      ? { ...tensor, data: tensorOf("float32", tensor.dims, floats(half(tensor))).data }
      : tensor;
  const { outputs } = indexOf(graph);
  const initializers = new Map(
    [...graph.initializers].map(([key, tensor]) => [key, outputs.has(key) ? tensor : round(key, tensor)]),
  );
  const nodes = graph.nodes.map((node) => {
    const value = constantTensor(node);
    if (value === undefined || !isWeight(value)) return node;
    return {
      ...node,
      attributes: new Map([...node.attributes, ["value", tensorAttribute(round(node.outputs[0]!, value))]]),
    };
  });
  return { ...graph, initializers, nodes };
}

function halveConstant(
  node: Node,
  fresh: (stem: string) => string,
  report: (layer: string, reason: string | undefined) => void,
): readonly Node[] {
  const value = constantTensor(node);
  if (value === undefined || !isWeight(value)) return [node];
  const reason = against(node.outputs[0]!, value);
  report(nodeName(node), reason);
  if (reason !== undefined) return [node];
  const stored = fresh(`${node.outputs[0]}_float16`);
  const attributes = new Map([...node.attributes, ["value", tensorAttribute(half(value))] as const]);
  return [{ ...node, attributes, outputs: [stored] }, castTo(stored, node.outputs[0]!)];
}

const castTo = (from: string, to: string): Node => makeNode("Cast", [from], [to], { to: int(float32) });

const isWeight = ({ type, dims }: TensorData): boolean => type === "float32" && dims.length >= 2;

/** Why a weight stays as it is. */
const against = (key: string, tensor: TensorData): string | undefined => outOfRange(tensor) ?? tooSmall(key, tensor);

/** About what a Cast takes in a file beside the names in it. */
const castBytes = 64;

function tooSmall(key: string, { dims }: TensorData): string | undefined {
  const saved = 2 * elements(dims);
  return saved > castBytes + 3 * key.length ? undefined : "it is so small that half precision saves nothing";
}

function outOfRange(tensor: TensorData): string | undefined {
  const worst = floats(tensor).find((value) => !(Math.abs(value) <= largestHalf));
  return worst === undefined ? undefined : `it holds ${worst}, which half precision cannot`;
}

const half = (tensor: TensorData): TensorData => tensorOf("float16", tensor.dims, floats(tensor));
