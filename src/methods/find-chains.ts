// Chains as a graph has them: from the output of each that the record tells of back over its stages. A chain whose
// nodes are not what its record says is told with the reason.
import { type Order, type StageShape, stageShapes, storedRepeats } from "../basis/factors.js";
import { isError } from "../errors/error.js";
import { makeNode, readFloat, readInt } from "../graph/attributes.js";
import { type GraphIndex, indexOf, type Stored } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { isFloat, numbers } from "../graph/values.js";
import { type ChainRecord, candidateOf, readChains } from "./chain-record.js";
import { attributesFromJson } from "./record.js";
import { isSameWindow, stageWindow, windowOf } from "./stage-window.js";

export interface FoundChain {
  readonly chain: ChainRecord;
  /** What the chain reads, and what it makes: another value than the record says where a norm was folded into it. */
  readonly input: string;
  readonly output: string;
  /** In order; the last one makes the layer's output. */
  readonly nodes: readonly [...Node[], Node];
  /** The last stage's bias, "" for none. */
  readonly bias: string;
  readonly weights: readonly Stored[];
  /** Of the channels before each stage and behind the last; empty where all stay. */
  readonly orders: readonly Order[];
}

interface ChangedChain {
  readonly chain: ChainRecord;
  readonly reason: string;
}

/** @throws FilterBasisError `malformed` for a record that cannot be used */
export function findChains(graph: Graph): readonly (FoundChain | ChangedChain)[] {
  const chains = readChains(graph);
  if (chains.length === 0) return [];
  return chains.map((chain) => findChain(chain, indexOf(graph)));
}

/** The reason why a graph's record of chains cannot be used; undefined where it can, or where there is none. */
export function chainsFault(graph: Graph): string | undefined {
  try {
    readChains(graph);
    return undefined;
  } catch (error) {
    if (isError(error, "malformed")) return error.problem;
    throw error;
  }
}

const changed = "its nodes are not what the model's record says of it";

function findChain(chain: ChainRecord, index: GraphIndex): FoundChain | ChangedChain {
  const { producers: made, stored } = index;
  const orders = ordersOf(chain, index);
  const stages = orders && stagesOf(chain, orders);
  if (stages === undefined) return { chain, reason: changed };
  const nodes: Node[] = [];
  const output = made.has(chain.output) ? chain.output : movedOutput(chain, index);
  let value = output;
  const step = (): Node | undefined => {
    const node = made.get(value);
    if (node !== undefined) {
      nodes.unshift(node);
      value = node.inputs[0] ?? "";
    }
    return node;
  };
  const reordered = (at: number): boolean => {
    const name = chain.orders?.[at] ?? null;
    return name === null || isGather(step(), name, index);
  };
  if (!reordered(stages.length)) return { chain, reason: changed };
  const added = chain.kind === "matmul" && made.get(value)?.op === "Add" ? (step()?.inputs[1] ?? "") : undefined;
  let bias: string | undefined;
  const weights: Stored[] = [];
  for (let at = stages.length - 1; at >= 0; at--) {
    const node = step();
    bias ??= added ?? node?.inputs[2] ?? "";
    const weight = node && stored(weightOf(chain, node, at, index));
    if (node === undefined || weight === undefined || weight.root !== chain.weights[at]) break;
    if (!isStage(chain, node, weight.tensor.dims, stages, at) || !reordered(at)) break;
    weights.unshift(weight);
  }
  const whole = weights.length === stages.length && bias !== undefined;
  if (!whole) return { chain, reason: changed };
  return { chain, input: value, output, nodes: nodes as [...Node[], Node], bias: bias!, weights, orders: orders! };
}

/**
 * What the only node makes that reads the last stage's weight; "" where there is none. Only chains that a method made
 * may have had a norm folded into them: compression on data folds them before.
 */
function movedOutput({ method, weights, orders = [] }: ChainRecord, { producers, root }: GraphIndex): string {
  if (method === undefined) return "";
  const last = weights.at(-1);
  const readers = [...new Set(producers.values())].filter(({ inputs }) => root(inputs[1] ?? "") === last);
  return readers.length === 1 && (orders[weights.length] ?? null) === null ? (readers[0]!.outputs[0] ?? "") : "";
}

