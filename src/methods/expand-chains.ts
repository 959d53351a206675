// Undoing chains: every layer that the record of chains tells of becomes the one node again that it stands for, with
// the dense filters that its stages amount to and the bias of its last stage.
import { composed, makeFactors } from "../basis/factors.js";
import { elements, int, makeNode } from "../graph/attributes.js";
import type { Graph, Node, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { type ChainRecord, candidateOf, describeChain, withChainRecord } from "./chain-record.js";
import { type FoundChain, findChains } from "./find-chains.js";
import { attributesFromJson } from "./record.js";
import { type Store, storeFor } from "./store.js";

/**
 * The pass. A chain whose nodes are not what its record says stays, with its part of the record. @throws
 * FilterBasisError `malformed`
 */
export function expandChains(graph: Graph): PassResult {
  const store = storeFor(graph);
  const stored = new Map<string, string>();
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  const kept: ChainRecord[] = [];
  for (const found of findChains(graph)) {
    const { chain } = found;
    const applied = !("reason" in found);
    const reason = applied ? `${describeChain(chain)} -> dense` : found.reason;
    outcomes.push({ pass: "expand-chains", layer: chain.name || chain.output, applied, reason });
    if (!applied) {
      kept.push(chain);
      continue;
    }
    const key = chain.weights.join("\n");
    const weight = stored.get(key) ?? storeWeight(found, store);
    stored.set(key, weight);
    replacements.set(found.nodes.at(-1)!, denseNodes(found, weight, store.fresh));
  }
  if (replacements.size === 0) return { graph, outcomes };
  return { graph: withChainRecord(store.replace(graph, replacements), kept), outcomes };
}

/** The dense filters, stored as the largest stage of the chain is. */
function storeWeight({ chain, weights }: FoundChain, store: Store): string {
  const { kind, axes, shape, name, output, weight } = chain;
  const { n, c, kernel } = shape;
  const filters = chainFilters(chain, weights);
  const { tensor, type } = weights.reduce((a, b) => (elements(b.tensor.dims) > elements(a.tensor.dims) ? b : a));
  const put = (dims: readonly number[], values: Float64Array) =>
    store.put(weight || `${name || output}.weight`, { stored: tensor.type, read: type }, dims, values);
  if (kind === "gemm") return put([n, c], filters.data);
  if (kind === "matmul") return put([c, n], transpose(filters).data);
  return put([n, c, ...kernel.slice(2 - axes)], filters.data);
}

/** The filters [n x c kh kw] that a chain amounts to. */
function chainFilters(chain: ChainRecord, weights: FoundChain["weights"]) {
  const values = weights.map(({ tensor }, stage) =>
    rowMajor(chain, numbers(tensor), tensor.dims, stage === weights.length - 1),
  );
  return composed(makeFactors(candidateOf(chain), chain.shape, values));
}

/** Stages of matrices are stored [in, out], but for the last of a Gemm. */
function rowMajor({ kind }: ChainRecord, values: Float64Array, dims: readonly number[], last: boolean): Float64Array {
  if (kind === "conv" || (kind === "gemm" && last)) return values;
  return transpose(matrix(dims[0]!, dims[1]!, values)).data;
}

function denseNodes({ chain, input, bias }: FoundChain, weight: string, fresh: Store["fresh"]): readonly Node[] {
  const { kind, name, output } = chain;
  const own = Object.fromEntries(attributesFromJson(chain.attributes));
  if (kind === "conv") return [makeNode("Conv", [input, weight, ...(bias ? [bias] : [])], [output], own, { name })];
  if (kind === "gemm")
    return [makeNode("Gemm", [input, weight, ...(bias ? [bias] : [])], [output], { transB: int(1) }, { name })];
  if (bias === "") return [makeNode("MatMul", [input, weight], [output], {}, { name })];
  const product = fresh(`${output}.product`);
  return [makeNode("MatMul", [input, weight], [product], {}, { name }), makeNode("Add", [product, bias], [output])];
}
