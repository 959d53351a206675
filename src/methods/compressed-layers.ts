// What was done to a model already: which of its convolutions belong to compressed layers, and what is to be said of them.
import { producers, reads } from "../graph/edit.js";
import type { Graph, Node } from "../graph/types.js";
import { type CompressionRecord, readRecord, recordedNodes, type SiteRecord } from "./record.js";

/** The convolutions of compressed layers; for those that stand for their layer, what was done to it. */
export function compressedNodes(graph: Graph): ReadonlyMap<Node, string | undefined> {
  const record = readRecord(graph);
  if (record === undefined) return new Map();
  const made = producers(graph);
  const sites = new Map<string, SiteRecord>();
  for (const site of record.sites) if (!sites.has(site.coefficients)) sites.set(site.coefficients, site);
  const nodes = new Map<Node, string | undefined>();
  for (const [node, stands] of recordedNodes(graph)) {
    const site = stands ? siteUnder(node.inputs[1] ?? "", made, sites) : undefined;
    nodes.set(node, stands ? `it is compressed already (${doneTo(record, site)}); --undo gives its dense form back` : undefined);
  }
  return nodes;
}

function siteUnder(
  value: string,
  made: ReadonlyMap<string, Node>,
  sites: ReadonlyMap<string, SiteRecord>,
): SiteRecord | undefined {
  const seen = new Set<string>();
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const site = sites.get(next);
    if (site !== undefined) return site;
    const node = made.get(next);
    if (node !== undefined) open.push(...reads(node));
  }
  return undefined;
}

function doneTo({ method }: CompressionRecord, site: SiteRecord | undefined): string {
  if (site === undefined) return `method ${method}`;
  const { splits, basisSize, shared } = site;
  const parts = `${splits} ${splits === 1 ? "split" : "splits"} x ${basisSize} basis filters`;
  return `method ${method}, ${parts}${shared === undefined ? "" : ` shared as ${shared}`}`;
}

/** The initializers of compressed layers: what `foldWeights` must keep. */
export function compressedTensors(graph: Graph): ReadonlySet<string> {
  const sites = readRecord(graph)?.sites ?? [];
  return new Set(sites.flatMap(({ basis, coefficients, basisBias }) => [basis, coefficients, ...(basisBias ? [basisBias] : [])]));
}

/** What was done to a model, in a sentence; undefined where nothing was. */
export function describeCompression(graph: Graph): string | undefined {
  const record = readRecord(graph);
  if (record === undefined || record.sites.length === 0) return undefined;
  const layers = record.sites.map((site) => `${site.name || site.output} ${site.splits} x ${site.basisSize}`);
  const shown = layers.length <= 4 ? layers.join(", ") : `${layers.slice(0, 3).join(", ")} and ${layers.length - 3} more`;
  const count = `${layers.length} ${layers.length === 1 ? "layer is" : "layers are"}`;
  return `${count} compressed already with method ${record.method} (splits x basis: ${shown})`;
}
