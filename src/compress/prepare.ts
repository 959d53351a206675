// The passes that come before a plan: what is planned is the network as it will be written, never the one that was
// read.
import type { Graph, Outcome, Pass } from "../graph/types.js";
import { prepareForPlanning } from "../methods/prepare.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { sequence } from "../passes/sequence.js";

export interface Prepared {
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
}

/**
 * Inlines local functions, stores weights as layers read them, and folds batch normalisation unless it is to be kept.
 * The result computes what the given graph computes.
 */
export function prepare(graph: Graph, { keepBatchNorm = false }: { readonly keepBatchNorm?: boolean } = {}): Prepared {
  const passes: readonly Pass[] = keepBatchNorm ? [prepareForPlanning] : [prepareForPlanning, foldBatchNorm];
  return sequence(...passes)(graph);
}
