// Dropping what nothing reads: initializers, Constant nodes, nodes that only made such a value, and what the file says of values that are gone.
import { nodeName } from "../graph/attributes.js";
import { reads, withoutInitializers } from "../graph/edit.js";
import type { Graph, Node, Outcome, Pass } from "../graph/types.js";

const name = "remove-unread";

/** Removes initializers and Constant nodes that neither a node nor an output reads, with what only they were computed from. */
export const removeUnread: Pass = (graph) => {
  const constants = graph.nodes.filter(({ op, domain }) => op === "Constant" && domain === "");
  const result = dropUnread(graph, [...graph.initializers.keys(), ...constants.flatMap(({ outputs }) => outputs)]);
  const kept = new Set(result.nodes);
  const reason = "nothing reads it";
  const gone = [...graph.initializers.keys()].filter((key) => !result.initializers.has(key));
  const layers = [...gone, ...graph.nodes.filter((node) => !kept.has(node)).map(nodeName)];
  return { graph: result, outcomes: layers.map((layer): Outcome => ({ pass: name, layer, applied: true, reason })) };
};

/**
 * The graph without the named values where nothing reads them, and without what only they were computed from; the very same where all are
 * read. What was unread before and is not named stays as the user had it.
 */
export function dropUnread(graph: Graph, names: Iterable<string>): Graph {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const readers = new Map<string, number>();
  const made = new Map<string, Node>();
  for (const node of graph.nodes) {
    for (const value of reads(node)) readers.set(value, (readers.get(value) ?? 0) + 1);
    for (const output of node.outputs) if (output !== "") made.set(output, node);
  }
  const unread = (value: string): boolean => !readers.get(value) && !outputs.has(value);
  const gone = new Set<Node>();
  const constants = new Set<string>();
  const queue = [...names];
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    if (!unread(value)) continue;
    if (graph.initializers.has(value)) constants.add(value);
    const node = made.get(value);
    if (!node || gone.has(node) || !node.outputs.every((output) => output === "" || unread(output))) continue;
    gone.add(node);
    for (const input of reads(node)) {
      readers.set(input, readers.get(input)! - 1);
      queue.push(input);
    }
  }
  if (gone.size === 0 && constants.size === 0) return graph;
  const nodes = gone.size === 0 ? graph.nodes : graph.nodes.filter((node) => !gone.has(node));
  return withoutInitializers(withLiveValues({ ...graph, nodes }, graph, constants), constants);
}

/** Without the stated types of values that the graph had before and has no more. */
function withLiveValues(graph: Graph, before: Graph, gone: ReadonlySet<string>): Graph {
  const removed = new Set(gone);
  for (const node of before.nodes) for (const output of node.outputs) removed.add(output);
  for (const node of graph.nodes) for (const output of node.outputs) removed.delete(output);
  const values = new Map([...graph.values].filter(([value]) => !removed.has(value)));
  return values.size === graph.values.size ? graph : { ...graph, values };
}
