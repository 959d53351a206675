// Layers over a basis as chains of two convolutions, where they are that: what is known of them outlives the node that
// they are in memory.
import { type BasisConv, basisConvs, layerName } from "../graph/basis-conv.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import type { ChainRecord } from "./chain-record.js";
import type { LostLayer } from "./precision-record.js";
import { attributesToJson, readRecord } from "./record.js";

/**
 * @param written the graph with layers in layouts that are written; those that became dense there are lost, and so are
 * bases that splits share
 */
export function basesAsChains(
  graph: Graph,
  written: Graph,
): { readonly chains: readonly ChainRecord[]; readonly lost: readonly LostLayer[] } {
  const { root } = indexOf(written);
  const chains: ChainRecord[] = [];
  const lost: LostLayer[] = [];
  const found = basisConvs(written.nodes);
  for (const { layer } of found) {
    const reason = whyNot(layer);
    if (reason === undefined) chains.push(chainOf(layer, root));
    else lost.push({ name: layerName(layer), reason });
  }
  const there = new Set(found.map(({ layer }) => layerName(layer)));
  for (const { name, output } of readRecord(graph)?.layers ?? [])
    if (!there.has(name || output))
      lost.push({ name: name || output, reason: "its filters were rebuilt from the basis before they were rounded" });
  return { chains, lost };
}

function whyNot({ splits, slice, basisBias, coefficients, layout, kernel }: BasisConv): string | undefined {
  if (layout === "dense") return "its filters were rebuilt from the basis before they were rounded";
  if (splits > 1) return `its ${splits} splits share a basis, which no longer is one node in eight bits`;
  if (slice !== null) return "it reads a slice of a wider basis";
  if (basisBias !== "") return "its basis has a bias of its own";
  if (coefficients === "") return "it is the basis part of a layer";
  return kernel.length > 2 ? `its kernel has ${kernel.length} axes` : undefined;
}

function chainOf(layer: BasisConv, root: (value: string) => string): ChainRecord {
  const { name, output, basis, coefficients, basisSize, outChannels, inChannels, kernel, attributes } = layer;
  const { error, weight, method } = layer.provenance;
  const strides = attributes.get("strides");
  const pair = (sides: readonly number[]): [number, number] => [sides.at(-2) ?? 1, sides.at(-1) ?? 1];
  return {
    ...{ name, kind: "conv", output, family: "one-split", ranks: [basisSize], method, weight },
    shape: {
      ...{ n: outChannels, c: inChannels, kernel: pair(kernel) },
      stride: pair(strides?.kind === "ints" ? strides.value.map(Number) : []),
    },
    axes: kernel.length === 1 ? 1 : 2,
    weights: [root(basis), root(coefficients)],
    attributes: attributesToJson(attributes),
    error: error === null ? null : error ** 2,
  };
}
