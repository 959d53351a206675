// A plan by what layers lose on images: a budget in multiply-accumulates, weights or milliseconds is spent where it
// costs least of the outputs. With times, a layer is only replaced by what was measured to be no slower, and the whole
// network is timed before the plan counts.
import { openCalibrationCache } from "../calibrate/cache.js";
import {
  type CalibrateOptions,
  type Calibration,
  calibrate,
  fitPlan,
  type PlannedChoice,
} from "../calibrate/calibrated.js";
import { extentsOf, type LayerChoice } from "../calibrate/choices.js";
import type { CalibrationImages, Engine } from "../calibrate/engine.js";
import type { CalibratedLayer } from "../calibrate/layers.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { type Selection, skipReason } from "../methods/pattern.js";
import type { Cost } from "../ops/cost/cost.js";
import type { LatencyTable, NetworkTimes } from "../runtime/known-times.js";
import { openLatencyTable } from "../runtime/latency-table.js";
import { type Approach, approached, beginApproach } from "./approach.js";
import type { CalibrationData } from "./calibration-data.js";
import { chainClock, chainQuestions, firstTimed, layerInputs, opsetOf } from "./chain-times.js";
import { type Effort, placesOf } from "./effort.js";
import { fastestCandidates, type TimedCandidate } from "./fastest-candidates.js";
import { fittedImages } from "./fitted-images.js";
import { type JobHooks, type Place, stepsOf, withBar } from "./job.js";
import { networkKey } from "./network-key.js";
import { fastEnough, outOfReach } from "./out-of-reach.js";
import { planByBytes } from "./plan-by-bytes.js";
import { candidatesFor, type Saves, tellWide, widestBy, worthTiming } from "./plan-candidates.js";
import { restricted } from "./restricted.js";
import { byWeights, type Counts, type CurvePoint, predictedTime, solveTimed, speedCurve } from "./solve-calibrated.js";
import { timeNetwork, timeNetworks } from "./time.js";
import { writeChains } from "./write-chains.js";

export interface CalibratedBudget {
  readonly keepMacs?: number;
  readonly keepParams?: number;
  /** Of the original file's bytes. */
  readonly keepBytes?: number;
  /** The original's time divided by the result's. */
  readonly speedup?: number;
  /** Milliseconds of the result. */
  readonly latency?: number;
}

export interface CalibratedPlan {
  readonly calibration: Calibration;
  /** One choice a layer, in the order of the graph. */
  readonly chosen: readonly PlannedChoice[];
  /**
   * Milliseconds of the original and of the compressed network: predicted from the layers', and measured on factors
   * before the refit.
   */
  readonly times?: {
    readonly original: number;
    readonly predicted: number;
    readonly written: number;
    /** Of the first plan, before anything was learned from timing a whole one. */
    readonly first: { readonly predicted: number; readonly written: number };
  };
}

export interface CalibratedJob {
  readonly original: Graph;
  /** The file that the original came from. */
  readonly file?: string;
  readonly prepared: Graph;
  /** Counts of the original as it was given. */
  readonly before: Cost;
  readonly place: Place;
  readonly engine: Engine;
  readonly data: CalibrationData;
  readonly hooks: JobHooks;
  /** The folder of measured times; by default in the cache folder. */
  readonly latencies?: string;
  /** Which layers may be replaced, by patterns of their names; all by default. */
  readonly selection?: Selection;
  /** Bases alone, and of so many splits. */
  readonly splits?: number | "channels";
  readonly basesOnly?: boolean;
  /** Where somebody waits for it: what is looked at, and what is tried. */
  readonly effort?: Effort;
}

/** A network that was calibrated and can be planned, for one budget after another. */
export interface Planner {
  readonly calibration: Calibration;
  /**
   * What was calibrated on and is to be fitted to: the images, with their mirror images where the network takes them.
   */
  readonly images: CalibrationImages;
  /** @throws FilterBasisError `budget-unreachable`; what timing throws */
  plan(budget: CalibratedBudget): Promise<CalibratedPlan>;
  /**
   * Each layer that was timed, the slowest first, with the fastest candidate that was timed. Empty before a plan by
   * time.
   */
  times(): readonly TimedCandidate[];
  /**
   * Milliseconds of each layer as it is and as a plan has it, in their order; undefined where a layer was not timed.
   */
  layerTimes(chosen: readonly PlannedChoice[]): readonly LayerTime[];
  /** What speed costs, from times of single layers: the whole trade-off after a plan by time, else nothing. */
  curve(): readonly CurvePoint[];
  /** Times the network and the first candidates of its layers, as a plan by time begins. */
  measure(): Promise<void>;
  /** The plans at the points of the curve. */
  plans(): readonly CalibratedPlan[];
}

