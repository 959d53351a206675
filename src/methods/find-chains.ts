// Chains as a graph has them: from the output of each that the record tells of back over its stages. A chain whose
// nodes are not what its record says is told with the reason.
import { type StageShape, stageShapes } from "../basis/factors.js";
import { isError } from "../errors/error.js";
import { makeNode, readFloat, readInt, readInts, readString } from "../graph/attributes.js";
import { type GraphIndex, indexOf, type Stored } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { type ChainRecord, candidateOf, readChains } from "./chain-record.js";
import { attributesFromJson } from "./record.js";

export interface FoundChain {
  readonly chain: ChainRecord;
  /** What the chain reads. */
  readonly input: string;
  /** In order; the last one makes the layer's output. */
  readonly nodes: readonly [...Node[], Node];
  /** The last stage's bias, "" for none. */
  readonly bias: string;
  readonly weights: readonly Stored[];
}

export interface ChangedChain {
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

function findChain(chain: ChainRecord, { producers: made, stored }: GraphIndex): FoundChain | ChangedChain {
  const stages = stagesOf(chain);
  const end = made.get(chain.output);
  if (end === undefined || stages === undefined) return { chain, reason: changed };
  const nodes: [...Node[], Node] = [end];
  let node: Node | undefined = end;
  let bias = end.inputs[2] ?? "";
  if (chain.kind === "matmul" && end.op === "Add") {
    [node, bias] = [made.get(end.inputs[0] ?? ""), end.inputs[1] ?? ""];
    if (node !== undefined) nodes.unshift(node);
  }
  const weights: Stored[] = [];
  for (let at = stages.length - 1; node !== undefined; at--) {
    const weight = stored(node.inputs[1] ?? "");
    if (weight === undefined || weight.root !== chain.weights[at]) break;
    if (!isStage(chain, node, weight.tensor.dims, stages, at)) break;
    weights.unshift(weight);
    if (at === 0) return { chain, input: node.inputs[0] ?? "", nodes, bias, weights };
    node = made.get(node.inputs[0] ?? "");
    if (node !== undefined) nodes.unshift(node);
  }
  return { chain, reason: changed };
}

/** Undefined where a record contradicts itself. */
function stagesOf(chain: ChainRecord): readonly StageShape[] | undefined {
  try {
    const stages = stageShapes(candidateOf(chain), chain.shape);
    return stages.length === chain.weights.length ? stages : undefined;
  } catch (error) {
    if (isError(error, "invalid-plan")) return undefined;
    throw error;
  }
}

/**
 * Whether a node is the stage of the chain: its operator, its weight's sizes, its window, and that only the last one
 * has a bias.
 */
function isStage(
  { kind, axes, attributes }: ChainRecord,
  node: Node,
  dims: readonly number[],
  stages: readonly StageShape[],
  at: number,
): boolean {
  const stage = stages[at]!;
  const last = at === stages.length - 1;
  if (node.domain !== "" || (!last && node.inputs.length > 2)) return false;
  if (kind !== "conv") {
    const isGemm = kind === "gemm" && last;
    const sizes = isGemm ? [stage.out, stage.in] : [stage.in, stage.out];
    return node.op === (isGemm ? "Gemm" : "MatMul") && `${dims}` === `${sizes}` && (!isGemm || isPlainGemm(node));
  }
  const sizes = [stage.out, stage.in / stage.groups, ...stage.kernel.slice(2 - axes)];
  if (node.op !== "Conv" || `${dims}` !== `${sizes}` || readInt(node, "group", 1) !== stage.groups) return false;
  const original = windowOf(makeNode("Conv", [], [], Object.fromEntries(attributesFromJson(attributes))), axes);
  const own = windowOf(node, axes);
  const carried = stage.carries.slice(2 - axes);
  const expected = carried.map((carries, axis) => ({
    stride: stage.stride.slice(2 - axes)[axis]!,
    ...(carries ? original.sides[axis]! : { dilation: 1, begin: 0, end: 0 }),
  }));
  const auto = carried.some((carries) => carries) ? original.auto : "NOTSET";
  return (
    own.auto === auto &&
    own.sides.every((side, axis) => isSame({ ...side, stride: own.strides[axis]! }, expected[axis]!))
  );
}

const isPlainGemm = (node: Node): boolean =>
  readInt(node, "transB", 0) === 1 &&
  readInt(node, "transA", 0) === 0 &&
  readFloat(node, "alpha", 1) === 1 &&
  readFloat(node, "beta", 1) === 1;

interface Side {
  readonly dilation: number;
  readonly begin: number;
  readonly end: number;
}

const isSame = (a: Side & { readonly stride: number }, b: Side & { readonly stride: number }): boolean =>
  a.stride === b.stride && a.dilation === b.dilation && a.begin === b.begin && a.end === b.end;

/** Strides, dilations and padding of a convolution, by axis. */
function windowOf(node: Node, axes: number) {
  const ones = new Array<number>(axes).fill(1);
  const dilations = readInts(node, "dilations", ones);
  const auto = readString(node, "auto_pad", "NOTSET");
  const padded = auto === "NOTSET" ? readInts(node, "pads", []) : [];
  const sides = ones.map(
    (_, axis): Side => ({
      dilation: dilations[axis] ?? 1,
      begin: padded[axis] ?? 0,
      end: padded[axes + axis] ?? 0,
    }),
  );
  return { auto: auto === "VALID" ? "NOTSET" : auto, strides: readInts(node, "strides", ones), sides };
}
