// Undoing chains: every layer that the record of chains tells of becomes the one node again that it stands for, with
// the dense filters that its stages amount to and the bias of its last stage.
import { composed } from "../basis/composed.js";
import { makeFactors, storedRepeats } from "../basis/factors.js";
import { elements, int, makeNode } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, PassResult } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { type ChainRecord, candidateOf, describeChain, withChainRecord } from "./chain-record.js";
import type { CompressedLayer } from "./compressed-layers.js";
import { type FoundChain, findChains } from "./find-chains.js";
import type { Reconstructed } from "./method.js";
import { attributesFromJson } from "./record.js";
import { inPrecision, type Precision, type Store, storeFor } from "./store.js";

/**
 * The pass. A chain whose nodes are not what its record says stays, with its part of the record. @throws
 * FilterBasisError `malformed`
 */
export function expandChains(graph: Graph, precision: Precision = "stored"): PassResult {
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
    const weight = stored.get(key) ?? storeWeight(found, store, precision);
    stored.set(key, weight);
    replacements.set(
      found.nodes.at(-1)!,
      denseNodes({ ...found, bias: biasOf(found, graph, store) }, weight, store.fresh),
    );
  }
  if (replacements.size === 0) return { graph, outcomes };
  return { graph: withChainRecord(store.replace(graph, replacements), kept), outcomes };
}

/** The dense filters, stored as the largest stage of the chain is. */
function storeWeight(found: FoundChain, store: Store, precision: Precision): string {
  const { chain, weights } = found;
  const { kind, axes, shape, name, output, weight } = chain;
  const { n, c, kernel } = shape;
  const filters = chainFilters(found);
  const { tensor, type } = weights.reduce((a, b) => (elements(b.tensor.dims) > elements(a.tensor.dims) ? b : a));
  const put = (dims: readonly number[], values: Float64Array) =>
    store.put(
      weight || `${name || output}.weight`,
      inPrecision({ stored: tensor.type, read: type }, precision),
      dims,
      values,
    );
  if (kind === "gemm") return put([n, c], filters.data);
  if (kind === "matmul") return put([c, n], transpose(filters).data);
  return put([n, c, ...kernel.slice(2 - axes)], filters.data);
}

/** The filters that a layer's chain amounts to, [n, c, kh, kw]. */
export function filtersOfChain(graph: Graph, compressed: CompressedLayer): Reconstructed {
  if (compressed.kind !== "chain") return { reason: "it is not a chain" };
  const found = findChains(graph).find(({ chain }) => chain.output === compressed.chain.output);
  if (found === undefined || "reason" in found) return { reason: found?.reason ?? "the model has no such chain" };
  return { values: chainFilters(found).data };
}

/** The same as [n x c kh kw]. */
function chainFilters({ chain, weights, orders }: FoundChain) {
  const candidate = { ...candidateOf(chain), orders };
  const repeats = storedRepeats(candidate, chain.shape);
  const values = weights.map(({ tensor }, stage) => {
    const own = rowMajor(chain, numbers(tensor), tensor.dims, stage === weights.length - 1);
    const times = repeats[stage] ?? 1;
    return times === 1 ? own : Float64Array.from({ length: own.length * times }, (_, i) => own[i % own.length]!);
  });
  return composed(makeFactors(candidate, chain.shape, values));
}

/** The layer's bias; where the chain's filters stand in another order, its own is too. */
function biasOf({ bias, chain, orders }: FoundChain, graph: Graph, store: Store): string {
  const order = orders[chain.weights.length];
  const stored = order && bias !== "" ? indexOf(graph).stored(bias) : undefined;
  if (!order || stored === undefined) return bias;
  const { tensor, type } = stored;
  const values = numbers(tensor);
  return store.put(
    `${chain.name || chain.output}.bias`,
    { stored: tensor.type, read: type },
    tensor.dims,
    order.map((place) => values[place]!),
  );
}

/** Stages of matrices are stored [in, out], but for the last of a Gemm. */
function rowMajor({ kind }: ChainRecord, values: Float64Array, dims: readonly number[], last: boolean): Float64Array {
  if (kind === "conv" || (kind === "gemm" && last)) return values;
  return transpose(matrix(dims[0]!, dims[1]!, values)).data;
}

function denseNodes(
  { chain, input, output, bias }: FoundChain,
  weight: string,
  fresh: Store["fresh"],
): readonly Node[] {
  const { kind, name } = chain;
  const own = Object.fromEntries(attributesFromJson(chain.attributes));
  if (kind === "conv") return [makeNode("Conv", [input, weight, ...(bias ? [bias] : [])], [output], own, { name })];
  if (kind === "gemm")
    return [makeNode("Gemm", [input, weight, ...(bias ? [bias] : [])], [output], { transB: int(1) }, { name })];
  if (bias === "") return [makeNode("MatMul", [input, weight], [output], {}, { name })];
  const product = fresh(`${output}.product`);
  return [makeNode("MatMul", [input, weight], [product], {}, { name }), makeNode("Add", [product, bias], [output])];
}
