// Which values of a graph are computed from constants alone.
import { reads } from "../graph/edit.js";
import type { GraphBody, Node } from "../graph/types.js";
import { operatorOf } from "./table.js";

/**
 * Every value that does not depend on the inputs: initializers and what is computed from constants alone, with the node
 * that makes it (none for an initializer). For the body of an If, Loop or Scan `outer` are those of the graph around
 * it.
 */
export function constantValues(
  graph: GraphBody,
  outer: ReadonlyMap<string, Node | undefined> = new Map(),
): ReadonlyMap<string, Node | undefined> {
  const values = new Map(outer);
  if (values.size > 0) for (const { name } of graph.inputs) values.delete(name);
  for (const name of graph.initializers.keys()) values.set(name, undefined);
  for (const name of graph.sparseInitializers?.keys() ?? []) values.set(name, undefined);
  for (const node of graph.nodes) {
    const read = reads(node);
    const alone = (node.op === "Constant" && node.domain === "") || (read.size > 0 && !alwaysDraws(node));
    if (alone && [...read].every((name) => values.has(name)))
      for (const output of node.outputs) values.set(output, node);
    else if (outer.size > 0) for (const output of node.outputs) values.delete(output);
  }
  return values;
}

/** Its result is not constant though its inputs are. */
function alwaysDraws(node: Node): boolean {
  const random = operatorOf(node)?.random;
  return random !== undefined && random.draws === undefined;
}
