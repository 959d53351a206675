// The chain up to the network that a training starts from: the same passes, plan and numbers as `compress`, by the
// options of a recipe. A recipe has no clock, so that it makes the same network on every machine.
import type { Graph } from "../graph/types.js";
import { type Known, methodPass } from "../methods/methods.js";
import { type Selection, skipReason } from "../methods/pattern.js";
import { bestLinearAlgebra } from "../torch/linalg.js";
import type { JobHooks } from "./job.js";

/**
 * Compresses a prepared network by a method and its options; every layer that was skipped is told with its reason, but
 * for those that the options name.
 * @throws FilterBasisError as the method does
 */
export function startNetwork(
  prepared: Graph,
  { method, ...options }: { readonly method: string } & Selection,
  known: Omit<Known, "linear">,
  { note }: Pick<JobHooks, "note">,
): Graph {
  const pass = methodPass(method, options, { linear: bestLinearAlgebra(), ...known });
  const { graph, outcomes } = pass(prepared);
  for (const { layer, applied, reason } of outcomes)
    if (!applied && skipReason(layer, options) === undefined) note?.(`skipped ${layer}: ${reason}`);
  return graph;
}
