// Back from a network with pairs of QuantizeLinear and DequantizeLinear to floats: stored integers become the floats
// that they stand for (behind Cast and Mul too), and pairs go. Where a pair cuts at 0 it does the work of a ReLU, and a
// Clip takes its place.
import { makeNode, nodeName } from "../../graph/attributes.js";
import { isDequantize } from "../../graph/dequantized.js";
import { freshNames, renameReads } from "../../graph/edit.js";
import { type GraphIndex, indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../../graph/types.js";
import { numbers, tensorOf } from "../../graph/values.js";
import { dropUnread } from "../remove-unread.js";
import { type EightBits, limits } from "./steps.js";

const name = "strip-quantization";

export const stripQuantization: Pass = (graph) => {
  const index = indexOf(graph);
  const widened = graph.nodes.filter(
    (node) => isDequantize(node) || (node.op === "Mul" && index.stored(node.outputs[0]!)?.integers !== undefined),
  );
  if (widened.length === 0) return { graph, outcomes: [] };
  const fresh = freshNames(graph);
  const made = new Map<string, TensorData>();
  const renamed = new Map<string, string>();
  const inPlace = new Map<Node, Node>();
  const outcomes: Outcome[] = [];
  for (const node of widened) {
    const output = node.outputs[0]!;
    const stored = index.stored(output);
    const pair = stored === undefined ? pairOf(node, index) : undefined;
    const done = (stored !== undefined && !index.outputs.has(output)) || pair !== undefined;
    if (stored !== undefined && done) made.set(output, { ...stored.tensor });
    if (pair !== undefined) {
      const clip = pair.cutsAt === undefined ? undefined : clipNode(node, pair, made, fresh);
      if (clip !== undefined) inPlace.set(node, clip);
      else if (index.outputs.has(output)) inPlace.set(node, makeNode("Identity", [pair.input], [output]));
      else renamed.set(output, pair.input);
    }
    const reason = done ? "its integers became floats" : "what it widens is computed while the model runs";
    outcomes.push({ pass: name, layer: nodeName(node), applied: done, reason });
  }
  const gone = new Set(widened.filter(({ outputs }) => made.has(outputs[0]!) || renamed.has(outputs[0]!)));
  const nodes = graph.nodes.filter((node) => !gone.has(node)).map((node) => inPlace.get(node) ?? node);
  const values = new Map([...graph.values].filter(([key]) => !renamed.has(key) && !made.has(key)));
  const without: Graph = { ...graph, nodes, values, initializers: new Map([...graph.initializers, ...made]) };
  const touched = [...gone, ...inPlace.keys()].flatMap(({ inputs }) => inputs);
  return { graph: dropUnread(renameReads(without, resolved(renamed)), touched), outcomes };
};

/** Pairs behind pairs. */
function resolved(renamed: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const last = (value: string): string => {
    let current = value;
    for (let next = renamed.get(current); next !== undefined; next = renamed.get(current)) current = next;
    return current;
  };
  return new Map([...renamed].map(([from, to]) => [from, last(to)]));
}

interface Pair {
  /** The floats that are rounded. */
  readonly input: string;
  /** The upper end of what the pair lets through, where the lower one is 0. */
  readonly cutsAt?: number;
}

/** The rounding before a widening, where both have one and the same step. */
function pairOf(node: Node, index: GraphIndex): Pair | undefined {
  const rounding = index.producers.get(node.inputs[0] ?? "");
  if (rounding === undefined || rounding.op !== "QuantizeLinear" || rounding.domain !== "") return undefined;
  const [scale, zero] = parametersOf(rounding, index);
  const [otherScale, otherZero] = parametersOf(node, index);
  if (scale === undefined || otherScale === undefined || !same(scale, otherScale)) return undefined;
  if (zero !== otherZero && !(zero && otherZero && same(zero, otherZero))) return undefined;
  const type = zero?.type ?? "uint8";
  const input = rounding.inputs[0]!;
  if (type !== "int8" && type !== "uint8") return { input };
  const [low, high] = limits[type satisfies EightBits];
  const zeros = zero === undefined ? [0] : [...numbers(zero)];
  if (zeros.some((one) => one !== low)) return { input };
  const scales = numbers(scale);
  return scales.length === 1 ? { input, cutsAt: (high - low) * scales[0]! } : { input };
}

/** Scale and zero point, where they are stored. */
function parametersOf({ inputs }: Node, { constant }: GraphIndex): readonly (TensorData | undefined)[] {
  return [1, 2].map((at) => (inputs[at] ? constant(inputs[at]) : undefined));
}

const same = (a: TensorData, b: TensorData): boolean =>
  a.type === b.type && a.data.length === b.data.length && a.data.every((byte, i) => byte === b.data[i]);

function clipNode(
  node: Node,
  { input, cutsAt }: Pair,
  made: Map<string, TensorData>,
  fresh: (stem: string) => string,
): Node {
  const ends = [0, cutsAt!].map((value, i) => {
    const key = fresh(`${node.outputs[0]}_${i === 0 ? "low" : "high"}`);
    made.set(key, tensorOf("float32", [], [value]));
    return key;
  });
  return makeNode("Clip", [input, ...ends], node.outputs, {}, { name: node.name });
}
