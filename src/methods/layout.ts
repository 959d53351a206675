// The layouts of compressed layers: an attribute of their nodes, until a model is written.
import type { Layout } from "../basis/layouts.js";
import { canonicalLayout } from "../basis/layouts.js";
import { FilterBasisError } from "../errors/error.js";
import { basisConvs, layerName, makeBasisConv } from "../graph/basis-conv.js";
import type { Graph, Node, Outcome, Pass, PassResult } from "../graph/types.js";
import { type LayerRecord, readRecord } from "./record.js";

/** How a layer is called: its node's name, or its output where it has none. */
export const layerLabel = ({ name, output }: LayerRecord): string => name || output;

/**
 * Writes one layer in another layout.
 * @throws FilterBasisError `not-found`, `unsupported` (something stands between basis and coefficients)
 */
export function chooseLayout(graph: Graph, name: string, layout: Layout): Graph {
  const found = basisConvs(graph.nodes).find(({ layer }) => layerName(layer) === name);
  if (!found)
    throw new FilterBasisError("not-found", "the model has no compressed layer of this name", { layer: name });
  if (found.layer.provenance.partOf) throw new FilterBasisError("unsupported", basisOnlyReason, { layer: name });
  return withLayouts(graph, new Map([[found.node, layout]])).graph;
}

/** The pass that writes every layer in the layout that `pick` names for it. */
export function chooseLayouts(pick: (layer: LayerRecord) => Layout): Pass {
  return (graph) => {
    const layers = readRecord(graph)?.layers ?? [];
    return withLayouts(graph, new Map(basisConvs(graph.nodes).map(({ node }, index) => [node, pick(layers[index]!)])));
  };
}

export const basisOnlyReason = "something that is not linear stands between its basis and its coefficients";

function withLayouts(graph: Graph, wanted: ReadonlyMap<Node, Layout>): PassResult {
  const outcomes: Outcome[] = [];
  const changed = new Map<Node, Node>();
  for (const { node, layer } of basisConvs(graph.nodes)) {
    const asked = wanted.get(node);
    if (asked === undefined) continue;
    const layout = canonicalLayout(asked, layer.splits);
    const outcome = (applied: boolean, reason: string) =>
      outcomes.push({ pass: "layout", layer: layerName(layer), applied, reason });
    if (layer.provenance.partOf) outcome(false, basisOnlyReason);
    else if (layout === layer.layout) outcome(false, `its layout is ${layout} already`);
    else {
      changed.set(node, makeBasisConv({ ...layer, layout }));
      outcome(true, `${layer.layout} -> ${layout}`);
    }
  }
  if (changed.size === 0) return { graph, outcomes };
  return { graph: { ...graph, nodes: graph.nodes.map((node) => changed.get(node) ?? node) }, outcomes };
}
