// What the constants of a network demand of its free sizes: the channels that a filter reads, the features that a matrix takes.
import { readInt, readInts } from "../../graph/attributes.js";
import { isBasisConv } from "../../graph/basis-conv.js";
import { product, symbolsOf } from "../../graph/dims.js";
import type { Dim, Graph, Node } from "../../graph/types.js";
import type { Known } from "../rules/call.js";

/** An expression over free sizes that must come out as a number. */
export interface SizeEquation {
  readonly dim: string;
  readonly equals: number;
  /** 1 will do as well: the operator broadcasts. */
  readonly orOne: boolean;
  /** Only likely: ONNX Runtime runs without it, but not as the network is meant (a batch that a Reshape makes out of pixels). */
  readonly likely: boolean;
  readonly node: Node;
}

type Sizes = readonly Dim[] | undefined;
type Found = readonly [dim: Dim | undefined, equals: Dim | undefined, how?: "or one" | "likely"];
/** What one node demands; `input` gives what is known of each of its inputs. */
type Demand = (node: Node, input: (index: number) => Known) => readonly Found[];

const channels =
  (count: (weight: Sizes, node: Node) => Dim | undefined): Demand =>
  (node, input) => [[input(0).dims?.[1], count(input(1).dims, node)]];

const recurrent: Demand = (_, input) => [[input(0).dims?.[2], input(1).dims?.[2]]];

const broadcast: Demand = (node, input) => {
  const shapes = node.inputs.map((_, index) => input(index).dims).filter((dims) => dims !== undefined);
  const numbers = (back: number) => shapes.map((dims) => dims.at(-back)).find((dim) => typeof dim === "number" && dim !== 1);
  return shapes.flatMap((dims) => dims.map((dim, axis): Found => [dim, numbers(dims.length - axis), "or one"]));
};

/** The two sides of a product: the axis that is summed over. */
const matMul: Demand = (_, input) => {
  const [a, b] = [input(0).dims, input(1).dims];
  if (!a || !b) return [];
  return equal(a.at(-1), b.at(b.length === 1 ? -1 : -2));
};

const gemm: Demand = (node, input) => {
  const [a, b] = [input(0).dims, input(1).dims];
  return equal(a?.[readInt(node, "transA", 0) ? 0 : 1], b?.[readInt(node, "transB", 0) ? 1 : 0]);
};

const equal = (a: Dim | undefined, b: Dim | undefined): readonly Found[] => [
  [a, b],
  [b, a],
];

const reshape: Demand = (node, input) => {
  const [{ dims }, target] = [input(0), input(1).elements];
  if (!dims || !target?.every((size) => typeof size === "number")) return [];
  const copies = readInt(node, "allowzero", 0) === 0;
  const sizes = target.map((size, axis) => (size === 0 && copies ? (dims[axis] ?? null) : size));
  if (!sizes.includes(-1)) return equal(product(dims), product(sizes));
  const [first, columns, ...more] = sizes;
  // [-1, K] stands for [batch, K], unless the last axes make K by themselves: then it lists positions, or boxes
  if (first !== -1 || typeof columns !== "number" || more.length > 0 || dims.length < 3) return [];
  let last = 1;
  for (const dim of [...dims].reverse()) {
    if (typeof dim !== "number") break;
    last *= dim;
  }
  return last % columns === 0 ? [] : [[product(dims.slice(1)), columns, "likely"]];
};

const squeeze: Demand = (node, input) => {
  const attribute = node.attributes.get("axes");
  const axes = attribute?.kind === "ints" ? attribute.value.map(Number) : input(1).elements;
  return (axes ?? []).map((axis): Found => [typeof axis === "number" ? input(0).dims?.at(axis) : null, 1]);
};

const overBasis: Demand = (node, input) => [[input(0).dims?.[1], readInts(node, "shape", [])[1]]];

const demands: Readonly<Record<string, Demand>> = {
  Conv: channels((weight, node) => (typeof weight?.[1] === "number" ? weight[1] * readInt(node, "group", 1) : undefined)),
  ConvTranspose: channels((weight) => weight?.[0]),
  BatchNormalization: channels((scale) => scale?.[0]),
  InstanceNormalization: channels((scale) => scale?.[0]),
  LayerNormalization: (_, input) => [[input(0).dims?.at(-1), input(1).dims?.at(-1)]],
  MatMul: matMul,
  Gemm: gemm,
  GRU: recurrent,
  LSTM: recurrent,
  RNN: recurrent,
  Reshape: reshape,
  Squeeze: squeeze,
  ...Object.fromEntries(["Add", "Sub", "Mul", "Div", "Where", "PRelu", "Pow", "Max", "Min"].map((op) => [op, broadcast])),
};

/** What the nodes of a graph demand of the symbols in the inputs' sizes, each demand once. `known` is what is inferred with these symbols. */
export function sizeEquations(graph: Graph, known: ReadonlyMap<string, Known>): readonly SizeEquation[] {
  const found = new Map<string, SizeEquation>();
  for (const node of graph.nodes) {
    const standard = node.domain === "" && Object.hasOwn(demands, node.op) ? demands[node.op] : undefined;
    const demand = isBasisConv(node) ? overBasis : standard;
    for (const [dim, equals, how] of demand?.(node, (index) => known.get(node.inputs[index] ?? "") ?? {}) ?? []) {
      if (typeof dim !== "string" || typeof equals !== "number" || symbolsOf(dim).size === 0) continue;
      const key = `${dim} ${equals} ${how}`;
      if (!found.has(key)) found.set(key, { dim, equals, orOne: how === "or one", likely: how === "likely", node });
    }
  }
  return [...found.values()];
}
