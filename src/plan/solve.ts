// Choosing one candidate for every item of a plan: the least total loss whose total price stays within a budget. The
// whole trade-off follows from Lagrange multipliers (curve.ts); the choice at one budget is made by dynamic programming
// over the candidates that the multiplier's bound leaves, exactly up to `steps` partial sums, and beyond that on a grid
// of `steps` prices.
import { FilterBasisError } from "../errors/error.js";
import { curveOf, type Priced, type Table, tableOf, totalOf } from "./curve.js";

export interface Solution<C extends Priced> {
  /** One candidate an item, in the items' order. */
  readonly chosen: readonly C[];
  readonly price: number;
  readonly loss: number;
}

/** No choice stays within the budget. */
export interface Unreachable<C extends Priced> {
  readonly reason: string;
  /** The cheapest choice of all. */
  readonly least: Solution<C>;
}

export interface SolveOptions {
  /** Partial sums that are kept at once, and steps of the grid where there are more. */
  readonly steps?: number;
}

export const isUnreachable = <C extends Priced>(found: Solution<C> | Unreachable<C>): found is Unreachable<C> =>
  "reason" in found;

/**
 * The choice with the least loss within the budget. Dense stays a candidate of every item as long as the caller lists
 * it.
 * @throws FilterBasisError `invalid-plan` for an item without candidates, and for numbers that are not finite
 */
export function solvePlan<C extends Priced>(
  items: readonly (readonly C[])[],
  budget: number,
  { steps = 10_000 }: SolveOptions = {},
): Solution<C> | Unreachable<C> {
  if (Number.isNaN(budget))
    throw new FilterBasisError("invalid-plan", "the budget is not a number", { got: `${budget}` });
  const table = tableOf(items);
  const curve = curveOf(table);
  const cheapest = curve.chosenAt(0);
  if (totalOf(table, cheapest).price > budget) {
    const reason = `the cheapest choice costs ${totalOf(table, cheapest).price}, the budget is ${budget}`;
    return { reason, least: solution(items, table, cheapest) };
  }
  const last = curve.points.length - 1;
  if (curve.points[last]!.price <= budget) return solution(items, table, curve.chosenAt(last));
  const at = curve.lastWithin(budget);
  const greedy = fill(table, curve.chosenAt(at), budget);
  const found = search(table, { budget, steps, multiplier: curve.slopes[at]!, bound: totalOf(table, greedy).loss });
  const better = found !== undefined && totalOf(table, found).loss < totalOf(table, greedy).loss;
  return solution(items, table, better ? found : greedy);
}

/** Spends what is left on the change that gains most for its price, until none fits. */
function fill(table: Table, start: readonly number[], budget: number): readonly number[] {
  const chosen = [...start];
  for (;;) {
    const left = budget - totalOf(table, chosen).price;
    let best: { readonly item: number; readonly to: number; readonly gain: number } | undefined;
    for (const [item, candidates] of table.entries()) {
      const now = candidates[chosen[item]!]!;
      for (let to = chosen[item]! + 1; to < candidates.length; to++) {
        const more = candidates[to]!.price - now.price;
        if (more > left) break;
        const gain = (now.loss - candidates[to]!.loss) / more;
        if (best === undefined || gain > best.gain) best = { item, to, gain };
      }
    }
    if (best === undefined) return chosen;
    chosen[best.item] = best.to;
  }
}

interface Search {
  readonly budget: number;
  readonly steps: number;
  /** Loss for a unit of price: what a state may exceed the relaxed optimum by follows from it. */
  readonly multiplier: number;
  /** A loss that is reached already. */
  readonly bound: number;
}

/** Partial sums of the items so far, by ascending price and falling loss, with the way back. */
interface States {
  readonly price: Float64Array;
  readonly loss: Float64Array;
  readonly parent: Int32Array;
  readonly candidate: Int32Array;
}