/**
 * The weight that a stage reads; where it is repeated at load, what is repeated; "" where it is not what it should be.
 */
function weightOf(chain: ChainRecord, node: Node, at: number, { producers, stored }: GraphIndex): string {
  const value = node.inputs[1] ?? "";
  const repeats = storedRepeats(candidateOf(chain), chain.shape)[at] ?? 1;
  if (repeats === 1) return value;
  const tile = producers.get(value);
  if (tile?.op !== "Tile" || tile.domain !== "") return "";
  const counts = stored(tile.inputs[1] ?? "")?.tensor;
  const expected = [repeats, ...new Array<number>(chain.axes + 1).fill(1)];
  return counts !== undefined && `${numbers(counts)}` === `${expected}` ? (tile.inputs[0] ?? "") : "";
}

function isGather(node: Node | undefined, indices: string, { root }: GraphIndex): boolean {
  return (
    node?.op === "Gather" &&
    node.domain === "" &&
    readInt(node, "axis", 0) === 1 &&
    root(node.inputs[1] ?? "") === indices
  );
}

/** Undefined where one of them is not stored. */
function ordersOf({ orders = [] }: ChainRecord, { stored }: GraphIndex): readonly Order[] | undefined {
  const found: Order[] = [];
  for (const name of orders) {
    const tensor = name === null ? null : stored(name)?.tensor;
    if (tensor === undefined || (tensor !== null && isFloat(tensor.type))) return undefined;
    found.push(tensor && [...numbers(tensor)]);
  }
  return found;
}

/** Undefined where a record contradicts itself. */
function stagesOf(chain: ChainRecord, orders: readonly Order[]): readonly StageShape[] | undefined {
  try {
    const stages = stageShapes(candidateOf(chain), chain.shape);
    if (stages.length !== chain.weights.length) return undefined;
    const sizes = [...stages.map((stage) => stage.in), chain.shape.n];
    return orders.every((order, i) => order === null || isPermutation(order, sizes[i] ?? 0)) ? stages : undefined;
  } catch (error) {
    if (isError(error, "invalid-plan")) return undefined;
    throw error;
  }
}

const isPermutation = (order: readonly number[], size: number): boolean =>
  order.length === size && [...order].sort((a, b) => a - b).every((value, i) => value === i);

/**
 * Whether a node is the stage of the chain: its operator, its weight's sizes, its window, and that only the last one
 * has a bias.
 */
function isStage(
  chain: ChainRecord,
  node: Node,
  dims: readonly number[],
  stages: readonly StageShape[],
  at: number,
): boolean {
  const { kind, axes, attributes } = chain;
  const stage = stages[at]!;
  const last = at === stages.length - 1;
  if (node.domain !== "" || (!last && node.inputs.length > 2)) return false;
  if (kind !== "conv") {
    const isGemm = kind === "gemm" && last;
    const sizes = isGemm ? [stage.out, stage.in] : [stage.in, stage.out];
    return node.op === (isGemm ? "Gemm" : "MatMul") && `${dims}` === `${sizes}` && (!isGemm || isPlainGemm(node));
  }
  const stored = stage.out / (storedRepeats(candidateOf(chain), chain.shape)[at] ?? 1);
  const sizes = [stored, stage.in / stage.groups, ...stage.kernel.slice(2 - axes)];
  if (node.op !== "Conv" || `${dims}` !== `${sizes}` || readInt(node, "group", 1) !== stage.groups) return false;
  const original = windowOf(makeNode("Conv", [], [], Object.fromEntries(attributesFromJson(attributes))), axes);
  return isSameWindow(windowOf(node, axes), stageWindow(original, stage, axes));
}

const isPlainGemm = (node: Node): boolean =>
  readInt(node, "transB", 0) === 1 &&
  readInt(node, "transA", 0) === 0 &&
  readFloat(node, "alpha", 1) === 1 &&
  readFloat(node, "beta", 1) === 1;