export interface LayerTime {
  readonly layer: string;
  readonly original: number | undefined;
  readonly written: number | undefined;
}

const quickest = (calibration: Calibration): Calibration => ({
  ...calibration,
  layers: calibration.layers.map((one) => ({ ...one, choices: worthTiming(one.choices) })),
});

/** Layers that are not asked for stay dense, and are skipped with the reason. */
function selected(calibration: Calibration, selection: Selection = {}): Calibration {
  const reasons = calibration.layers.map(({ layer }) => skipReason(layer.name, selection));
  const skipped = calibration.layers.flatMap(({ layer: { name } }, i) => {
    const reason = reasons[i];
    return reason === undefined ? [] : [{ name, reason }];
  });
  const layers = calibration.layers.map((one, i) =>
    reasons[i] === undefined ? one : { ...one, choices: one.choices.slice(0, 1) },
  );
  return { ...calibration, layers, skipped: [...calibration.skipped, ...skipped] };
}

/**
 * Calibrates for plans by weights, or by time and multiply-accumulates. @throws FilterBasisError what calibrating
 * throws
 */
export async function openPlanner(job: CalibratedJob, saves: Saves): Promise<Planner> {
  const { data, prepared, engine, hooks } = job;
  const { signal } = hooks;
  const images = await fittedImages(job);
  const cache = openCalibrationCache(prepared, images, engine, {});
  const progress = stepsOf(hooks);
  const options: CalibrateOptions = {
    candidates: (shape) =>
      restricted(candidatesFor(shape, saves, { widest: widestBy(engine), ...job.effort }), shape, job),
    cache,
    ...placesOf(job, images.count),
    ...(job.effort && { memory: job.effort.memory }),
    ...(data.batch === undefined ? {} : { batch: data.batch }),
    ...(signal ? { signal } : {}),
    progress: progress.report,
  };
  const calibrated = await calibrate(prepared, images, engine, options).finally(() => progress.stop());
  const calibration = selected(saves === "time" ? quickest(calibrated) : calibrated, job.selection);
  tellWide(calibration, hooks, widestBy(engine));
  if (calibration.layers.length === 0) throw noLayers(calibration);
  const whole = await countsOf(job);
  const table = await openLatencyTable({
    ...(job.place.runtime === undefined ? {} : { runtime: job.place.runtime }),
    ...(job.place.threads === undefined ? {} : { threads: job.place.threads }),
    ...(job.latencies === undefined ? {} : { folder: job.latencies }),
  });
  const clock = chainClock(table.clock, layerInputs(job), opsetOf(prepared));
  let original: number | undefined;
  return {
    calibration,
    images,
    async plan(budget) {
      if (budget.keepBytes !== undefined) return planByBytes(job, calibration, whole, budget.keepBytes);
      if (budget.keepParams !== undefined)
        return { calibration, chosen: byWeights(whole, calibration, budget.keepParams) };
      const plan = await surelyTimedPlan(job, calibration, table, { ...budget, whole });
      original = plan.times?.original;
      return plan;
    },
    times: () => fastestCandidates(calibration, clock),
    layerTimes: (chosen) =>
      chosen.map(({ layer, candidate }) => ({
        layer: layer.name,
        original: clock.dense(layer),
        written: clock.exact(layer, candidate),
      })),
    curve: () => (original === undefined ? [] : speedCurve(calibration, clock, original).map(({ point }) => point)),
    async measure() {
      original = (await firstTimes(job, calibration, table)).original;
    },
    plans: () =>
      original === undefined
        ? []
        : speedCurve(calibration, clock, original).map(({ chosen }) => ({ calibration, chosen: chosen() })),
  };
}

/** Of the original at one image as it is calibrated on, whatever the batch that it is timed at. */
export async function countsOf({
  original,
  before,
  data,
}: Pick<CalibratedJob, "original" | "before" | "data">): Promise<Counts> {
  return { weights: before.weights, macs: (await extentsOf(original, data.images)).macs };
}

function noLayers({ skipped }: Calibration): FilterBasisError {
  const reasons = skipped.map(({ name, reason }) => `${name}: ${reason}`);
  return new FilterBasisError("not-found", "there is no layer that can be compressed on data", {
    expected: "convolutions of one group, or fully connected layers, with constant weights",
    got: reasons.slice(0, 5).join("; ") || "none",
    facts: { skipped },
  });
}

/** Rounds in which what a plan chose is timed and the plan made anew. */
const rounds = 4;
/**
 * Times a plan is made to save more, or less, because the whole network saved less or more than its layers promised.
 */
const attempts = 6;

