// Making new graphs out of old ones. What did not change is shared; nothing is changed in place.
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "./attributes.js";
import type { Attribute, Graph, GraphBody, Node, TensorData, Value } from "./types.js";

/** All values that a node reads: its inputs, and what its subgraphs capture from outside. */
export function reads(node: Node): ReadonlySet<string> {
  const names = new Set(node.inputs.filter((name) => name !== ""));
  for (const body of bodies(node)) for (const name of captures(body)) names.add(name);
  return names;
}

/** The subgraphs among a node's attributes. */
export function bodies(node: Node): readonly GraphBody[] {
  const found: GraphBody[] = [];
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === "graph") found.push(attribute.value);
    if (attribute.kind === "graphs") found.push(...attribute.value);
  }
  return found;
}

/** The names that a subgraph reads from outside itself. */
export function captures(body: GraphBody): ReadonlySet<string> {
  const own = new Set<string>([...body.initializers.keys(), ...(body.sparseInitializers?.keys() ?? [])]);
  for (const input of body.inputs) own.add(input.name);
  const outer = new Set<string>();
  for (const node of body.nodes) {
    for (const name of reads(node)) if (!own.has(name)) outer.add(name);
    for (const output of node.outputs) own.add(output);
  }
  for (const output of body.outputs) if (!own.has(output.name)) outer.add(output.name);
  return outer;
}

/** The named values, and all that depend on them. */
export function dependents({ nodes }: GraphBody, names: Iterable<string>): ReadonlySet<string> {
  const found = new Set(names);
  for (const node of nodes)
    if ([...reads(node)].some((name) => found.has(name))) for (const output of node.outputs) found.add(output);
  return found;
}

/**
 * The inputs that a caller must feed: those that are not initializers. (Old models list initializers among their
 * inputs.)
 */
export function feeds(graph: GraphBody): readonly Value[] {
  return graph.inputs.filter(
    ({ name }) => !graph.initializers.has(name) && graph.sparseInitializers?.has(name) !== true,
  );
}

/** Every name of a value in the graph, subgraphs included. */
export function valueNames(graph: GraphBody, names: Set<string> = new Set()): Set<string> {
  for (const input of graph.inputs) names.add(input.name);
  for (const output of graph.outputs) names.add(output.name);
  for (const name of graph.initializers.keys()) names.add(name);
  for (const name of graph.sparseInitializers?.keys() ?? []) names.add(name);
  for (const node of graph.nodes) {
    for (const name of node.inputs) names.add(name);
    for (const name of node.outputs) names.add(name);
    for (const body of bodies(node)) valueNames(body, names);
  }
  return names;
}

/**
 * A name that no value and no node has yet: `stem` itself, or `stem_1`, `stem_2`, ... `taken` are names given out
 * since.
 */
export function freshName(graph: Graph, stem: string, taken: ReadonlySet<string> = new Set()): string {
  return freshNames(graph, taken)(stem);
}

/** As freshName, for many names at once: the graph is walked once, and each name given out is remembered. */
export function freshNames(graph: GraphBody, taken: Iterable<string> = []): (stem: string) => string {
  const used = valueNames(graph);
  for (const node of graph.nodes) used.add(node.name);
  for (const name of taken) used.add(name);
  return (stem) => {
    let name = stem;
    for (let count = 1; used.has(name) || name === ""; count++) name = `${stem}_${count}`;
    used.add(name);
    return name;
  };
}

/**
 * The graph with one node (found by identity) replaced by others in its place, and further initializers. Unused
 * initializers stay: see removeDeadNodes.
 */
export function replaceNode<G extends GraphBody>(
  graph: G,
  node: Node,
  nodes: readonly Node[],
  newInitializers: ReadonlyMap<string, TensorData> = new Map(),
): G {
  return replaceNodes(graph, new Map([[node, nodes]]), newInitializers);
}

/** As replaceNode, for many nodes at once. A node that is not in the graph is an error. */
export function replaceNodes<G extends GraphBody>(
  graph: G,
  replacements: ReadonlyMap<Node, readonly Node[]>,
  newInitializers: ReadonlyMap<string, TensorData> = new Map(),
): G {
  const present = new Set(graph.nodes);
  for (const node of replacements.keys()) {
    if (present.has(node)) continue;
    throw new FilterBasisError("not-found", "the node to be replaced is not in the graph", {
      node: nodeName(node),
      op: node.op,
    });
  }
  const nodes = graph.nodes.flatMap((node) => replacements.get(node) ?? [node]);
  return withInitializers({ ...graph, nodes }, newInitializers);
}

/** The graph with initializers added or replaced, the others in their order. */
export function withInitializers<G extends GraphBody>(graph: G, added: ReadonlyMap<string, TensorData>): G {
  if (added.size === 0) return graph;
  return { ...graph, initializers: new Map([...graph.initializers, ...added]) };
}

/** The graph without the named initializers (and without their entries among the inputs of old models). */
export function withoutInitializers<G extends GraphBody>(graph: G, names: ReadonlySet<string>): G {
  if (names.size === 0) return graph;
  const initializers = new Map([...graph.initializers].filter(([name]) => !names.has(name)));
  const inputs = graph.inputs.filter((input) => !names.has(input.name) || !graph.initializers.has(input.name));
  return { ...graph, initializers, inputs };
}

/** The graph with metadata entries set; undefined removes one. */
export function withMetadata(graph: Graph, entries: Readonly<Record<string, string | undefined>>): Graph {
  const metadata = new Map(graph.metadata);
  for (const [key, value] of Object.entries(entries)) {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  }
  return { ...graph, metadata };
}

/**
 * The graph in which every reader of a value reads another one instead: nodes, subgraphs that capture it, and graph
 * outputs. A graph output keeps its name, so one that is renamed is an error (the caller must keep that value).
 */
export function renameReads<G extends GraphBody>(graph: G, names: ReadonlyMap<string, string>): G {
  if (names.size === 0) return graph;
  const output = graph.outputs.find((value) => names.has(value.name));
  if (output !== undefined) {
    throw new FilterBasisError("internal", "a value that is an output of the graph cannot be renamed", {
      tensor: output.name,
    });
  }
  return { ...graph, nodes: graph.nodes.map((node) => renameInNode(node, names)) };
}

function renameInNode(node: Node, names: ReadonlyMap<string, string>): Node {
  if (![...reads(node)].some((name) => names.has(name))) return node;
  const attributes = new Map([...node.attributes].map(([key, value]) => [key, renameInAttribute(value, names)]));
  return { ...node, inputs: node.inputs.map((name) => names.get(name) ?? name), attributes };
}

function renameInAttribute(attribute: Attribute, names: ReadonlyMap<string, string>): Attribute {
  if (attribute.kind === "graph") return { kind: "graph", value: renameInBody(attribute.value, names) };
  if (attribute.kind === "graphs")
    return { kind: "graphs", value: attribute.value.map((body) => renameInBody(body, names)) };
  return attribute;
}

function renameInBody(body: GraphBody, names: ReadonlyMap<string, string>): GraphBody {
  const captured = captures(body);
  const inner = new Map([...names].filter(([name]) => captured.has(name)));
  if (inner.size === 0) return body;
  const outputs = body.outputs.map((value) => ({ ...value, name: inner.get(value.name) ?? value.name }));
  return { ...body, nodes: body.nodes.map((node) => renameInNode(node, inner)), outputs };
}
