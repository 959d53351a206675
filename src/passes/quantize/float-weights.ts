// A network in eight bits whose weights learn: stored integers become floats that are rounded in the network, by the
// steps that they had, and integers again once they have learned. Everything else stays as it is.
import { elements, int, makeNode, readInt } from "../../graph/attributes.js";
import { isDequantize } from "../../graph/dequantized.js";
import { freshNames } from "../../graph/edit.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, TensorData } from "../../graph/types.js";
import { isFloat, numbers, roundEven, tensorOf } from "../../graph/values.js";
import { limits } from "./steps.js";

export interface FloatWeights {
  readonly graph: Graph;
  /** Names of the floats in the place of integers; biases among them. */
  readonly learned: ReadonlySet<string>;
  /** The network as it was given, with what the floats have become; other constants that changed too. */
  restored(trained: Graph): Graph;
}

/** Integers that are widened by themselves, and the floats that take their place. */
interface Stored {
  readonly integers: string;
  readonly float: string;
  readonly scale: TensorData;
  readonly zero: TensorData | undefined;
  readonly axis: number;
}

/**
 * Weights of layers behind QuantizeLinear and DequantizeLinear; biases, of 32 bits, as floats alone. Learned weights
 * stay within the integers that the given ones take, so that what a processor can add up still fits.
 */
export function floatWeights(graph: Graph): FloatWeights {
  const index = indexOf(graph);
  const fresh = freshNames(graph);
  const stored = new Map<string, Stored>();
  const made = new Map<string, TensorData>();
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const [integers = "", scale = "", zero = ""] = node.inputs;
    const widened = isDequantize(node) ? index.stored(node.outputs[0]!) : undefined;
    const tensor = graph.initializers.get(integers);
    const steps = index.constant(scale);
    if (widened === undefined || tensor === undefined || steps === undefined || index.outputs.has(node.outputs[0]!))
      return [node];
    const isBias = tensor.type === "int32";
    const float = isBias ? node.outputs[0]! : fresh(`${integers}_float`);
    const zeros = zero === "" ? undefined : index.constant(zero);
    made.set(float, { ...widened.tensor });
    stored.set(float, { integers, float, scale: steps, zero: zeros, axis: axisOf(node, tensor) });
    if (isBias) return [];
    const point = zero === "" ? fresh(`${integers}_zero`) : zero;
    if (zero === "")
      made.set(point, tensorOf(tensor.type, steps.dims, new Array<number>(elements(steps.dims)).fill(0)));
    const rounded = fresh(`${integers}_rounded`);
    return [
      makeNode("QuantizeLinear", [float, scale, point], [rounded], { axis: int(readInt(node, "axis", 1)) }),
      { ...node, inputs: [rounded, scale, ...(zero === "" ? [] : [zero])] },
    ];
  });
  const values = new Map([...graph.values].filter(([name]) => !made.has(name)));
  return {
    graph: { ...graph, nodes, values, initializers: new Map([...graph.initializers, ...made]) },
    learned: new Set(stored.keys()),
    restored: (trained) => restored(graph, stored, trained),
  };
}

function axisOf(node: Node, { dims }: TensorData): number {
  const axis = readInt(node, "axis", 1);
  return axis < 0 ? axis + dims.length : axis;
}

function restored(graph: Graph, stored: ReadonlyMap<string, Stored>, trained: Graph): Graph {
  const initializers = new Map(
    [...graph.initializers].map(([name, tensor]) => {
      const now = isFloat(tensor.type) ? trained.initializers.get(name) : undefined;
      return [name, now ?? tensor];
    }),
  );
  for (const one of stored.values()) {
    const tensor = graph.initializers.get(one.integers)!;
    initializers.set(one.integers, rounded(numbers(trained.initializers.get(one.float)!), tensor, one));
  }
  return { ...graph, initializers, metadata: trained.metadata };
}

function rounded(values: Float64Array, before: TensorData, { scale, zero, axis }: Stored): TensorData {
  const { dims, type } = before;
  const [scales, zeros, old] = [numbers(scale), zero && numbers(zero), numbers(before)];
  const inner = scales.length === 1 ? 1 : elements(dims.slice(axis + 1));
  const channelOf = (i: number): number => (scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length);
  const zeroOf = (i: number): number => zeros?.[channelOf(i)] ?? 0;
  const furthest = old.reduce((most, integer, i) => Math.max(most, Math.abs(integer - zeroOf(i))), 0);
  const [low, high] = type === "int32" ? limits.int32 : [-furthest, furthest];
  const integers = values.map((value, i) => {
    const steps = roundEven(Math.fround(value / scales[channelOf(i)]!));
    return Math.min(high, Math.max(low, steps)) + zeroOf(i);
  });
  return tensorOf(type, dims, integers);
}