/** Undefined where nothing better than the bound is found. */
function search(table: Table, { budget, steps, multiplier, bound }: Search): readonly number[] | undefined {
  const least = table.map((candidates) => Math.min(...candidates.map(({ price, loss }) => loss + multiplier * price)));
  const relaxed = least.reduce((sum, value) => sum + value, 0) - multiplier * budget;
  const scale = Math.abs(bound) + multiplier * Math.abs(budget);
  const gap = Math.max(0, bound - relaxed) + 1e-12 * scale;
  const cheapest = table.map((candidates) => candidates[0]!.price);
  let rest = cheapest.reduce((sum, price) => sum + price, 0);
  let spent = 0; // the relaxed optimum of the items so far
  const levels: States[] = [];
  let states: Pick<States, "price" | "loss"> = { price: Float64Array.of(0), loss: Float64Array.of(0) };
  for (const [item, candidates] of table.entries()) {
    rest -= cheapest[item]!;
    spent += least[item]!;
    const kept = [...candidates.entries()].filter(([, c]) => c.loss + multiplier * c.price - least[item]! <= gap);
    const most = budget - rest + 1e-12 * Math.abs(budget);
    const next = extend(states, kept, (price, loss) => price <= most && loss + multiplier * price - spent <= gap);
    const level = next.price.length > steps ? thinned(next, steps) : next;
    if (level.price.length === 0) return undefined;
    levels.push(level);
    states = level;
  }
  return walkBack(levels, budget);
}

/**
 * All sums of a state and a candidate that `allowed` lets through, without those that cost more and lose no less than
 * another.
 */
function extend(
  { price, loss }: Pick<States, "price" | "loss">,
  candidates: readonly (readonly [number, Priced])[],
  allowed: (price: number, loss: number) => boolean,
): States {
  const prices: number[] = [];
  const losses: number[] = [];
  const from: number[] = [];
  for (const [index, candidate] of candidates) {
    for (let state = 0; state < price.length; state++) {
      const [nextPrice, nextLoss] = [price[state]! + candidate.price, loss[state]! + candidate.loss];
      if (!allowed(nextPrice, nextLoss)) continue;
      prices.push(nextPrice);
      losses.push(nextLoss);
      from.push(state, index);
    }
  }
  const order = Uint32Array.from(prices.keys()).sort((a, b) => prices[a]! - prices[b]! || losses[a]! - losses[b]!);
  let lowest = Number.POSITIVE_INFINITY;
  const kept = order.filter((at) => {
    if (losses[at]! >= lowest) return false;
    lowest = losses[at]!;
    return true;
  });
  return {
    price: Float64Array.from(kept, (at) => prices[at]!),
    loss: Float64Array.from(kept, (at) => losses[at]!),
    parent: Int32Array.from(kept, (at) => from[2 * at]!),
    candidate: Int32Array.from(kept, (at) => from[2 * at + 1]!),
  };
}

/** One state for each step of the price: the one with the least loss, which is the last. */
function thinned(states: States, steps: number): States {
  const first = states.price[0]!;
  const width = (states.price.at(-1)! - first) / steps;
  const kept: number[] = [];
  let bucket = -1;
  for (let at = 0; at < states.price.length; at++) {
    const own = Math.min(steps - 1, Math.floor((states.price[at]! - first) / width));
    if (own === bucket) kept[kept.length - 1] = at;
    else kept.push(at);
    bucket = own;
  }
  return {
    price: Float64Array.from(kept, (at) => states.price[at]!),
    loss: Float64Array.from(kept, (at) => states.loss[at]!),
    parent: Int32Array.from(kept, (at) => states.parent[at]!),
    candidate: Int32Array.from(kept, (at) => states.candidate[at]!),
  };
}

function walkBack(levels: readonly States[], budget: number): readonly number[] | undefined {
  let state = levels.at(-1)!.price.findLastIndex((price) => price <= budget);
  if (state < 0) return undefined;
  const chosen: number[] = [];
  for (const level of levels.toReversed()) {
    chosen.unshift(level.candidate[state]!);
    state = level.parent[state]!;
  }
  return chosen;
}

function solution<C extends Priced>(
  items: readonly (readonly C[])[],
  table: Table,
  chosen: readonly number[],
): Solution<C> {
  return {
    chosen: chosen.map((at, item) => items[item]![table[item]![at]!.index]!),
    ...totalOf(table, chosen),
  };
}
