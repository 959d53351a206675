// Dropping nodes that no output depends on.
import { nodeName } from "../graph/attributes.js";
import { reads } from "../graph/edit.js";
import type { Node, Outcome, Pass } from "../graph/types.js";
import { dropUnread } from "./remove-unread.js";

const name = "remove-dead-nodes";

/** Removes the nodes of which no output is read, directly or not, by an output of the graph; then initializers and stated types left unread. */
export const removeDeadNodes: Pass = (graph) => {
  const live = new Set(graph.outputs.map((output) => output.name));
  const kept: Node[] = [];
  const outcomes: Outcome[] = [];
  for (let index = graph.nodes.length - 1; index >= 0; index--) {
    const node = graph.nodes[index]!;
    if (!node.outputs.some((output) => live.has(output))) {
      outcomes.push({ pass: name, layer: nodeName(node), applied: true, reason: "no output of the graph depends on it" });
      continue;
    }
    kept.push(node);
    for (const value of reads(node)) live.add(value);
  }
  const made = new Set(kept.flatMap((node) => node.outputs));
  const values = new Map([...graph.values].filter(([value]) => made.has(value) || graph.initializers.has(value)));
  const alive = outcomes.length === 0 ? graph : { ...graph, nodes: kept.reverse(), values };
  const result = dropUnread(alive, graph.initializers.keys());
  for (const initializer of graph.initializers.keys())
    if (!result.initializers.has(initializer))
      outcomes.push({ pass: name, layer: initializer, applied: true, reason: "nothing reads this constant" });
  return outcomes.length === 0 ? { graph, outcomes } : { graph: result, outcomes: outcomes.reverse() };
};
