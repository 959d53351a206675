// A budget in weights or multiply-accumulates, solved over all units at once by the energy of the singular values. Every unit
// has many choices (its splits and basis sizes, or staying whole), each with a cost and a loss. Walking down the lower
// convex hulls of (cost, loss), always by the step that loses least for each weight saved, gives the best plan for the
// budgets that it passes through; what is then left of the budget is filled with the best single improvements.
import { FilterBasisError } from "../errors/error.js";
import type { Choice } from "./candidates.js";

/** One way to treat a unit; `choice` is undefined for leaving it whole. */
export interface Option {
  readonly cost: number;
  /** What is lost, comparable between units. */
  readonly loss: number;
  readonly choice: Choice | undefined;
}

export interface Budget {
  /** Cost of everything that no choice changes. */
  readonly fixed: number;
  /** Cost of the model as it is. */
  readonly whole: number;
  /** F: the fraction of `whole` that may be kept. */
  readonly keep: number;
  /** The option's name, for messages: "keep-params" or "keep-macs". */
  readonly option: string;
}

/** Met means at most F and more than F less this. */
export const tolerance = 0.02;

/**
 * Chooses one option for each unit. Each unit's options must hold one without a choice. Errors: `budget-unreachable`, naming
 * the least fraction that can be reached, or the nearest where the steps are too coarse.
 */
export function solveBudget(units: readonly (readonly Option[])[], { fixed, whole, keep, option }: Budget): readonly Option[] {
  if (!(keep > 0 && keep <= 1)) {
    throw new FilterBasisError("usage", `--${option} must be a fraction of the whole model`, {
      expected: "above 0, at most 1",
      got: `${keep}`,
    });
  }
  const hulls = units.map(lowerHull);
  const least = fixed + hulls.reduce((sum, hull) => sum + hull[0]!.cost, 0);
  const target = keep * whole;
  if (least > target) {
    const fraction = Math.ceil((least / whole) * 10_000) / 10_000;
    throw new FilterBasisError(
      "budget-unreachable",
      `the budget --${option} ${keep} cannot be met: the least reachable is ${fraction}`,
      {
        field: option,
        expected: `at least ${fraction}`,
        got: `${keep}`,
        cures: [`--${option} ${fraction}`],
      },
    );
  }
  const chosen = walkDown(hulls, fixed, target);
  fill(units, chosen, target - fixed);
  land(units, chosen, (keep - tolerance) * whole - fixed, target - fixed);
  const cost = fixed + chosen.reduce((sum, { cost }) => sum + cost, 0);
  if (cost <= (keep - tolerance) * whole) {
    const reached = Math.floor((cost / whole) * 10_000) / 10_000;
    throw new FilterBasisError(
      "budget-unreachable",
      `the budget --${option} ${keep} cannot be met closely: the nearest below is ${reached}, the least reachable is ${Math.ceil((least / whole) * 10_000) / 10_000}`,
      {
        field: option,
        expected: `more than ${keep - tolerance} and at most ${keep}`,
        got: `${reached}`,
        cures: [`--${option} ${reached}`],
      },
    );
  }
  return chosen;
}

/** The options on the lower convex hull, by ascending cost and falling loss. */
export function lowerHull(options: readonly Option[]): readonly Option[] {
  const sorted = [...options].sort((a, b) => a.cost - b.cost || a.loss - b.loss);
  const hull: Option[] = [];
  for (const option of sorted) {
    if (hull.length > 0 && option.loss >= hull.at(-1)!.loss) continue;
    while (hull.length > 1 && slope(hull.at(-2)!, option) <= slope(hull.at(-2)!, hull.at(-1)!)) hull.pop();
    hull.push(option);
  }
  return hull;
}

const slope = (a: Option, b: Option): number => (b.loss - a.loss) / (b.cost - a.cost);

function walkDown(hulls: readonly (readonly Option[])[], fixed: number, target: number): Option[] {
  const steps = hulls.flatMap((hull, unit) =>
    hull.slice(1).map((from, i) => ({ unit, to: hull[i]!, saved: from.cost - hull[i]!.cost, rate: -slope(hull[i]!, from) })),
  );
  // Along one hull the rates rise as the cost falls, so that sorting all steps keeps each unit's in order.
  steps.sort((a, b) => a.rate - b.rate || b.saved - a.saved);
  const chosen = hulls.map((hull) => hull.at(-1)!);
  let cost = fixed + chosen.reduce((sum, option) => sum + option.cost, 0);
  for (const { unit, to } of steps) {
    if (cost <= target) break;
    cost += to.cost - chosen[unit]!.cost;
    chosen[unit] = to;
  }
  return chosen;
}

/** Spends what is left on the change that gains most for its cost, until none fits. */
function fill(units: readonly (readonly Option[])[], chosen: Option[], available: number): void {
  let left = available - chosen.reduce((sum, { cost }) => sum + cost, 0);
  for (let found = true; found; ) {
    found = false;
    let best: { unit: number; option: Option; gain: number } | undefined;
    for (const [unit, options] of units.entries()) {
      const now = chosen[unit]!;
      for (const option of options) {
        const more = option.cost - now.cost;
        if (more <= 0 || more > left || option.loss >= now.loss) continue;
        const gain = (now.loss - option.loss) / more;
        if (!best || gain > best.gain) best = { unit, option, gain };
      }
    }
    if (!best) return;
    left -= best.option.cost - chosen[best.unit]!.cost;
    chosen[best.unit] = best.option;
    found = true;
  }
}

/** Where the steps are coarse, filling may stop short of the window: then one or two units are changed so as to land in it with least loss. */
function land(units: readonly (readonly Option[])[], chosen: Option[], low: number, high: number): void {
  const cost = chosen.reduce((sum, option) => sum + option.cost, 0);
  if (cost > low) return;
  const best: { loss: number; changes: readonly (readonly [number, Option])[] } = { loss: Number.POSITIVE_INFINITY, changes: [] };
  const consider = (more: number, loss: number, changes: readonly (readonly [number, Option])[]): void => {
    if (cost + more > low && cost + more <= high && loss < best.loss) Object.assign(best, { loss, changes });
  };
  // An option that loses no less than the next cheaper one is not worth a thought.
  const useful = units.map((options) => {
    const sorted = [...options].sort((a, b) => a.cost - b.cost || a.loss - b.loss);
    return sorted.filter(({ loss }, i) => i === 0 || loss < sorted[i - 1]!.loss);
  });
  for (const [first, options] of useful.entries()) {
    for (const option of options) {
      const [more, loss] = [option.cost - chosen[first]!.cost, option.loss - chosen[first]!.loss];
      consider(more, loss, [[first, option]]);
      for (let second = first + 1; second < useful.length; second++) {
        const now = chosen[second]!;
        for (const other of useful[second]!) {
          consider(more + other.cost - now.cost, loss + other.loss - now.loss, [
            [first, option],
            [second, other],
          ]);
        }
      }
    }
  }
  for (const [unit, option] of best.changes) chosen[unit] = option;
}
