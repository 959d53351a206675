// Two layers with nothing between them: the maps between them may be scaled, channel by channel, if the second layer's
// columns are scaled back. B' = D B, A' = A D^-1 compute the same; with D = 1 / (largest size of each map) the rounding
// of the maps, whose one step the largest of them decides, treats all alike.
import { nodeName, readInt } from "../../graph/attributes.js";
import { freshNames } from "../../graph/edit.js";
import { type GraphIndex, indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass, TensorData } from "../../graph/types.js";
import { numbers, tensorOf } from "../../graph/values.js";
import { dropUnread } from "../remove-unread.js";

const name = "equalise";

/** The first of two layers, the second, and the value between them. */
export interface FreeMap {
  readonly first: Node;
  readonly second: Node;
  readonly value: string;
}

/** Pairs of convolutions of which the second alone reads what the first makes, and both alone read their weights. */
export function freeMaps(graph: Graph): readonly FreeMap[] {
  const index = indexOf(graph);
  return graph.nodes.flatMap((first): readonly FreeMap[] => {
    if (!isConv(first, index)) return [];
    const value = first.outputs[0]!;
    const second = index.soleReader(value);
    if (second === undefined || !isConv(second, index) || second.inputs.indexOf(value) !== 0) return [];
    const alone = [...first.inputs.slice(1), ...second.inputs.slice(1)].every(
      (one) => one === "" || (index.consumers.get(one)?.length === 1 && !index.outputs.has(one)),
    );
    return alone ? [{ first, second, value }] : [];
  });
}

/** Weight and bias in float32 as initializers. */
const isConv = (node: Node, index: GraphIndex): boolean =>
  node.op === "Conv" &&
  node.domain === "" &&
  node.inputs.slice(1).every((value) => value === "" || index.constant(value)?.type === "float32") &&
  index.constant(node.inputs[1] ?? "") !== undefined;

/** @param peaks the largest size of every map of the values of `freeMaps`; a map of zeros is left as it is */
export function equalise(peaks: ReadonlyMap<string, ArrayLike<number>>): Pass {
  return (graph) => {
    const outcomes: Outcome[] = [];
    let current = graph;
    for (const { value } of freeMaps(graph)) {
      const own = peaks.get(value);
      // Of three layers in a row the middle one takes part twice: pairs are found anew.
      const pair = own && freeMaps(current).find((one) => one.value === value);
      if (own === undefined || pair === undefined) continue;
      current = scaled(current, pair, scalesOf(own));
      const reason = `its ${own.length} maps have one size`;
      outcomes.push({ pass: name, layer: nodeName(pair.first), applied: true, reason });
    }
    return { graph: current, outcomes };
  };
}

/** Powers of two change no digit of a float: the function stays what it was to the last bit. */
function scalesOf(peaks: ArrayLike<number>): Float64Array {
  const largest = Math.max(...Array.from(peaks));
  return Float64Array.from(peaks, (peak) => {
    const factor = peak > 0 && Number.isFinite(peak) ? largest / peak : 1;
    return 2 ** Math.round(Math.log2(Math.min(factor, 2 ** 20)));
  });
}

function scaled(graph: Graph, pair: FreeMap, scales: Float64Array): Graph {
  const groups = readInt(pair.second, "group", 1);
  const byRow: Change = (values, dims) =>
    values.map((value, i) => value * scales[Math.floor(i / (product(dims) / dims[0]!))]!);
  const byColumn: Change = (values, dims) => {
    const area = product(dims.slice(2));
    return values.map((value, i) => {
      const row = Math.floor(i / (area * dims[1]!));
      const group = Math.floor(row / (dims[0]! / groups));
      return value / scales[group * dims[1]! + (Math.floor(i / area) % dims[1]!)]!;
    });
  };
  return withWeights(graph, pair, byRow, byColumn);
}

/** New values of a weight or bias of these sizes. */
export type Change = (values: Float64Array, dims: readonly number[]) => Float64Array;

/** The graph with other weights in two layers: `ahead` of the first, its bias too, `behind` of the second alone. */
export function withWeights(graph: Graph, { first, second }: FreeMap, ahead: Change, behind: Change): Graph {
  const index = indexOf(graph);
  const fresh = freshNames(graph);
  const made = new Map<string, TensorData>();
  const put = (value: string, change: Change): string => {
    const { type, dims, ...tensor } = index.constant(value)!;
    const key = fresh(`${value}_scaled`);
    made.set(key, tensorOf(type, dims, change(numbers({ type, dims, ...tensor }), dims)));
    return key;
  };
  const [input = "", ...own] = first.inputs;
  const changed = new Map([
    [first, { ...first, inputs: [input, ...own.map((value) => (value === "" ? value : put(value, ahead)))] }],
    [second, { ...second, inputs: second.inputs.map((value, at) => (at === 1 ? put(value, behind) : value)) }],
  ]);
  const nodes = graph.nodes.map((node) => changed.get(node) ?? node);
  const initializers = new Map([...graph.initializers, ...made]);
  return dropUnread({ ...graph, nodes, initializers }, [...own, ...second.inputs.slice(1)]);
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
