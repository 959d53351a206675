// Passes one after the other.
import type { Graph, Outcome, Pass } from "../graph/types.js";

/**
 * One pass that runs the given ones in order and reports the outcomes of all.
 * @example
 * ```ts
 * import { foldBatchNorm, foldConstants, loadModel, removeDeadNodes, sequence } from "filterbasis";
 *
 * const clean = sequence(foldConstants(), foldBatchNorm, removeDeadNodes);
 * const { graph } = clean(await loadModel("model.onnx"));
 * console.log(graph.nodes.length);
 * ```
 */
export function sequence(...passes: readonly Pass[]): Pass {
  return (graph) => {
    let current: Graph = graph;
    const outcomes: Outcome[] = [];
    for (const pass of passes) {
      const result = pass(current);
      current = result.graph;
      outcomes.push(...result.outcomes);
    }
    return { graph: current, outcomes };
  };
}
