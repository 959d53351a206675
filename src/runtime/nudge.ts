// Weights and inputs moved by one rounding, up or down at random: what that does to an output is how sensitive it is to
// rounding. A weight that was folded, factored or rebuilt differs by as much from the original's.
import { elements, tensor as tensorAttribute } from "../graph/attributes.js";
import { constantTensor } from "../graph/constants.js";
import type { DataType, Graph, Node, TensorData } from "../graph/types.js";
import { isFloat, numbers, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { Feeds } from "./session.js";

/**
 * By how much numbers are moved, relative to them: to the next one; float64 is computed in float32 or better. Of 16
 * bits half of the distance rounds to the next: where factors of a filter are rounded in them, that is what they are
 * off by, and `roundingOf` does not know how much of it a network makes.
 */
const spacing: Readonly<Partial<Record<DataType, number>>> = {
  float32: 2 ** -23,
  float64: 2 ** -23,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

/** The inputs with every float moved. */
export function nudgedFeeds(feeds: Feeds, seed = 0): Feeds {
  const random = new Random(seed);
  return Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, nudge(tensor, random)]));
}

/**
 * The graph with every weight moved. Vectors and scalars stay: some are sizes, scales and limits, which no rewriting
 * touches. So do weights that are stored in 16 bits and read as wider numbers: nothing rounds them anew.
 */
export function nudgedWeights(graph: Graph, seed = 0): Graph {
  const random = new Random(seed);
  const widened = new Set(graph.nodes.filter(({ op }) => op === "Cast").map(({ inputs }) => inputs[0]));
  const isWeight = (name: string | undefined, { type, dims }: TensorData): boolean =>
    isFloat(type) && dims.length >= 2 && elements(dims) > 0 && !(type.endsWith("16") && widened.has(name));
  const initializers = new Map(
    [...graph.initializers].map(
      ([name, tensor]) => [name, isWeight(name, tensor) ? nudge(tensor, random) : tensor] as const,
    ),
  );
  const nodes = graph.nodes.map((node): Node => {
    const value = constantTensor(node);
    if (value === undefined || !isWeight(node.outputs[0], value)) return node;
    return { ...node, attributes: new Map(node.attributes).set("value", tensorAttribute(nudge(value, random))) };
  });
  return { ...graph, nodes, initializers };
}

/**
 * Each number moves by the rounding of the numbers that it stands among (those of one index of the first axis: a
 * filter): that is what a sum that makes it is off by, though it be near 0 itself.
 */
function nudge(tensor: TensorData, random: Random): TensorData {
  const by = spacing[tensor.type];
  if (by === undefined) return tensor;
  const values = numbers(tensor);
  const row = tensor.dims.length < 2 ? 1 : values.length / tensor.dims[0]!;
  for (let start = 0; start < values.length; start += row) {
    let squares = 0;
    for (let i = start; i < start + row; i++) squares += values[i]! ** 2;
    const size = Math.sqrt(squares / row);
    for (let i = start; i < start + row; i++) {
      const step = by * Math.max(Math.abs(values[i]!), size);
      values[i] = values[i]! + (random.bits() & 1 ? step : -step);
    }
  }
  return tensorOf(tensor.type, tensor.dims, values);
}
