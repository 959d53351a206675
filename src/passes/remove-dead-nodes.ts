// Dropping what nothing reads.
import { siteName } from "../graph/attributes.js";
import { reads } from "../graph/edit.js";
import type { Graph, Node, Outcome, Pass } from "../graph/types.js";

const name = "remove-dead-nodes";

/** Removes the nodes of which no output is read, directly or not, by an output of the graph; then initializers and stated types left unread. */
export const removeDeadNodes: Pass = (graph) => {
  const live = new Set(graph.outputs.map((output) => output.name));
  const kept: Node[] = [];
  const outcomes: Outcome[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => live.has(output))) {
      outcomes.push({ pass: name, site: siteName(node), done: true, because: "no output of the graph depends on it" });
      continue;
    }
    kept.push(node);
    for (const value of reads(node)) live.add(value);
  }
  const made = new Set(kept.flatMap((node) => node.outputs));
  const unread = [...graph.initializers.keys()].filter((initializer) => !live.has(initializer));
  for (const initializer of unread)
    outcomes.push({ pass: name, site: initializer, done: true, because: "nothing reads this constant" });
  if (outcomes.length === 0) return { graph, outcomes };
  return { graph: { ...graph, ...remaining(graph, live, made), nodes: kept.reverse() }, outcomes: outcomes.reverse() };
};

function remaining(
  graph: Graph,
  live: ReadonlySet<string>,
  made: ReadonlySet<string>,
): Pick<Graph, "initializers" | "inputs" | "values"> {
  return {
    initializers: new Map([...graph.initializers].filter(([initializer]) => live.has(initializer))),
    inputs: graph.inputs.filter((input) => live.has(input.name) || !graph.initializers.has(input.name)), // what a caller feeds stays
    values: new Map([...graph.values].filter(([value]) => made.has(value) || graph.initializers.has(value))),
  };
}
