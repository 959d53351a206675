// A budget in weights or multiply-accumulates, solved over all groups of layers at once. Every group has many
// options (its splits and basis sizes, or staying as it is), each with a cost, a loss and, where it was measured, a
// time. Walking down the lower convex hulls of (cost, loss), always by the step that loses least for each unit of
// cost saved, gives the best plan for the budgets that it passes through; what is then left of the budget is filled
// with the best single improvements. Where times are known the plan is no slower than the original: first only
// options that are faster than their layer are taken; where these do not reach the budget, slower ones too as long
// as the network is not slower (a Lagrange multiplier).
import { FilterBasisError } from "../errors/error.js";

/** One way to treat a group; `choice` is undefined for leaving it as it is. */
export interface Option {
  readonly cost: number;
  /** What is lost, comparable between groups. */
  readonly loss: number;
  /** Of all the group's nodes; absent where it was not measured. */
  readonly milliseconds?: number;
  readonly choice: object | undefined;
}

export interface Budget {
  /** Cost of everything that no option changes. */
  readonly fixed: number;
  /** Cost of the model as it was given. */
  readonly original: number;
  /** F: the fraction of `original` that may be kept. */
  readonly keep: number;
  /** The option's name, for messages: "keep-params" or "keep-macs". */
  readonly option: string;
  /** Names of the groups, for messages. */
  readonly names?: readonly string[];
  /**
   * Milliseconds that the plan must save over the original at the least; below 0, that it may take longer. Default
   * 0.
   */
  readonly save?: number;
}

export interface Solution {
  readonly chosen: readonly Option[];
  /** The fraction of `original` that is kept. */
  readonly reached: number;
  /** Why `reached` is more than `tolerance` below the budget; absent where it is not. */
  readonly why?: string;
}

/** A result this far below F says why. */
const tolerance = 0.02;
/** An option counts as faster than its layer from here on; less is within what a timing can tell. */
export const faster = 0.98;

type Groups = readonly (readonly Option[])[];

/**
 * Chooses one option for each group. Each group's options must hold one without a choice.
 * @throws FilterBasisError `usage` (no fraction), `budget-unreachable` (its facts: `reachable`, and by layer the
 * least cost)
 */
export function solveBudget(groups: Groups, budget: Budget): Solution {
  const { keep, option, fixed, original } = budget;
  if (!(keep > 0 && keep <= 1)) {
    throw new FilterBasisError("usage", `--${option} must be a fraction of the original model`, {
      expected: "above 0, at most 1",
      got: `${keep}`,
    });
  }
  const chosen = solveInTime(groups, budget);
  const reached = (fixed + sum(chosen, costOf)) / original;
  const why = reached > keep - tolerance ? undefined : shortfall(groups, chosen, original, reached);
  return { chosen, reached, ...(why === undefined ? {} : { why }) };
}

function solveInTime(groups: Groups, budget: Budget): readonly Option[] {
  const timed = groups.some((options) => options.some(({ milliseconds }) => milliseconds !== undefined));
  if (!timed) return solve(groups, budget) ?? unreachable(groups, cheapest(groups), budget, false);
  const found = withinTime(groups, budget);
  if (found) return found;
  let [least, reachable] = [budget.keep, 1];
  let best = groups.map(originalOf);
  for (let step = 0; step < 12; step++) {
    const keep = (least + reachable) / 2;
    const other = withinTime(groups, { ...budget, keep });
    if (other) [reachable, best] = [keep, [...other]];
    else least = keep;
  }
  return unreachable(groups, best, budget, true);
}

/**
 * First with options that are faster than their layer only, else with all, as long as the network saves what it
 * must.
 */
function withinTime(groups: Groups, budget: Budget): readonly Option[] | undefined {
  const quick = groups.map((options) => {
    const original = originalOf(options).milliseconds;
    return options.filter(
      ({ choice, milliseconds }) =>
        choice === undefined || milliseconds === undefined || milliseconds <= faster * original!,
    );
  });
  const direct = solve(quick, budget);
  if (direct && saved(groups, direct) >= (budget.save ?? 0)) return direct;
  return solvePenalised(groups, budget);
}

/** Milliseconds saved over the original. */
function saved(groups: Groups, chosen: readonly Option[]): number {
  const change = chosen.map(({ milliseconds }, i) => (originalOf(groups[i]!).milliseconds ?? 0) - (milliseconds ?? 0));
  return change.reduce((total, one) => total + one, 0);
}

/** The least multiplier of time for which the plan saves what it must. */
function solvePenalised(groups: Groups, budget: Budget): readonly Option[] | undefined {
  const total = groups.reduce((all, options) => all + (originalOf(options).milliseconds ?? 0), 0);
  const loss = Math.max(...groups.flatMap((options) => options.map((option) => option.loss)), 1e-9);
  const attempt = (multiplier: number) => {
    const penalty = (multiplier * loss) / total;
    const priced = groups.map((options) => {
      const original = originalOf(options).milliseconds ?? 0;
      return options.map((option) => {
        const later = (option.milliseconds ?? original) - original;
        return { ...option, loss: option.loss + penalty * (later + original), bare: option };
      });
    });
    const found = solve(priced, budget)?.map((option) => (option as Option & { readonly bare: Option }).bare);
    return found && saved(groups, found) >= (budget.save ?? 0) ? found : undefined;
  };
  let best: readonly Option[] | undefined;
  let [low, high] = [Math.log(1e-3), Math.log(1e4)];
  for (let step = 0; step < 24; step++) {
    const middle = (low + high) / 2;
    const found = attempt(Math.exp(middle));
    if (found) [best, high] = [found, middle];
    else low = middle;
  }
  return best;
}