/** Times what is asked of the choices of layers. */
function measurer(job: CalibratedJob, table: LatencyTable) {
  const { hooks, prepared } = job;
  const [inputs, opset] = [layerInputs(job), opsetOf(prepared)];
  return (label: string, wanted: readonly (readonly [CalibratedLayer, LayerChoice])[]): Promise<void> => {
    const questions = wanted.flatMap(([layer, { candidate }]) => chainQuestions(layer, candidate, inputs, opset) ?? []);
    const { signal } = hooks;
    return withBar(label, hooks, (progress) => table.measure(questions, { progress, ...(signal ? { signal } : {}) }));
  };
}

/** The first candidates of every layer, and the whole network as it is. */
async function firstTimes(job: CalibratedJob, { layers }: Calibration, table: LatencyTable): Promise<NetworkTimes> {
  const { original, place, hooks } = job;
  const wanted = layers.flatMap((one) => firstTimed(one).map((choice) => [one.layer, choice] as const));
  await measurer(job, table)("timing layers", wanted);
  return table.networks(networkKey([original], place.inputs.shapes), async () => {
    const milliseconds = await timeNetwork(original, place, hooks);
    return { original: milliseconds, written: milliseconds };
  });
}

type TimedBudget = CalibratedBudget & { readonly whole: Counts };

/** Milliseconds of a network whose layers are timed in no time, and so briefly that what else runs shows. */
const small = 10;

/** A small network's budget is not out of reach because something else ran while its layers were timed. */
async function surelyTimedPlan(
  job: CalibratedJob,
  calibration: Calibration,
  table: LatencyTable,
  budget: TimedBudget,
): Promise<CalibratedPlan> {
  try {
    return await timedPlan(job, calibration, table, budget);
  } catch (error) {
    const { written } = await firstTimes(job, calibration, table);
    if (!isError(error, "budget-unreachable") || written > small) throw error;
    return await timedPlan(job, calibration, table.confirmed(), budget);
  }
}

async function timedPlan(
  job: CalibratedJob,
  calibration: Calibration,
  table: LatencyTable,
  { whole: counts, ...budget }: TimedBudget,
): Promise<CalibratedPlan> {
  const clock = chainClock(table.clock, layerInputs(job), opsetOf(job.prepared));
  const measure = measurer(job, table);
  const whole = await firstTimes(job, calibration, table);
  const target = budget.latency ?? whole.written / (budget.speedup ?? 1);
  const timed = budget.latency !== undefined || budget.speedup !== undefined;
  if (budget.latency !== undefined && target >= whole.written) throw fastEnough(target, whole.written);
  let state: Approach<CalibratedPlan> = beginApproach(target, whole.written);
  let first: { readonly predicted: number; readonly written: number } | undefined;
  for (let attempt = 0; attempt < attempts && !state.done; attempt++) {
    let solved = solveTimed(counts, calibration, clock, { ...budget, timed }, whole.written, state.most);
    for (let round = 0; round < rounds; round++) {
      const open = solved.chosen.filter(
        ({ layer, candidate }) => clock.exact(layer, candidate) === undefined && clock.dense(layer),
      );
      if (open.length === 0) break;
      await measure(
        "timing the plan",
        open.map((choice) => [choice.layer, choice] as const),
      );
      solved = solveTimed(counts, calibration, clock, { ...budget, timed }, whole.written, state.most);
    }
    const predicted = predictedTime(solved.chosen, clock, whole.written);
    const written = await timeOf(job, calibration, table, solved.chosen, whole.written);
    first ??= { predicted, written };
    const times = { original: whole.written, predicted, written, first };
    const plan = { calibration, chosen: solved.chosen, times };
    if (!timed) return plan;
    state = approached(state, target, { plan, predicted, written, loss: lossOf(plan) });
  }
  if (state.enough !== undefined) return state.enough.timed.plan;
  throw outOfReach(budget, state.fastest!.plan);
}

const lossOf = ({ chosen }: CalibratedPlan): number => chosen.reduce((sum, { loss }) => sum + loss, 0);

/** Milliseconds of the whole network with a plan's chains, on the original's clock. */
async function timeOf(
  { original, engine, place, hooks }: CalibratedJob,
  calibration: Calibration,
  table: LatencyTable,
  chosen: readonly PlannedChoice[],
  whole: number,
): Promise<number> {
  const factors = await fitPlan(calibration, chosen, engine.algebra);
  const { graph } = writeChains(calibration.graph, factors, chosen);
  const { original: first, written } = await table.networks(networkKey([original, graph], place.inputs.shapes), () =>
    timeNetworks(original, graph, place, hooks),
  );
  return (written / first) * whole;
}
