// Rewriting compressed sites from any form to any other, and back to dense filters. Driven by the record in the metadata.
import { type BasisConvolution, canonicalForm, type Form, formNodes } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import { consumers, freshNames } from "../graph/edit.js";
import type { Graph, Node, Outcome, Pass } from "../graph/types.js";
import { dropUnused } from "./cleanup.js";
import { type LocatedSite, locateSite } from "./locate.js";
import { attributesFromJson, readRecord, type SiteRecord, withRecord } from "./record.js";

/** How a site is called: its node's name, or its output where it has none. */
export const siteLabel = ({ name, output }: SiteRecord): string => name || output;

/** Writes one site in another form. Errors: `not-found`, `unsupported` (something stands between basis and coefficients), `malformed`. */
export function chooseForm(graph: Graph, name: string, form: Form): Graph {
  const site = readRecord(graph)?.sites.find((one) => siteLabel(one) === name);
  if (!site) throw new FilterBasisError("not-found", "the model has no compressed layer of this name", { layer: name });
  if (site.between) throw new FilterBasisError("unsupported", betweenReason, { layer: name });
  return reform(graph, new Map([[site.output, form]])).graph;
}

/** The pass that writes every site in the form that `pick` names for it. */
export function chooseForms(pick: (site: SiteRecord) => Form): Pass {
  return (graph) => reform(graph, new Map((readRecord(graph)?.sites ?? []).map((site) => [site.output, pick(site)])));
}

const betweenReason = "something that is not linear stands between its basis and its coefficients";

/** Rewrites sites, named by their output in the record. */
function reform(graph: Graph, wanted: ReadonlyMap<string, Form>): { graph: Graph; outcomes: readonly Outcome[] } {
  const record = readRecord(graph);
  if (!record) return { graph, outcomes: [] };
  const outcomes: Outcome[] = [];
  const context = { fresh: freshNames(graph), opset: graph.opsets.get("") ?? 1 };
  const readers = consumers(graph);
  const edits: SiteEdit[] = [];
  const sites = record.sites.map((site): SiteRecord => {
    const asked = wanted.get(site.output);
    if (asked === undefined) return site;
    const form = canonicalForm(asked, site.splits);
    const outcome = (done: boolean, because: string) => outcomes.push({ pass: "form", site: siteLabel(site), done, because });
    if (site.between) outcome(false, betweenReason);
    else if (form === site.form) outcome(false, `its form is ${form} already`);
    else {
      const located = locateSite(graph, site);
      edits.push({ located, nodes: formNodes(describeSite(site, located, readers), form, context) });
      outcome(true, `${site.form} -> ${form}`);
      return { ...site, form, ...(located.basisBias ? { basisBias: located.basisBias } : {}) };
    }
    return site;
  });
  return { graph: withRecord(replaceSites(graph, edits), { ...record, sites }), outcomes };
}

export interface SiteEdit {
  readonly located: LocatedSite;
  readonly nodes: readonly Node[];
}

/** The graph with sites' nodes replaced; constants that nobody reads any more go too, except those named. */
export function replaceSites(graph: Graph, edits: readonly SiteEdit[], keep: ReadonlySet<string> = new Set()): Graph {
  const ends = new Map(edits.map(({ located, nodes }) => [located.last, nodes]));
  const nodes = graph.nodes.flatMap((node) => ends.get(node) ?? [node]);
  const feeding = edits.flatMap(({ located }) =>
    located.last.inputs.filter((name) => name !== located.input && name !== "" && !keep.has(name)),
  );
  return dropUnused({ ...graph, nodes }, feeding);
}

/** The site as the writer of forms needs it. */
export function describeSite(
  site: SiteRecord,
  located: LocatedSite,
  readers: ReadonlyMap<string, readonly Node[]>,
): BasisConvolution {
  const [outChannels, inChannels, ...kernel] = site.shape as [number, number, ...number[]];
  return {
    name: located.last.name || siteLabel(site),
    input: located.input,
    output: located.output,
    basis: readable(site.basis, readers),
    coefficients: readable(site.coefficients, readers),
    bias: located.bias,
    basisBias: located.basisBias,
    splits: site.splits,
    basisSize: site.basisSize,
    outChannels,
    inChannels,
    kernel,
    slice: site.slice ?? null,
    attributes: attributesFromJson(site.attributes),
  };
}

/** The value that stands for an initializer in the graph: its Cast, where it is stored in another type than it is computed in. */
function readable(name: string, readers: ReadonlyMap<string, readonly Node[]>): string {
  const cast = readers.get(name)?.find((node) => node.op === "Cast");
  return cast?.outputs[0] ?? name;
}
