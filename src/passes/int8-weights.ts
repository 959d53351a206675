// Storing weights in eight bits: each float32 weight becomes int8 with one scale a channel, and is widened again before
// the layer, so that all computing stays in float32.
import { elements, int, makeNode } from "../graph/attributes.js";
import { isBasisConv, readBasisConv } from "../graph/basis-conv.js";
import { freshNames, renameReads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { quantizeWeight, weightFormats } from "./quantize/steps.js";

const name = "int8-weights";
/** ONNX's number of float32, for Cast. */
const float32 = 1;

/**
 * Turns every float32 initializer that layers alone read as their weight into int8 behind Cast and Mul (by the scales),
 * which every opset has and runtimes compute once, when they load the model. (They keep DequantizeLinear for layers in
 * integers, and compute it in every run.) Biases and normalisation stay. Initializers keep their names.
 */
export const int8Weights: Pass = (graph) => {
  const outcomes: Outcome[] = [];
  const found = new Map<string, { readonly tensor: TensorData; readonly axis: number }>();
  const { outputs } = indexOf(graph);
  for (const [key, tensor] of graph.initializers) {
    if (tensor.type !== "float32" || tensor.dims.length < 2) continue;
    const axis = axisOf(graph, key);
    if (axis === undefined) continue;
    const reason = outputs.has(key) ? "it is an output of the graph" : against(key, tensor, axis);
    outcomes.push({
      pass: name,
      layer: key,
      applied: reason === undefined,
      reason: reason ?? "its values are stored in eight bits",
    });
    if (reason === undefined) found.set(key, { tensor, axis });
  }
  if (found.size === 0) return { graph, outcomes };
  return { graph: stored(graph, found), outcomes };
};

/** The same graph with those weights rounded but stored as float32: what a graph from int8Weights computes. */
export function roundedToInt8(graph: Graph): Graph {
  const done = new Set(int8Weights(graph).outcomes.flatMap(({ layer, applied }) => (applied ? [layer] : [])));
  const initializers = new Map(
    [...graph.initializers].map(([key, tensor]) => {
      if (!done.has(key)) return [key, tensor] as const;
      const { values } = quantizeWeight(numbers(tensor), tensor.dims, axisOf(graph, key)!, weightFormats.int8);
      return [key, { ...tensor, data: tensorOf("float32", tensor.dims, values).data }] as const;
    }),
  );
  return { ...graph, initializers };
}

function stored(
  graph: Graph,
  found: ReadonlyMap<string, { readonly tensor: TensorData; readonly axis: number }>,
): Graph {
  const fresh = freshNames(graph);
  const made = new Map<string, TensorData>();
  const renamed = new Map<string, string>();
  const before: Node[] = [];
  for (const [key, { tensor, axis }] of found) {
    const { integers, scales } = quantizeWeight(numbers(tensor), tensor.dims, axis, weightFormats.int8);
    const [scale, wide, float] = [fresh(`${key}_scale`), fresh(`${key}_wide`), fresh(`${key}_float32`)];
    const beside = tensor.dims.map((size, at) => (at === axis ? size : 1));
    made.set(key, integers);
    made.set(scale, tensorOf("float32", beside, scales));
    before.push(makeNode("Cast", [key], [wide], { to: int(float32) }), makeNode("Mul", [wide, scale], [float]));
    renamed.set(key, float);
  }
  const replaced = renameReads(graph, renamed);
  // an initializer whose type changed cannot stay an optional input: a caller would feed float32
  const inputs = graph.inputs.filter((input) => !renamed.has(input.name));
  const values = new Map([...graph.values].filter(([key]) => !renamed.has(key)));
  const initializers = new Map([...graph.initializers, ...made]);
  return { ...replaced, initializers, inputs, values, nodes: [...before, ...replaced.nodes] };
}

/** Along which axis the filters of a weight lie that layers alone read; undefined for anything else. */
function axisOf(graph: Graph, key: string): number | undefined {
  const readers = indexOf(graph).consumers.get(key) ?? [];
  const axes = new Set(readers.map((node) => filterAxis(node, key)));
  const [axis] = axes;
  return axes.size === 1 ? axis : undefined;
}

function filterAxis(node: Node, key: string): number | undefined {
  if (isBasisConv(node)) {
    const layer = readBasisConv(node);
    return layer && [layer.basis, layer.coefficients].includes(key) ? 0 : undefined;
  }
  if (node.domain !== "" || node.inputs.some((value, at) => value === key && at !== 1)) return undefined;
  if (node.op === "Conv") return 0;
  const turned = node.attributes.get("transB");
  if (node.op === "Gemm") return turned?.kind === "int" && turned.value !== 0n ? 0 : 1;
  return node.op === "MatMul" || node.op === "ConvTranspose" ? 1 : undefined;
}

/** About what Cast and Mul take in a file beside the names in them. */
const nodeBytes = 128;

function against(key: string, tensor: TensorData, axis: number): string | undefined {
  if (!numbers(tensor).every(Number.isFinite)) return "its values are not finite";
  const saved = 3 * elements(tensor.dims) - 4 * tensor.dims[axis]!;
  return saved > nodeBytes + 6 * key.length ? undefined : "it is so small that eight bits save nothing";
}
