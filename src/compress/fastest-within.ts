// Without a budget: the fastest plan whose loss on images that nothing was fitted to stays within a limit, found by
// halving over speed-ups.
import type { Compressed } from "../calibrate/calibrated.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";
import type { LossKind } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import type { JobHooks } from "./job.js";
import { saysNothing } from "./pays-on-data.js";
import type { CalibratedPlan, Planner } from "./plan-calibrated.js";
import { writeChains } from "./write-chains.js";

/** Factors of a plan, for every layer. */
export type FittedPlan = Compressed;

/** A plan that was tried: what it lost on the images, what its layers promised, how long it took. */
export interface Tried {
  readonly speedup: number;
  readonly loss?: number;
  readonly layers?: number;
  readonly milliseconds?: number;
  /** Where it is out of reach: what is reachable. */
  readonly reachable?: unknown;
}

/** A speed-up between two is tried where it is that much more than the lower. */
const worthTrying = 1.03;

/**
 * Between a speed-up within the limit and the next one, which is not: where losses that grow evenly would nearly meet
 * it, or what can be reached at all.
 */
function between(low: Tried | undefined, high: Tried | undefined, limit: number): number | undefined {
  if (low?.loss === undefined || high === undefined) return undefined;
  const share = high.loss === undefined ? undefined : (0.9 * (limit - low.loss)) / (high.loss - low.loss);
  const most =
    share === undefined ? 0.98 * Number(high.reachable) : low.speedup * (high.speedup / low.speedup) ** share;
  return most > worthTrying * low.speedup && most < high.speedup ? most : undefined;
}

/** The speed-ups that are tried: below the first nothing is worth a loss. */
const speedups = [1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4] as const;

/**
 * @param fitFactors - fits a plan's factors; @param lossOf - what a network loses on images held out
 * @throws FilterBasisError `data-mismatch` where the output is the same on all images; `does-not-pay` where no plan is
 * faster within the limit, with where the time goes
 */
export async function fastestWithin(
  planner: Planner,
  fitFactors: (plan: CalibratedPlan) => Promise<FittedPlan>,
  lossOf: (graph: Graph) => Promise<Loss>,
  limitOf: (kind: LossKind) => number,
  { note }: JobHooks,
): Promise<{ readonly plan: CalibratedPlan; readonly fitted: FittedPlan; readonly tried: readonly Tried[] }> {
  let best: { readonly plan: CalibratedPlan; readonly fitted: FittedPlan } | undefined;
  let limit = limitOf("relative");
  const tried: Tried[] = [];
  /** Whether a speed-up is reached within the limit. */
  const reach = async (speedup: number): Promise<boolean> => {
    const plan = await planner.plan({ speedup }).catch((error: unknown) => {
      if (!isError(error, "budget-unreachable")) throw error;
      tried.push({ speedup, reachable: error.facts.reachable });
      return undefined;
    });
    if (plan === undefined) return false;
    const fitted = await fitFactors(plan);
    const loss = await lossOf(writeChains(plan.calibration.graph, fitted.replacements, plan.chosen).graph);
    if (loss.constant) throw saysNothing(loss);
    limit = limitOf(loss.kind);
    const layers = plan.chosen.reduce((sum, choice) => sum + choice.loss, 0);
    tried.push({ speedup, loss: loss.mean, layers, ...(plan.times && { milliseconds: plan.times.written }) });
    note?.(`${Number(speedup.toFixed(2))} x: loss ${loss.mean.toPrecision(3)} of ${loss.output} (${loss.kind})`);
    if (loss.mean <= limit) best = { plan, fitted };
    return loss.mean <= limit;
  };
  let [low, high]: [number, number] = [-1, speedups.length];
  while (high - low > 1) {
    const middle = low < 0 && high === speedups.length ? 3 : Math.floor((low + high) / 2);
    if (await reach(speedups[middle]!)) low = middle;
    else high = middle;
  }
  const at = (index: number) => tried.find(({ speedup }) => speedup === speedups[index]);
  const further = between(at(low), at(high), limit);
  if (further !== undefined) await reach(further);
  if (best !== undefined) return { ...best, tried };
  throw new FilterBasisError("does-not-pay", `no plan is ${speedups[0]} x faster and loses at most ${limit}`, {
    expected: `a loss of at most ${limit}`,
    got: tried.map(({ speedup, loss }) => `${speedup} x: ${loss?.toPrecision(3) ?? "out of reach"}`).join(", "),
    cures: ["allow more loss: --max-loss", "give more images", "give a budget in weights: --keep-params"],
    facts: { tried },
  });
}
