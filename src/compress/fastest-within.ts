// Without a budget: the fastest plan whose loss on images that nothing was fitted to stays within a limit. Where to
// begin is read off the curve, with factors that nothing refitted and no network timed; then plans are timed, fitted
// and refitted, a few of them.
import type { Compressed } from "../calibrate/calibrated.js";
import { FilterBasisError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";
import type { LossKind } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import type { JobHooks } from "./job.js";
import { isOutOfReach } from "./out-of-reach.js";
import { saysNothing } from "./pays-on-data.js";
import type { CalibratedPlan, Planner } from "./plan-calibrated.js";
import { type CurvePoint, layersLose } from "./solve-calibrated.js";
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

/** How a plan's factors are fitted, and what a network loses on the images held out. */
export interface Trial {
  /** To what layers see in the original: quickly. */
  fitted(plan: CalibratedPlan): Promise<FittedPlan>;
  /** To what they see in the compressed network. */
  refitted(plan: CalibratedPlan): Promise<FittedPlan>;
  lossOf(graph: Graph): Promise<Loss>;
  /** What may be lost. */
  limitOf(kind: LossKind): number;
}

/** Below the first nothing is worth a loss; beyond the second nothing is tried. */
const [leastSpeedup, mostSpeedup] = [1.1, 4];
/** Plans that are timed and refitted. */
const attempts = 4;
/** A speed-up differs from one that was tried by so much at least. */
const worthTrying = 1.03;
/** What is aimed at, of the limit: losses do not grow as evenly as they are expected to. */
const aim = 0.9;
/** A plan that loses less than this of the limit leaves room for a faster one. */
const room = 0.7;
/** Of what factors lose before they are refitted, the refit leaves a third at least. */
const mostGained = 3;

interface Best {
  readonly plan: CalibratedPlan;
  readonly fitted: FittedPlan;
}

/**
 * @throws FilterBasisError `data-mismatch` where the output is the same on all images; `does-not-pay` where no plan is
 * faster within the limit, with where the time goes
 */
export async function fastestWithin(
  planner: Planner,
  trial: Trial,
  { note }: JobHooks,
): Promise<Best & { readonly tried: readonly Tried[] }> {
  const tried: Tried[] = [];
  let best: Best | undefined;
  let limit = trial.limitOf("relative");
  const reach = async (speedup: number): Promise<void> => {
    const plan = await planner.plan({ speedup }).catch((error: unknown) => {
      if (!isOutOfReach(error)) throw error;
      tried.push({ speedup, reachable: error.facts.reachable });
      return undefined;
    });
    if (plan === undefined) return;
    const { fitted, loss } = await fittedBest(plan, trial);
    limit = trial.limitOf(loss.kind);
    tried.push({
      speedup,
      loss: loss.mean,
      layers: layersLose(plan),
      ...(plan.times && { milliseconds: plan.times.written }),
    });
    note?.(`${Number(speedup.toFixed(2))} x: loss ${loss.mean.toPrecision(3)} of ${loss.output} (${loss.kind})`);
    if (loss.mean <= limit) best = { plan, fitted };
  };
  let next: number | undefined = await whereToBegin(planner, trial);
  for (let attempt = 0; attempt < attempts && next !== undefined; attempt++) {
    await reach(next);
    next = nextSpeedup(planner.curve(), tried, limit);
  }
  if (best !== undefined) return { ...best, tried };
  throw new FilterBasisError("does-not-pay", `no plan is ${leastSpeedup} x faster and loses at most ${limit}`, {
    expected: `a loss of at most ${limit}`,
    got: tried
      .map(({ speedup, loss }) => `${speedup.toFixed(2)} x: ${loss?.toPrecision(3) ?? "out of reach"}`)
      .join(", "),
    cures: ["allow more loss: --max-loss", "give more images", "give a budget in weights: --keep-params"],
    facts: { tried },
  });
}

const networkOf = ({ calibration, chosen }: CalibratedPlan, { replacements }: FittedPlan): Graph =>
  writeChains(calibration.graph, replacements, chosen).graph;

/** Refitted factors, or those before the refit where they lose less, or far too much for a refit to help. */
async function fittedBest(plan: CalibratedPlan, trial: Trial): Promise<{ fitted: FittedPlan; loss: Loss }> {
  const first = await trial.fitted(plan);
  const before = await told(networkOf(plan, first), trial);
  if (before.mean > mostGained * trial.limitOf(before.kind)) return { fitted: first, loss: before };
  const second = await trial.refitted(plan);
  const after = await told(networkOf(plan, second), trial);
  return after.mean <= before.mean ? { fitted: second, loss: after } : { fitted: first, loss: before };
}

async function told(graph: Graph, { lossOf }: Trial): Promise<Loss> {
  const loss = await lossOf(graph);
  if (loss.constant) throw saysNothing(loss);
  return loss;
}

/**
 * Where the curve's plans would nearly meet the limit before any refit: between the fastest that stays within it and
 * the next, which are found by halving.
 */
async function whereToBegin(planner: Planner, trial: Trial): Promise<number> {
  await planner.measure();
  const plans = planner.plans();
  const points = planner
    .curve()
    .map(({ speedup }, i) => ({ speedup, plan: plans[i]! }))
    .filter(({ speedup }) => speedup >= leastSpeedup)
    .sort((a, b) => a.speedup - b.speedup);
  let [low, high] = [-1, points.length];
  let limit = trial.limitOf("relative");
  const seen = new Map<number, Tried>();
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const { plan, speedup } = points[middle]!;
    const loss = await told(networkOf(plan, await trial.fitted(plan)), trial);
    limit = trial.limitOf(loss.kind);
    seen.set(middle, { speedup, loss: loss.mean });
    if (loss.mean <= limit) low = middle;
    else high = middle;
  }
  const within = seen.get(low);
  if (within === undefined) return leastSpeedup;
  return Math.min(mostSpeedup, Math.max(within.speedup, between(within, seen.get(high), limit) ?? 0));
}

