// Without a budget: the fastest plan whose loss on images that nothing was fitted to stays within a limit, found among
// some speed-ups by what their layers promise, and once between two of them.
import type { Compressed } from "../calibrate/calibrated.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";
import type { LossKind } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import type { JobHooks } from "./job.js";
import { saysNothing } from "./pays-on-data.js";
import type { CalibratedPlan, Planner } from "./plan-calibrated.js";
import type { CurvePoint } from "./solve-calibrated.js";
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
/** A speed-up is not tried where that many times the limit is to be expected of it. */
const hopeless = 1.25;

/** What a speed-up loses, known or expected; or what can be reached where it cannot. */
type Bound = Pick<Tried, "speedup" | "loss" | "reachable">;

/**
 * Between a speed-up within the limit and the next one, which is not: where losses that grow evenly would nearly meet
 * it, or what can be reached at all.
 */
function between(low: Bound | undefined, high: Bound | undefined, limit: number): number | undefined {
  if (low?.loss === undefined || high === undefined) return undefined;
  const share = high.loss === undefined ? undefined : (0.9 * (limit - low.loss)) / (high.loss - low.loss);
  const most =
    share === undefined ? 0.98 * Number(high.reachable) : low.speedup * (high.speedup / low.speedup) ** share;
  return most > worthTrying * low.speedup && most < high.speedup ? most : undefined;
}

/** What the layers lose together at a speed-up, along the curve; undefined beyond it. */
function layersAt(curve: readonly CurvePoint[], speedup: number): number | undefined {
  const points = [...curve].sort((a, b) => a.speedup - b.speedup);
  const above = points.findIndex((point) => point.speedup >= speedup);
  if (above < 0) return undefined;
  const [low = points[above]!, high] = [points[above - 1], points[above]!];
  const share = low.speedup === high.speedup ? 1 : (speedup - low.speedup) / (high.speedup - low.speedup);
  return low.loss + share * (high.loss - low.loss);
}

/**
 * What a speed-up is expected to lose: what the tried one nearest to it lost, by what the layers lose at both. Undefined
 * where nothing says so.
 */
function expectedLoss(curve: readonly CurvePoint[], tried: readonly Tried[], speedup: number): number | undefined {
  const apart = (one: Tried): number => Math.abs(Math.log(one.speedup / speedup));
  const [nearest] = tried.filter(({ loss = 0 }) => loss > 0).sort((a, b) => apart(a) - apart(b));
  if (nearest === undefined) return undefined;
  const [there, here] = [layersAt(curve, nearest.speedup), layersAt(curve, speedup)];
  return there === undefined || here === undefined || there <= 0 ? undefined : (nearest.loss! * here) / there;
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
  const bounds = await narrowed(
    reach,
    (speedup) => expectedLoss(planner.curve(), tried, speedup),
    () => limit,
  );
  const at = (index: number): Bound | undefined => {
    const speedup = speedups[index];
    if (speedup === undefined) return undefined;
    const own = tried.find((one) => one.speedup === speedup);
    const loss = expectedLoss(planner.curve(), tried, speedup);
    return own ?? (loss === undefined ? undefined : { speedup, loss });
  };
  const further = between(at(bounds.low), at(bounds.high), limit);
  if (further !== undefined) await reach(further);
  if (best !== undefined) return { ...best, tried };
  throw new FilterBasisError("does-not-pay", `no plan is ${speedups[0]} x faster and loses at most ${limit}`, {
    expected: `a loss of at most ${limit}`,
    got: tried.map(({ speedup, loss }) => `${speedup} x: ${loss?.toPrecision(3) ?? "out of reach"}`).join(", "),
    cures: ["allow more loss: --max-loss", "give more images", "give a budget in weights: --keep-params"],
    facts: { tried },
  });
}

/**
 * The last speed-up within the limit and the first that is not, by their numbers: by halving, or where losses can be
 * expected by trying the largest that promises to be within the limit.
 */
async function narrowed(
  reach: (speedup: number) => Promise<boolean>,
  expected: (speedup: number) => number | undefined,
  limit: () => number,
): Promise<{ readonly low: number; readonly high: number }> {
  let [low, high]: [number, number] = [-1, speedups.length];
  let next = 3;
  while (high - low > 1) {
    if (await reach(speedups[next]!)) low = next;
    else high = next;
    const open = speedups.map((_, i) => i).slice(low + 1, high);
    const losses = open.map((i) => expected(speedups[i]!));
    if (losses.every((loss) => loss === undefined)) {
      next = Math.floor((low + high) / 2);
      continue;
    }
    if (low >= 0 && (losses[0] ?? 0) > hopeless * limit()) return { low, high: low + 1 };
    next = open.findLast((_, i) => (losses[i] ?? Number.POSITIVE_INFINITY) <= limit()) ?? low + 1;
  }
  return { low, high };
}
