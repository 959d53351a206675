// The trade-off of a plan: every item's candidates on their lower convex hull, all hulls merged by slope. Each point of
// the curve is the best choice for its own price (a Lagrange multiplier's optimum); between points nothing is said.
import { FilterBasisError } from "../errors/error.js";

export interface Priced {
  /** Milliseconds, multiply-accumulates, weights or bytes: what the budget is in. */
  readonly price: number;
  readonly loss: number;
}

/** A candidate that no other of its item beats in both price and loss, with its place in the caller's list. */
export interface Useful extends Priced {
  readonly index: number;
}

/** The useful candidates of each item, by ascending price and falling loss. */
export type Table = readonly (readonly Useful[])[];

export interface Curve {
  /** By ascending price and falling loss. */
  readonly points: readonly Priced[];
  /** Loss that a unit of price saves behind each point; 0 behind the last. */
  readonly slopes: readonly number[];
  /** The choice at a point: for every item the place of its candidate in the table. */
  chosenAt(point: number): readonly number[];
  /** The last point whose price is within the budget; -1 where none is. */
  lastWithin(budget: number): number;
}

/** @throws FilterBasisError `invalid-plan` for an item without candidates, and for numbers that are not finite */
export function tableOf(items: readonly (readonly Priced[])[]): Table {
  return items.map((candidates, item) => {
    if (candidates.length === 0)
      throw new FilterBasisError("invalid-plan", `item ${item} of the plan has no candidate`);
    const wrong = candidates.find(({ price, loss }) => !Number.isFinite(price) || !Number.isFinite(loss));
    if (wrong !== undefined) {
      const got = `price ${wrong.price}, loss ${wrong.loss}`;
      throw new FilterBasisError("invalid-plan", `a candidate of item ${item} has no finite price and loss`, { got });
    }
    const sorted = candidates.map(({ price, loss }, index) => ({ price, loss, index }));
    sorted.sort((a, b) => a.price - b.price || a.loss - b.loss || a.index - b.index);
    const useful: Useful[] = [];
    for (const one of sorted) if (useful.length === 0 || one.loss < useful.at(-1)!.loss) useful.push(one);
    return useful;
  });
}

export function totalOf(table: Table, chosen: readonly number[]): Priced {
  let [price, loss] = [0, 0];
  for (const [item, at] of chosen.entries()) {
    price += table[item]![at]!.price;
    loss += table[item]![at]!.loss;
  }
  return { price, loss };
}

export function curveOf(table: Table): Curve {
  const hulls = table.map(lowerHull);
  const steps = hulls.flatMap((hull, item) =>
    hull.slice(1).map((to, i) => ({ item, to, slope: -slope(table[item]!, hull[i]!, to) })),
  );
  // Along one hull slopes fall, so that a stable sort keeps the steps of every item in their order.
  steps.sort((a, b) => b.slope - a.slope);
  const start = hulls.map((hull) => hull[0]!);
  const points = [totalOf(table, start)];
  const present = [...start];
  for (const { item, to } of steps) {
    const [from, next] = [table[item]![present[item]!]!, table[item]![to]!];
    const { price, loss } = points.at(-1)!;
    points.push({ price: price + next.price - from.price, loss: loss + next.loss - from.loss });
    present[item] = to;
  }
  return {
    points,
    slopes: [...steps.map((step) => step.slope), 0],
    chosenAt(point) {
      const chosen = [...start];
      for (const { item, to } of steps.slice(0, point)) chosen[item] = to;
      return chosen;
    },
    lastWithin: (budget) => points.findLastIndex(({ price }) => price <= budget),
  };
}

/** The whole trade-off of a plan, as points with the candidates chosen there. */
export function planCurve<C extends Priced>(
  items: readonly (readonly C[])[],
): readonly { readonly price: number; readonly loss: number; readonly chosen: () => readonly C[] }[] {
  const table = tableOf(items);
  const curve = curveOf(table);
  return curve.points.map(({ price, loss }, point) => ({
    price,
    loss,
    chosen: () => curve.chosenAt(point).map((at, item) => items[item]![table[item]![at]!.index]!),
  }));
}

const slope = (candidates: readonly Priced[], a: number, b: number): number =>
  (candidates[b]!.loss - candidates[a]!.loss) / (candidates[b]!.price - candidates[a]!.price);

/** Places of the candidates on the lower convex hull; slopes rise strictly along it. */
function lowerHull(candidates: readonly Priced[]): readonly number[] {
  const hull: number[] = [];
  for (let at = 0; at < candidates.length; at++) {
    while (hull.length > 1 && slope(candidates, hull.at(-2)!, at) <= slope(candidates, hull.at(-2)!, hull.at(-1)!))
      hull.pop();
    hull.push(at);
  }
  return hull;
}