/** Without regard to time; undefined where even the cheapest options cost too much. */
function solve(groups: Groups, { fixed, original, keep }: Budget): readonly Option[] | undefined {
  const hulls = groups.map(lowerHull);
  const target = keep * original;
  if (fixed + sum(cheapest(groups), costOf) > target) return undefined;
  const chosen = walkDown(hulls, fixed, target);
  fill(groups, chosen, target - fixed);
  land(groups, chosen, (keep - tolerance) * original - fixed, target - fixed);
  return chosen;
}

/** Says what can be reached: by the options that cost least, or by the best plan that is fast enough. */
function unreachable(
  groups: Groups,
  best: readonly Option[],
  { fixed, original, keep, option, names = [] }: Budget,
  timed: boolean,
): never {
  const fraction = Math.ceil(((fixed + sum(best, costOf)) / original) * 10_000) / 10_000;
  const layers = groups.map((options, i) => ({
    name: names[i] ?? `${i}`,
    original: originalOf(options).cost,
    best: best[i]!.cost,
    ...(timed ? { milliseconds: { original: originalOf(options).milliseconds, best: best[i]!.milliseconds } } : {}),
  }));
  const without = timed ? " without becoming slower" : "";
  throw new FilterBasisError(
    "budget-unreachable",
    `the budget --${option} ${keep} cannot be met${without}: the least reachable is ${fraction}`,
    {
      field: option,
      expected: `at least ${fraction}`,
      got: `${keep}`,
      cures: fraction < 1 ? [`--${option} ${fraction}`] : [],
      facts: { reachable: fraction, fixed, original, layers },
    },
  );
}

/** Why a plan stays so far below its budget. */
function shortfall(groups: Groups, chosen: readonly Option[], original: number, reached: number): string {
  const better = groups.flatMap((options, i) => options.filter(({ loss }) => loss < chosen[i]!.loss).map(costOf));
  if (better.length === 0)
    return "what was removed held nothing: the filters have free rank, and nothing would be gained by keeping more";
  const next = Math.min(
    ...groups.flatMap((options, i) =>
      options.filter(({ loss }) => loss < chosen[i]!.loss).map(({ cost }) => cost - chosen[i]!.cost),
    ),
  );
  const step = reached + next / original;
  return `the steps between basis sizes are coarse: the next plan that loses less keeps ${step.toFixed(4)}`;
}

const costOf = ({ cost }: Option): number => cost;
const originalOf = (options: readonly Option[]): Option => options.find(({ choice }) => choice === undefined)!;
const cheapest = (groups: Groups): readonly Option[] =>
  groups.map((options) => options.reduce((a, b) => (b.cost < a.cost ? b : a)));

function sum(options: readonly Option[], of: (option: Option) => number): number {
  return options.reduce((total, option) => total + of(option), 0);
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

function walkDown(hulls: Groups, fixed: number, target: number): Option[] {
  const steps = hulls.flatMap((hull, group) =>
    hull
      .slice(1)
      .map((from, i) => ({ group, to: hull[i]!, saved: from.cost - hull[i]!.cost, rate: -slope(hull[i]!, from) })),
  );
  // Along one hull the rates rise as the cost falls, so that sorting all steps keeps each group's in order.
  steps.sort((a, b) => a.rate - b.rate || b.saved - a.saved);
  const chosen = hulls.map((hull) => hull.at(-1)!);
  let cost = fixed + sum(chosen, costOf);
  for (const { group, to } of steps) {
    if (cost <= target) break;
    cost += to.cost - chosen[group]!.cost;
    chosen[group] = to;
  }
  return chosen;
}

/** Spends what is left on the change that gains most for its cost, until none fits. */
function fill(groups: Groups, chosen: Option[], available: number): void {
  let left = available - sum(chosen, costOf);
  for (let found = true; found; ) {
    found = false;
    let best: { group: number; option: Option; gain: number } | undefined;
    for (const [group, options] of groups.entries()) {
      const now = chosen[group]!;
      for (const option of options) {
        const more = option.cost - now.cost;
        if (more <= 0 || more > left || option.loss >= now.loss) continue;
        const gain = (now.loss - option.loss) / more;
        if (!best || gain > best.gain) best = { group, option, gain };
      }
    }
    if (!best) return;
    left -= best.option.cost - chosen[best.group]!.cost;
    chosen[best.group] = best.option;
    found = true;
  }
}

/**
 * Where the steps are coarse, filling may stop short: then one or two groups are changed where that loses less and
 * still fits.
 */
function land(groups: Groups, chosen: Option[], low: number, high: number): void {
  const cost = sum(chosen, costOf);
  if (cost > low) return;
  let best: { loss: number; changes: readonly (readonly [number, Option])[] } = { loss: 0, changes: [] };
  const consider = (more: number, loss: number, changes: readonly (readonly [number, Option])[]): void => {
    if (cost + more <= high && loss < best.loss) best = { loss, changes };
  };
  // An option that loses no less than the next cheaper one is not worth a thought.
  const useful = groups.map((options) => {
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
  for (const [group, option] of best.changes) chosen[group] = option;
}
