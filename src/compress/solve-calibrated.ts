// Choosing for every layer what loses least within a budget: in weights, in multiply-accumulates by what is no slower,
// or in milliseconds.
import { type Calibration, type PlannedChoice, planItems } from "../calibrate/calibrated.js";
import { dense, type LayerChoice, type LayerChoices } from "../calibrate/choices.js";
import type { CalibratedLayer } from "../calibrate/layers.js";
import { FilterBasisError } from "../errors/error.js";
import { planCurve } from "../plan/curve.js";
import { isUnreachable, type Solution, solvePlan } from "../plan/solve.js";
import type { FirstTimes } from "./calibrated-in-time.js";
import type { ChainClock } from "./chain-times.js";
import type { CalibratedBudget } from "./plan-calibrated.js";

/** Of the original: what a budget is a share of. */
export interface Counts {
  readonly weights: number;
  /** For one image of the size that it is calibrated on, as the calibration's. */
  readonly macs: number;
}

export function byWeights(original: Counts, calibration: Calibration, keep: number): readonly PlannedChoice[] {
  const items = planItems(calibration, { price: (_, { weights }) => weights });
  const fixed = calibration.extents.weights - items.reduce((sum, choices) => sum + choices[0]!.weights, 0);
  return within(items, keep * original.weights - fixed, { option: "keep-params", keep, whole: original.weights, fixed })
    .chosen;
}

interface Asked {
  readonly option: "keep-params" | "keep-macs";
  readonly keep: number;
  readonly whole: number;
  readonly fixed: number;
}

function within(items: readonly (readonly PlannedChoice[])[], most: number, { option, keep, whole, fixed }: Asked) {
  const found = solvePlan(items, most);
  if (!isUnreachable(found)) return found;
  const reachable = Math.ceil(((found.least.price + fixed) / whole) * 10_000) / 10_000;
  const layers = found.least.chosen.map(({ layer, price, macs, weights }, i) => ({
    name: layer.name,
    original: items[i]![0]!.price,
    best: price,
    macs,
    weights,
  }));
  throw new FilterBasisError(
    "budget-unreachable",
    `the budget --${option} ${keep} cannot be met: the least reachable is ${reachable}`,
    {
      field: option,
      expected: `at least ${reachable}`,
      got: `${keep}`,
      cures: reachable < 1 ? [`--${option} ${reachable}`] : [],
      facts: { reachable, fixed, whole, layers },
    },
  );
}

/** A layer's choice counts as slower from here on: what is within the noise of a timing is not. */
const noSlower = 1.02;

/** Milliseconds of choices. */
function timesOf(calibration: Calibration, clock: ChainClock) {
  const own = new Map<CalibratedLayer, LayerChoices>(calibration.layers.map((one) => [one.layer, one]));
  return (layer: CalibratedLayer, choice: LayerChoice) => clock.milliseconds(own.get(layer)!, choice);
}

function itemsBySpeed(calibration: Calibration, clock: ChainClock) {
  const timeOf = timesOf(calibration, clock);
  return planItems(calibration, {
    price: (layer, choice) => {
      const known = clock.dense(layer);
      // What cannot be timed, for its sizes are not known, stays as it is.
      if (known === undefined) return choice.candidate.family === "dense" ? 0 : undefined;
      return timeOf(layer, choice);
    },
  });
}

/** Milliseconds of all layers as they are, as far as they were timed. */
const inFloats = ({ layers }: Calibration, clock: ChainClock): number =>
  layers.reduce((sum, { layer }) => sum + (clock.dense(layer) ?? 0), 0);

/**
 * The least loss within a budget in multiply-accumulates by choices that are no slower, or within milliseconds.
 * @param base - milliseconds of the network that is planned
 * @param budget - anyTime: choices that are slower than their layer count too
 */
export function solveTimed(
  original: Counts,
  calibration: Calibration,
  clock: ChainClock,
  { keepMacs, timed, anyTime = false }: CalibratedBudget & { readonly timed: boolean; readonly anyTime?: boolean },
  base: number,
  most: number,
): Solution<PlannedChoice> {
  if (timed) {
    const bySpeed = itemsBySpeed(calibration, clock);
    const found = solvePlan(bySpeed, most - base + inFloats(calibration, clock));
    return isUnreachable(found) ? found.least : found;
  }
  const timeOf = timesOf(calibration, clock);
  const items = planItems(calibration, {
    price: (layer, choice) => {
      const [as, own] = [clock.exact(layer, dense), timeOf(layer, choice)];
      const allowed = anyTime || as === undefined || own === undefined || own <= noSlower * as;
      return allowed ? choice.macs : undefined;
    },
  });
  const fixed = calibration.extents.macs - items.reduce((sum, choices) => sum + choices[0]!.macs, 0);
  const keep = keepMacs ?? 1;
  return within(items, keep * original.macs - fixed, { option: "keep-macs", keep, whole: original.macs, fixed });
}

/** @param base - milliseconds of the network that is planned */
export function predictedTime(chosen: readonly PlannedChoice[], clock: ChainClock, base: number): number {
  const saved = chosen.map(
    ({ layer, candidate }) => (clock.dense(layer) ?? 0) - (clock.exact(layer, candidate) ?? clock.dense(layer) ?? 0),
  );
  return base - saved.reduce((sum, one) => sum + one, 0);
}

export interface CurvePoint {
  readonly speedup: number;
  readonly milliseconds: number;
  /** The sum over layers of -log(1 - e), each as often as it counts at the output: about the output's lost share. */
  readonly loss: number;
}

/** Points of a curve that are shown. */
const points = 12;

/** The whole trade-off of speed against loss, by the times of single layers. */
export function speedCurve(
  calibration: Calibration,
  { clock, whole, base }: Pick<FirstTimes, "clock" | "whole" | "base">,
): readonly { readonly point: CurvePoint; readonly chosen: () => readonly PlannedChoice[] }[] {
  const items = itemsBySpeed(calibration, clock);
  const rest = base - inFloats(calibration, clock);
  const all = planCurve(items).map(({ price, ...own }) => ({ milliseconds: rest + price, ...own }));
  const shown = all.filter(({ milliseconds }) => milliseconds > 0 && milliseconds <= whole);
  const [fastest, slowest] = [shown[0]?.milliseconds ?? whole, shown.at(-1)?.milliseconds ?? whole];
  const wanted = Array.from({ length: points }, (_, i) => slowest + (i / (points - 1)) * (fastest - slowest));
  const nearest = wanted.map((ms) => shown.findLast(({ milliseconds }) => milliseconds <= ms + 1e-9) ?? shown[0]);
  return [...new Set(nearest)].flatMap((one) => {
    if (one === undefined) return [];
    const { milliseconds, loss, chosen } = one;
    return [{ point: { speedup: whole / milliseconds, milliseconds, loss }, chosen }];
  });
}

/** What a plan's layers lose together. */
export const layersLose = ({ chosen }: { readonly chosen: readonly Pick<PlannedChoice, "loss">[] }): number =>
  chosen.reduce((sum, { loss }) => sum + loss, 0);
