// How many channels go: what a network without some of them costs, and the first of an order of channels that have to
// go before a budget holds. One channel of every class stays.
import * as z from "zod/mini";
import { FilterBasisError } from "../errors/error.js";
import type { Dim, Graph } from "../graph/types.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import type { ChannelClass, ChannelGraph } from "./channel-classes.js";
import { about, type OptionsOf, optional } from "./options.js";
import { skipReason } from "./pattern.js";
import { planFields } from "./plan-options.js";

const { keepParams, keepMacs, only, skip, inputs } = planFields;

/** Options that all methods over channels have. */
export const channelFields = {
  ...{ keepParams, keepMacs, only, skip, inputs },
  ...optional({
    rate: about(
      "remove this fraction of the channels that may go, instead of a budget",
      z.number().check(z.gt(0), z.lt(1)),
    ),
  }),
};

export type ChannelOptions = OptionsOf<typeof channelFields>;

export interface ChannelCounts {
  readonly weights: number;
  readonly macs: number;
}

/** What the network costs without some channels, from the layers that read and make them. */
export function channelCounts(
  graph: Graph,
  { walk }: ChannelGraph,
  shapes: ReadonlyMap<string, readonly Dim[]> | undefined,
): { readonly before: Cost; readonly without: (gone: ReadonlySet<number>) => ChannelCounts } {
  const before = cost(graph, shapes);
  const costs = new Map(before.layers.map((layer) => [layer.value, layer]));
  const layers = walk.layers.map(({ node, from, to }) => {
    const { weights = 0, macs = 0 } = costs.get(node.outputs[0]!) ?? {};
    return { weights, macs, sides: [from?.ids, to.ids].map((ids) => ids?.map(walk.find)) };
  });
  const without = (gone: ReadonlySet<number>): ChannelCounts => {
    let [weights, macs] = [before.weights, before.macs];
    for (const layer of layers) {
      let [left, all] = [1, 1];
      for (const ids of layer.sides) {
        if (ids === undefined) continue;
        all *= ids.length;
        left *= ids.reduce((n, id) => n + (gone.has(id) ? 0 : 1), 0);
      }
      weights -= (layer.weights * (all - left)) / all;
      macs -= (layer.macs * (all - left)) / all;
    }
    return { weights, macs };
  };
  return { before, without };
}

/** Why a class is left alone; undefined where its channels may go. */
export function classReason({ reason, makers, name }: ChannelClass, options: ChannelOptions): string | undefined {
  if (reason !== undefined) return `its channels stay: ${reason}`;
  for (const layer of makers.length > 0 ? makers : [name]) {
    const skipped = skipReason(layer, options);
    if (skipped !== undefined) return skipped;
  }
  return undefined;
}

/** A channel with what it is worth: the least go first. */
export interface Scored {
  readonly id: number;
  readonly score: number;
}

/** Channels in the order in which they go; the best of each class is not among them. */
export function removalOrder(classes: readonly (readonly Scored[])[]): readonly Scored[] {
  const best = (list: readonly Scored[]) => list.reduce((a, b) => (b.score > a.score ? b : a));
  return classes
    .flatMap((list) => list.filter((one) => one !== best(list)))
    .sort((a, b) => a.score - b.score || a.id - b.id);
}

/**
 * The least of them, from the first on, without which the network keeps the budget; for a rate those that are worth
 * no more than the channel at that place of `all`.
 * @throws FilterBasisError `budget-unreachable`; `usage` for two budgets
 */
export function goneWithin(
  order: readonly Scored[],
  { keepParams, keepMacs, rate }: ChannelOptions,
  { before, without }: ReturnType<typeof channelCounts>,
  all: readonly Scored[],
): ReadonlySet<number> {
  if ([keepParams, keepMacs, rate].filter((value) => value !== undefined).length > 1)
    throw new FilterBasisError("usage", "a rate and budgets exclude each other", { field: "rate" });
  const first = (count: number) => new Set(order.slice(0, count).map(({ id }) => id));
  if (rate !== undefined) {
    // all at or below the score at the rate's place among all, as the method has it
    const sorted = all.map(({ score }) => score).sort((a, b) => a - b);
    const threshold = sorted[Math.floor(rate * sorted.length)] ?? Number.NEGATIVE_INFINITY;
    return first(order.filter(({ score }) => score <= threshold).length);
  }
  const kind = keepMacs === undefined ? "weights" : "macs";
  const most = (keepMacs ?? keepParams ?? 0.5) * before[kind];
  let [low, high] = [0, order.length];
  const least = without(first(high))[kind];
  if (least > most) throw unreachable(kind, least / before[kind]);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (without(first(middle))[kind] <= most) high = middle;
    else low = middle + 1;
  }
  return first(low);
}

/** @param reachable the fraction that is kept where one channel of every class is left */
export function unreachable(kind: "weights" | "macs", reachable: number): FilterBasisError {
  const option = kind === "macs" ? "keepMacs" : "keepParams";
  const fraction = Math.ceil(1e4 * reachable) / 1e4;
  return new FilterBasisError("budget-unreachable", "removing channels cannot keep the budget", {
    field: option,
    expected: `at least ${fraction}`,
    cures: fraction < 1 ? [`${option}: ${fraction}`] : [],
    facts: { reachable: fraction },
  });
}
