// Dropping what nothing reads: initializers, Constant nodes, nodes that only made such a value, and what the file says
// of values that are gone.
import { nodeName } from "../graph/attributes.js";
import { reads, withoutInitializers } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node, Outcome, Pass } from "../graph/types.js";

/**
 * Removes initializers and Constant nodes that neither a node nor an output reads, with what only they were computed
 * from.
 */
export const removeUnread: Pass = (graph) => {
  const constants = graph.nodes.filter(({ op, domain }) => op === "Constant" && domain === "");
  return removed("remove-unread", graph, [
    ...graph.initializers.keys(),
    ...constants.flatMap(({ outputs }) => outputs),
  ]);
};

/**
 * Removes the nodes of which no output is read, directly or not, by an output of the graph, and initializers and stated
 * types left unread.
 */
export const removeDeadNodes: Pass = (graph) =>
  removed(
    "remove-dead-nodes",
    graph,
    [...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)],
    (node) => node.outputs.every((output) => output === ""),
  );

function removed(
  pass: string,
  graph: Graph,
  names: readonly string[],
  isUseless = (_: Node) => false,
): ReturnType<Pass> {
  const result = dropUnread(graph, names, graph.nodes.filter(isUseless));
  const [kept, made] = [new Set(result.nodes), result.initializers];
  const told = (layer: string, reason: string): Outcome => ({ pass, layer, applied: true, reason });
  const nodes = graph.nodes.filter((node) => !kept.has(node));
  const constants = [...graph.initializers.keys()].filter((key) => !made.has(key));
  const outcomes = [
    ...constants.map((key) => told(key, "nothing reads this constant")),
    ...nodes.map((node) => told(nodeName(node), "no output of the graph depends on it")),
  ];
  return { graph: result, outcomes };
}

/**
 * The graph without the named values where nothing reads them, and without what only they were computed from; the very
 * same where all are read. What was unread before and is not named stays as the user had it.
 */
export function dropUnread(graph: Graph, names: Iterable<string>, takenOut: Iterable<Node> = []): Graph {
  const gone = unreadIn(graph, names, takenOut);
  if (gone.nodes.size === 0 && gone.constants.size === 0) return graph;
  const nodes = gone.nodes.size === 0 ? graph.nodes : graph.nodes.filter((node) => !gone.nodes.has(node));
  return withoutInitializers(withLiveValues({ ...graph, nodes }, graph, gone.constants), gone.constants);
}

/** What goes with named values that nothing reads, and with nodes that are taken out: nodes and initializers. */
export function unreadIn(
  graph: Graph,
  names: Iterable<string>,
  takenOut: Iterable<Node> = [],
): { readonly nodes: ReadonlySet<Node>; readonly constants: ReadonlySet<string> } {
  const { producers, consumers, outputs } = indexOf(graph);
  const left = new Map<string, number>();
  const readers = (value: string): number => left.get(value) ?? consumers.get(value)?.length ?? 0;
  const unread = (value: string): boolean => readers(value) === 0 && !outputs.has(value);
  const nodes = new Set<Node>();
  const constants = new Set<string>();
  const queue = [...names];
  const remove = (node: Node): void => {
    nodes.add(node);
    for (const input of reads(node)) {
      left.set(input, readers(input) - 1);
      queue.push(input);
    }
  };
  for (const node of takenOut) remove(node);
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    if (!unread(value)) continue;
    if (graph.initializers.has(value)) constants.add(value);
    const node = producers.get(value);
    if (node && !nodes.has(node) && node.outputs.every((output) => output === "" || unread(output))) remove(node);
  }
  return { nodes, constants };
}

/** Without the stated types of values that the graph had before and has no more. */
function withLiveValues(graph: Graph, before: Graph, gone: ReadonlySet<string>): Graph {
  const removed = new Set(gone);
  for (const node of before.nodes) for (const output of node.outputs) removed.add(output);
  for (const node of graph.nodes) for (const output of node.outputs) removed.delete(output);
  const values = new Map([...graph.values].filter(([value]) => !removed.has(value)));
  return values.size === graph.values.size ? graph : { ...graph, values };
}
