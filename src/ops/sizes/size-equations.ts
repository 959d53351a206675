// What the constants of a network demand of its free sizes: the channels that a filter reads, the features that a
// matrix takes.
import { symbolsOf } from "../../graph/dims.js";
import type { Graph, Node } from "../../graph/types.js";
import { type Known, unknown } from "../rules/call.js";
import { operatorOf } from "../table.js";

/** An expression over free sizes that must come out as a number. */
export interface SizeEquation {
  readonly dim: string;
  readonly equals: number;
  /** 1 will do as well: the operator broadcasts. */
  readonly orOne: boolean;
  /**
   * Only likely: ONNX Runtime runs without it, but not as the network is meant (a batch that a Reshape makes out of
   * pixels).
   */
  readonly likely: boolean;
  readonly node: Node;
}

/**
 * What the nodes of a graph demand of the symbols in the inputs' sizes, each demand once. `known` is what is inferred
 * with these symbols.
 */
export function sizeEquations(graph: Graph, known: ReadonlyMap<string, Known>): readonly SizeEquation[] {
  const found = new Map<string, SizeEquation>();
  for (const node of graph.nodes) {
    const input = (index: number): Known => known.get(node.inputs[index] ?? "") ?? unknown;
    for (const [dim, equals, how] of operatorOf(node)?.demands?.(node, input) ?? []) {
      if (typeof dim !== "string" || typeof equals !== "number" || symbolsOf(dim).size === 0) continue;
      const key = `${dim} ${equals} ${how}`;
      if (!found.has(key)) found.set(key, { dim, equals, orOne: how === "or one", likely: how === "likely", node });
    }
  }
  return [...found.values()];
}
