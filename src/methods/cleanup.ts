// Removing what a rewrite left unused, and only that: constants and nodes that nobody reads any more, beginning with the
// named values. What was unused before stays as the user had it.
import { reads, withoutInitializers } from "../graph/edit.js";
import type { Graph, Node } from "../graph/types.js";

/** The graph without the named values where nothing reads them, and without what only they were computed from. */
export function dropUnused(graph: Graph, names: readonly string[]): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const readers = new Map<string, number>();
  const made = new Map<string, Node>();
  for (const node of graph.nodes) {
    for (const name of reads(node)) readers.set(name, (readers.get(name) ?? 0) + 1);
    for (const output of node.outputs) if (output !== "") made.set(output, node);
  }
  const unused = (name: string): boolean => !readers.get(name) && !outputs.has(name);
  const gone = new Set<Node>();
  const constants = new Set<string>();
  const queue = [...names];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (!unused(name)) continue;
    if (graph.initializers.has(name)) constants.add(name);
    const node = made.get(name);
    if (!node || gone.has(node) || !node.outputs.every((output) => output === "" || unused(output))) continue;
    gone.add(node);
    for (const input of reads(node)) {
      readers.set(input, readers.get(input)! - 1);
      queue.push(input);
    }
  }
  if (gone.size === 0 && constants.size === 0) return graph;
  const removed = new Set([...gone].flatMap((node) => node.outputs));
  const values = new Map([...graph.values].filter(([name]) => !removed.has(name) && !constants.has(name)));
  return withoutInitializers({ ...graph, nodes: graph.nodes.filter((node) => !gone.has(node)), values }, constants);
}
