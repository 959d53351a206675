// The layouts of compressed layers: an attribute of their nodes, until a model is written.
import type { Form } from "../basis/forms.js";
import { canonicalForm } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import { basisConvs, layerName, makeBasisConv } from "../graph/basis-conv.js";
import type { Graph, Node, Outcome, Pass, PassResult } from "../graph/types.js";
import { type LayerRecord, readRecord } from "./record.js";

/** How a layer is called: its node's name, or its output where it has none. */
export const layerLabel = ({ name, output }: LayerRecord): string => name || output;

/** Writes one layer in another layout. Errors: `not-found`, `unsupported` (something stands between basis and coefficients). */
export function chooseForm(graph: Graph, name: string, form: Form): Graph {
  const found = basisConvs(graph.nodes).find(({ layer }) => layerName(layer) === name);
  if (!found) throw new FilterBasisError("not-found", "the model has no compressed layer of this name", { layer: name });
  if (found.layer.provenance.partOf) throw new FilterBasisError("unsupported", betweenReason, { layer: name });
  return reform(graph, new Map([[found.node, form]])).graph;
}

/** The pass that writes every layer in the layout that `pick` names for it. */
export function chooseForms(pick: (layer: LayerRecord) => Form): Pass {
  return (graph) => {
    const layers = readRecord(graph)?.layers ?? [];
    return reform(graph, new Map(basisConvs(graph.nodes).map(({ node }, index) => [node, pick(layers[index]!)])));
  };
}

export const betweenReason = "something that is not linear stands between its basis and its coefficients";

function reform(graph: Graph, wanted: ReadonlyMap<Node, Form>): PassResult {
  const outcomes: Outcome[] = [];
  const changed = new Map<Node, Node>();
  for (const { node, layer } of basisConvs(graph.nodes)) {
    const asked = wanted.get(node);
    if (asked === undefined) continue;
    const layout = canonicalForm(asked, layer.splits);
    const outcome = (done: boolean, because: string) => outcomes.push({ pass: "form", layer: layerName(layer), done, because });
    if (layer.provenance.partOf) outcome(false, betweenReason);
    else if (layout === layer.layout) outcome(false, `its form is ${layout} already`);
    else {
      changed.set(node, makeBasisConv({ ...layer, layout }));
      outcome(true, `${layer.layout} -> ${layout}`);
    }
  }
  if (changed.size === 0) return { graph, outcomes };
  return { graph: { ...graph, nodes: graph.nodes.map((node) => changed.get(node) ?? node) }, outcomes };
}
