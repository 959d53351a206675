// Undoing chains: every layer that the record of chains tells of becomes the one node again that it stands for, with the dense filters that
// its stages amount to and the bias of its last stage.
import { composed, makeFactors } from "../basis/factors.js";
import { int, makeNode } from "../graph/attributes.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import { indexOf, type Stored } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, PassResult, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { dropUnread } from "../passes/remove-unread.js";
import { type ChainRecord, describeChain, readChains, withChainRecord } from "./chain-record.js";
import { attributesFromJson } from "./record.js";

/** The pass. A chain whose nodes are not what its record says stays, with its part of the record. @throws FilterBasisError `malformed` */
export function expandChains(graph: Graph): PassResult {
  const chains = readChains(graph);
  if (chains.length === 0) return { graph, outcomes: [] };
  const made = indexOf(graph).producers;
  const constant = indexOf(graph).stored;
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorData>();
  const stored = new Map<string, string>();
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  const kept: ChainRecord[] = [];
  for (const chain of chains) {
    const found = findChain(chain, made, constant);
    const applied = !("reason" in found);
    const reason = applied ? `${describeChain(chain)} -> dense` : found.reason;
    outcomes.push({ pass: "expand-chains", layer: chain.name || chain.output, applied, reason });
    if (!applied) {
      kept.push(chain);
      continue;
    }
    const key = chain.weights.join("\n");
    if (!stored.has(key)) {
      const name = fresh(chain.weight || `${chain.name || chain.output}.weight`);
      initializers.set(name, denseTensor(chain, found.weights));
      stored.set(key, name);
    }
    replacements.set(found.end, denseNodes(chain, found, stored.get(key)!, fresh));
  }
  const replaced = replaceNodes(graph, replacements, initializers);
  const read = [...replacements.keys()].flatMap(({ inputs }) => inputs);
  return { graph: withChainRecord(dropUnread(replaced, read), kept), outcomes };
}

interface Found {
  /** What the chain reads. */
  readonly input: string;
  /** The node that makes the layer's output. */
  readonly end: Node;
  /** The last stage's bias, "" for none. */
  readonly bias: string;
  readonly weights: readonly Stored[];
}

const changed = { reason: "its nodes are not what the model's record says of it" };

/** From the output back over the stages. */
function findChain(
  chain: ChainRecord,
  made: ReadonlyMap<string, Node>,
  constant: (name: string) => Stored | undefined,
): Found | { readonly reason: string } {
  const end = made.get(chain.output);
  if (end === undefined) return changed;
  let [node, bias]: [Node | undefined, string] = [end, end.inputs[2] ?? ""];
  if (chain.kind === "matmul" && end.op === "Add") [node, bias] = [made.get(end.inputs[0] ?? ""), end.inputs[1] ?? ""];
  const weights: Stored[] = [];
  for (let stage = chain.weights.length - 1; stage >= 0; stage--) {
    if (node?.domain !== "" || !operators[chain.kind].includes(node.op)) return changed;
    const weight = constant(node.inputs[1] ?? "");
    if (weight === undefined || weight.root !== chain.weights[stage]) return changed;
    weights.unshift(weight);
    if (stage === 0) return { input: node.inputs[0] ?? "", end, bias, weights };
    node = made.get(node.inputs[0] ?? "");
  }
  return changed;
}

const operators: Readonly<Record<ChainRecord["kind"], readonly string[]>> = {
  conv: ["Conv"],
  gemm: ["Gemm", "MatMul"],
  matmul: ["MatMul"],
};

function denseTensor(chain: ChainRecord, weights: readonly Stored[]): TensorData {
  const { kind, axes, shape } = chain;
  const values = weights.map(({ tensor }, stage) => rowMajor(chain, numbers(tensor), tensor.dims, stage === weights.length - 1));
  const filters = composed(makeFactors(candidateOf(chain), shape, values));
  const { type } = weights[0]!.tensor;
  if (kind === "gemm") return tensorOf(type, [shape.n, shape.c], filters.data);
  if (kind === "matmul") return tensorOf(type, [shape.c, shape.n], transpose(filters).data);
  return tensorOf(type, [shape.n, shape.c, ...(axes === 1 ? [shape.kernel[1]] : shape.kernel)], filters.data);
}

export const candidateOf = ({ family, splits, ranks }: ChainRecord) => ({ family, ranks, ...(splits && { splits }) });

/** Stages of matrices are stored [in, out], but for the last of a Gemm. */
function rowMajor({ kind }: ChainRecord, values: Float64Array, dims: readonly number[], last: boolean): Float64Array {
  if (kind === "conv" || (kind === "gemm" && last)) return values;
  const stored: Matrix = matrix(dims[0]!, dims[1]!, values);
  return transpose(stored).data;
}

function denseNodes(
  chain: ChainRecord,
  { input, bias }: Found,
  weight: string,
  fresh: (stem: string) => string,
): readonly Node[] {
  const { kind, name, output } = chain;
  const own = Object.fromEntries(attributesFromJson(chain.attributes));
  if (kind === "conv") return [makeNode("Conv", [input, weight, ...(bias ? [bias] : [])], [output], own, { name })];
  if (kind === "gemm")
    return [makeNode("Gemm", [input, weight, ...(bias ? [bias] : [])], [output], { transB: int(1) }, { name })];
  if (bias === "") return [makeNode("MatMul", [input, weight], [output], {}, { name })];
  const product = fresh(`${output}.product`);
  return [makeNode("MatMul", [input, weight], [product], {}, { name }), makeNode("Add", [product, bias], [output])];
}
