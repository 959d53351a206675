// Finding a compressed site in the graph again. Other passes may have renamed values or folded a batch norm into the
// coefficients since, so the site is found by its structure: from the initializer of its coefficients to its input.
import { FilterBasisError } from "../errors/error.js";
import { consumers, producers } from "../graph/edit.js";
import type { Graph, Node } from "../graph/types.js";
import type { SiteRecord } from "./record.js";

export interface LocatedSite {
  /** Nodes of the site, in the order of the graph, without casts and other chains that several sites may read. */
  readonly nodes: readonly Node[];
  /** The node that makes the output: the 1 x 1 convolution, or the original one rebuilt. */
  readonly last: Node;
  /** The node (or nodes, one for each split) that convolves with the basis; for form dense the last node. */
  readonly basis: readonly Node[];
  readonly input: string;
  readonly output: string;
  /** The last node's bias, or "". */
  readonly bias: string;
  /** The basis's own bias [m], or "". */
  readonly basisBias: string;
}

/** What standing between coefficients and weight a site may contain. */
const rebuilding = new Set(["Reshape", "MatMul", "Slice", "Tile", "Constant", "Cast", "Identity", "Add"]);

/** Finds a site that has nothing between basis and coefficients. Errors: `malformed` where graph and record do not fit together. */
export function locateSite(graph: Graph, site: SiteRecord): LocatedSite {
  const { made, position } = indexes(graph);
  const misfit = (what: string): never => {
    throw new FilterBasisError("malformed", `the model does not fit its record: ${what}`, {
      node: site.name || site.output,
      field: "metadata.filterbasis",
    });
  };
  if (!graph.initializers.has(site.basis)) misfit(`its basis ${site.basis} is not there`);
  if (!graph.initializers.has(site.coefficients)) misfit(`its coefficients ${site.coefficients} are not there`);
  const ends = endsOf(graph, site.coefficients);
  const direct = made.get(site.output);
  const last =
    direct !== undefined && direct.outputs[0] === site.output && ends.has(direct)
      ? direct
      : ends.size === 1
        ? [...ends][0]
        : [...ends].find((node) => node.name !== "" && node.name === site.name);
  if (!last) return misfit(`no convolution reads its coefficients ${site.coefficients}`);
  const collected = new Set<Node>([last]);
  const collectConstants = (value: string): void => {
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const node = made.get(next);
      if (!node || collected.has(node) || node.op === "Cast" || node.op === "Identity" || !rebuilding.has(node.op)) continue;
      collected.add(node);
      open.push(...node.inputs);
    }
  };
  let basis: Node[] = [last];
  if (site.form !== "dense") {
    basis = backToBasis(last.inputs[0] ?? "", site, made, collected) ?? misfit("no convolution with its basis was found");
  }
  for (const node of collected) for (const [place, value] of node.inputs.entries()) if (place > 0) collectConstants(value);
  for (const node of basis) for (const value of node.inputs.slice(1)) collectConstants(value);
  const input = inputOf(site, basis, made, collected) ?? misfit("its input was not found");
  const nodes = [...collected].sort((a, b) => position.get(a)! - position.get(b)!);
  return {
    nodes,
    last,
    basis,
    input,
    output: last.outputs[0]!,
    bias: biasOf(site, last, made),
    basisBias: basisBiasOf(site, basis),
  };
}

/** From coefficients forward to the convolutions whose weight they are, or are part of. */
function endsOf(graph: Graph, coefficients: string): ReadonlySet<Node> {
  const { read, ends } = indexes(graph);
  const known = ends.get(coefficients);
  if (known !== undefined) return known;
  const found = new Set<Node>();
  const queue = [coefficients];
  const seen = new Set(queue);
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    for (const node of read.get(value) ?? []) {
      if (node.op === "Conv" && node.inputs[1] === value) found.add(node);
      if (!rebuilding.has(node.op)) continue;
      for (const output of node.outputs) if (!seen.has(output)) queue.push(output) && seen.add(output);
    }
  }
  ends.set(coefficients, found);
  return found;
}

/** What is looked up in a graph again and again. */
interface Indexes {
  readonly made: ReadonlyMap<string, Node>;
  readonly read: ReadonlyMap<string, readonly Node[]>;
  readonly position: ReadonlyMap<Node, number>;
  /** By coefficients, for `endsOf`. */
  readonly ends: Map<string, ReadonlySet<Node>>;
}

const cache = new WeakMap<Graph, Indexes>();

function indexes(graph: Graph): Indexes {
  const known = cache.get(graph) ?? {
    made: producers(graph),
    read: consumers(graph),
    position: new Map(graph.nodes.map((node, index) => [node, index])),
    ends: new Map(),
  };
  cache.set(graph, known);
  return known;
}

/** From the input of the 1 x 1 back through Concat or Reshape to the convolutions with the basis. */
function backToBasis(value: string, site: SiteRecord, made: ReadonlyMap<string, Node>, collected: Set<Node>): Node[] | undefined {
  const node = made.get(value);
  if (!node) return undefined;
  if (node.op === "Conv") {
    collected.add(node);
    return [node];
  }
  if (site.splits === 1 || (node.op !== "Concat" && node.op !== "Reshape")) return undefined;
  collected.add(node);
  const parts = node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1);
  const found = parts.map((part) => made.get(part));
  if (found.some((part) => part?.op !== "Conv")) return undefined;
  for (const part of found) collected.add(part!);
  return found as Node[];
}

function inputOf(
  site: SiteRecord,
  basis: readonly Node[],
  made: ReadonlyMap<string, Node>,
  collected: Set<Node>,
): string | undefined {
  const first = basis[0]?.inputs[0];
  if (first === undefined || site.splits === 1 || site.form === "dense" || site.form === "grouped") return first;
  const node = made.get(first);
  if (node?.op !== (site.form === "separate" ? "Split" : "Reshape")) return undefined;
  collected.add(node);
  return node.inputs[0];
}

/** Folding a batch norm that stood before may have given a basis a bias which the record does not know. */
function basisBiasOf(site: SiteRecord, basis: readonly Node[]): string {
  const repeated = site.form === "dense" || (site.form === "grouped" && site.splits > 1);
  return repeated ? (site.basisBias ?? "") : (basis[0]?.inputs[2] ?? "");
}

/** In form dense a basis with its own bias makes the bias a sum, whose first part is the site's. */
function biasOf(site: SiteRecord, last: Node, made: ReadonlyMap<string, Node>): string {
  const bias = last.inputs[2] ?? "";
  if (site.form !== "dense" || !site.basisBias) return bias;
  const node = made.get(bias);
  return node?.op === "Add" ? node.inputs[0]! : "";
}

/**
 * The convolutions of compressed sites, whatever their form: those whose weight is, or is computed from, one of the named
 * initializers. True for those that read coefficients, which stand for their site.
 */
export function siteConvolutions(
  graph: Graph,
  bases: ReadonlySet<string>,
  coefficients: ReadonlySet<string>,
): ReadonlyMap<Node, boolean> {
  const { made } = indexes(graph);
  const under = (value: string): ReadonlySet<string> => {
    const found = new Set<string>();
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      const node = made.get(next);
      if (node && rebuilding.has(node.op)) open.push(...node.inputs);
    }
    return found;
  };
  const nodes = new Map<Node, boolean>();
  for (const node of graph.nodes) {
    if (node.op !== "Conv" || node.domain !== "") continue;
    const names = [...under(node.inputs[1] ?? "")];
    if (names.some((name) => coefficients.has(name))) nodes.set(node, true);
    else if (names.some((name) => bases.has(name))) nodes.set(node, false);
  }
  return nodes;
}
