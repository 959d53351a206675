// What a plan has to ask a clock: before a budget in multiply-accumulates is planned, and for the layouts of a plan.
import type { Layout } from "../basis/layouts.js";
import type { Graph } from "../graph/types.js";
import { groupMacs, splitsOf } from "./choices.js";
import { inputSizes, questionsOf, type TimedLayer, timedSizes } from "./latencies.js";
import type { Layer } from "./layers.js";
import type { Plan } from "./plan.js";
import { groupChannels, groupsOf, outputPositions } from "./plan-groups.js";
import type { PlanOptions } from "./plan-options.js";

/** Layouts that are timed for a basis with several splits before a plan is made. */
const timedLayouts: readonly Layout[] = ["batch-folded", "grouped"];

/**
 * Layers that together have less than this share of the multiply-accumulates are not timed and stay as they are
 * under --keep-macs.
 */
const negligible = 0.03;

/**
 * What has to be timed before a budget in multiply-accumulates is planned: layers as they are, and over bases of
 * several sizes.
 */
export function budgetQuestions(graph: Graph, options: PlanOptions): readonly TimedLayer[] {
  const { groups, explicit } = groupsOf(graph, options);
  if (explicit || options.keepMacs === undefined) return [];
  const positions = outputPositions(graph, options.inputs ?? new Map());
  const sizes = inputSizes(graph, options.inputs);
  const opset = graph.opsets.get("") ?? 17;
  const sorted = [...groups].sort((a, b) => groupMacs(a, positions) - groupMacs(b, positions));
  const total = sorted.reduce((sum, group) => sum + groupMacs(group, positions), 0);
  let below = 0;
  const questions: TimedLayer[] = [];
  for (const group of sorted) {
    below += groupMacs(group, positions);
    if (below < negligible * total) continue;
    const ask = (layer: Layer, basis?: Parameters<typeof questionsOf>[3]) =>
      questions.push(...(questionsOf(layer, sizes, opset, basis) ?? []));
    for (const layer of group.layers) {
      ask(layer);
      for (const channels of groupChannels(group, options).channels) {
        const splits = splitsOf(layer, group, channels);
        for (const basisSize of timedSizes(layer, splits))
          for (const layout of splits === 1 ? (["split"] as const) : timedLayouts)
            ask(layer, { splits, basisSize, layout });
      }
    }
  }
  return questions;
}

/** What has to be timed to choose the layouts of a plan. */
export function layoutQuestions(
  graph: Graph,
  plan: Plan,
  options: PlanOptions,
  layouts: readonly Layout[],
): readonly TimedLayer[] {
  const sizes = inputSizes(graph, options.inputs);
  const opset = graph.opsets.get("") ?? 17;
  return plan.groups.flatMap(({ choice: { basisSize }, layers }) =>
    layers.flatMap(({ layer, splits }) =>
      ["dense" as const, ...layouts].flatMap(
        (layout) => questionsOf(layer, sizes, opset, { splits, basisSize, layout }) ?? [],
      ),
    ),
  );
}
