// What was done to a model already: which of its nodes belong to compressed layers, and what is to be said of them.

import { type BasisConv, basisConvs } from "../graph/basis-conv.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { readRecord } from "./record.js";

/** The nodes of compressed layers; for those that stand for their layer, what was done to it. */
export function compressedNodes(graph: Graph): ReadonlyMap<Node, string | undefined> {
  const found = basisConvs(graph.nodes);
  const nodes = new Map<Node, string | undefined>();
  const parts = new Map<string, BasisConv>();
  for (const { node, layer } of found) {
    const { partOf } = layer.provenance;
    if (partOf) parts.set(partOf.coefficients, layer);
    nodes.set(node, partOf ? undefined : already(layer));
  }
  // A basis part belongs to the convolution with its coefficients, which stands for the layer.
  const constant = parts.size > 0 ? indexOf(graph).stored : undefined;
  for (const node of constant === undefined ? [] : graph.nodes) {
    const layer = node.op === "Conv" ? parts.get(constant!(node.inputs[1] ?? "")?.root ?? "") : undefined;
    if (layer !== undefined) nodes.set(node, already(layer));
  }
  return nodes;
}

function already({ splits, basisSize, provenance: { method, shared } }: BasisConv): string {
  const parts = `${splits} ${splits === 1 ? "split" : "splits"} x ${basisSize} basis filters`;
  const done = `method ${method}, ${parts}${shared === undefined ? "" : ` shared as ${shared}`}`;
  return `it is compressed already (${done}); --undo gives its dense form back`;
}

/** What was done to a model, in a sentence; undefined where nothing was. */
export function describeCompression(graph: Graph): string | undefined {
  const record = readRecord(graph);
  if (record === undefined) return undefined;
  const layers = record.layers.map((layer) => `${layer.name || layer.output} ${layer.splits} x ${layer.basisSize}`);
  const shown = layers.length <= 4 ? layers.join(", ") : `${layers.slice(0, 3).join(", ")} and ${layers.length - 3} more`;
  const count = `${layers.length} ${layers.length === 1 ? "layer is" : "layers are"}`;
  return `${count} compressed already with method ${record.method} (splits x basis: ${shown})`;
}