/** The speed-up to try behind those that were tried; undefined where the best is found, nearly. */
function nextSpeedup(curve: readonly CurvePoint[], tried: readonly Tried[], limit: number): number | undefined {
  const isWithin = ({ loss = Number.POSITIVE_INFINITY }: Tried): boolean => loss <= limit;
  const [low] = tried.filter(isWithin).sort((a, b) => b.speedup - a.speedup);
  const [high] = tried.filter((one) => !isWithin(one)).sort((a, b) => a.speedup - b.speedup);
  const reachable = high?.reachable === undefined ? mostSpeedup : 0.98 * Number(high.reachable);
  const most = Math.min(reachable, (high?.speedup ?? Number.POSITIVE_INFINITY) / worthTrying);
  if (low === undefined) {
    if (most < leastSpeedup) return undefined;
    return Math.min(most, Math.max(leastSpeedup, promisedWithin(curve, high!, aim * limit) ?? leastSpeedup));
  }
  if (low.loss! >= room * limit) return undefined;
  const wanted = between(low, high, limit) ?? promisedWithin(curve, low, aim * limit) ?? most;
  const next = Math.min(wanted, most);
  return next > worthTrying * low.speedup ? next : undefined;
}

/** Where losses that grow evenly between two speed-ups would nearly meet the limit. */
function between(low: Tried, high: Tried | undefined, limit: number): number | undefined {
  if (low.loss === undefined || high?.loss === undefined) return undefined;
  const share = (aim * limit - low.loss) / (high.loss - low.loss);
  return low.speedup * (high.speedup / low.speedup) ** share;
}

/** The speed-up of which a loss may be expected: its layers lose as much less, or more, than those of a tried one. */
function promisedWithin(curve: readonly CurvePoint[], one: Tried, wanted: number): number | undefined {
  const points = [...curve].sort((a, b) => a.speedup - b.speedup);
  const there = layersAt(points, one.speedup);
  if (there === undefined || one.loss === undefined) return undefined;
  if (!(one.loss > 0) || there <= 0) return points.at(-1)?.speedup;
  const layers = (there * wanted) / one.loss;
  const above = points.findIndex(({ loss }) => loss > layers);
  if (above < 0) return points.at(-1)?.speedup;
  if (above === 0) return points[0]!.speedup;
  const [low, high] = [points[above - 1]!, points[above]!];
  return low.speedup + ((layers - low.loss) / (high.loss - low.loss)) * (high.speedup - low.speedup);
}

/**
 * The fastest plan of the curve whose layers lose as much less as a plan's file lost too much; undefined where none is
 * worth a loss. Of the curve, for its plans follow from what layers lose: a plan that is timed anew may come out as the
 * same again.
 */
export function slowerPlan(
  planner: Pick<Planner, "curve" | "plans">,
  plan: Pick<CalibratedPlan, "chosen">,
  lost: number,
  limit: number,
): CalibratedPlan | undefined {
  const most = (aim * limit * layersLose(plan)) / lost;
  const plans = planner.plans();
  const points = planner.curve().map(({ speedup }, i) => ({ speedup, plan: plans[i]! }));
  const within = points.filter((point) => point.speedup >= leastSpeedup && layersLose(point.plan) <= most);
  return within.sort((a, b) => b.speedup - a.speedup)[0]?.plan;
}

/** What the layers lose together at a speed-up, along the curve. */
function layersAt(points: readonly CurvePoint[], speedup: number): number | undefined {
  const above = points.findIndex((point) => point.speedup >= speedup);
  if (above < 0) return points.at(-1)?.loss;
  const [low = points[above]!, high] = [points[above - 1], points[above]!];
  const share = low.speedup === high.speedup ? 1 : (speedup - low.speedup) / (high.speedup - low.speedup);
  return low.loss + share * (high.loss - low.loss);
}
