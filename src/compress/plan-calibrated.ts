// A plan by what layers lose on images: a budget in multiply-accumulates, weights or milliseconds is spent where it
// costs least of the outputs. With times, a layer is only replaced by what was measured to be no slower, and the whole
// network is timed before the plan counts.
import { type CalibrateOptions, type Calibration, calibrate, type PlannedChoice } from "../calibrate/calibrated.js";
import { extentsOf } from "../calibrate/choices.js";
import type { CalibrationImages, Engine } from "../calibrate/engine.js";
import { findCalibratedLayers } from "../calibrate/layers.js";
import type { Lead } from "../calibrate/together.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { type Selection, skipReason } from "../methods/pattern.js";
import type { Cost } from "../ops/cost/cost.js";
import { channelBlock } from "../runtime/channel-block.js";
import { openLatencyTable } from "../runtime/latency-table.js";
import { calibrateOptions } from "./calibrate-options.js";
import { type FirstTimes, firstTimes, surelyTimedPlan } from "./calibrated-in-time.js";
import type { CalibrationData } from "./calibration-data.js";
import { type ChainClock, clockOf } from "./chain-times.js";
import { type Effort, placesOf } from "./effort.js";
import { fastestCandidates, type TimedCandidate } from "./fastest-candidates.js";
import { fittedImages } from "./fitted-images.js";
import { type JobHooks, type Place, stepsOf } from "./job.js";
import { planByBytes } from "./plan-by-bytes.js";
import {
  candidatesFor,
  leastShareOf,
  limitsFor,
  onBlocks,
  type Saves,
  tellFew,
  tellSmall,
  tellWide,
  worthTiming,
} from "./plan-candidates.js";
import type { Precision } from "./precisions.js";
import { restricted } from "./restricted.js";
import { byWeights, type Counts, type CurvePoint, speedCurve } from "./solve-calibrated.js";
import { weighed } from "./weighed.js";

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
  /** Of the layers: candidates are timed in all that is allowed, and count as fast as the fastest. Default: floats. */
  readonly precision?: Precision;
  /**
   * What a network loses on images that it is calibrated on, on some of these: tells plans apart that layers' errors do
   * not.
   */
  readonly lossOf?: (graph: Graph, most?: number) => Promise<number>;
  /** The output whose loss counts. Default: the first of floats. */
  readonly output?: string;
  /** Where other processes help to calibrate. */
  readonly lead?: Lead;
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
  /** In which it was timed fastest, where a plan may choose. */
  readonly precision?: "fp32" | "int8";
}

function precisionOf(clock: ChainClock, ...of: Parameters<ChainClock["precision"]>): Pick<LayerTime, "precision"> {
  const precision = clock.precision(...of);
  return precision === undefined ? {} : { precision };
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

/** The network, looked at for what a plan saves; `timed` is without the choices whose ranks the runtime would pad. */
async function calibratedFor(job: CalibratedJob, saves: Saves, images: CalibrationImages) {
  const { prepared, engine, hooks } = job;
  const progress = stepsOf(hooks);
  const block = channelBlock(job.place.runtime);
  const count = findCalibratedLayers(prepared).layers.length;
  const limits = { ...limitsFor(count, engine), block, ...job.effort };
  const leastShare = leastShareOf(count, saves);
  const options: CalibrateOptions = {
    candidates: (shape) => restricted(candidatesFor(shape, saves, limits), shape, job),
    leastShare,
    ...calibrateOptions(job, images),
    ...placesOf(job, images),
    ...(job.effort && { memory: job.effort.memory }),
    progress: progress.report,
  };
  const seen = await calibrate(prepared, images, engine, options).finally(() => progress.stop());
  const calibrated = await weighed(job, seen, images);
  const calibration = selected(saves === "time" ? quickest(calibrated) : calibrated, job.selection);
  tellSmall(calibration, leastShare, hooks);
  tellWide(calibration, hooks, limits.widest);
  tellFew(calibration, images, hooks);
  if (calibration.layers.length === 0) throw noLayers(calibration);
  return { calibration, timed: onBlocks(calibration, block), free: limits.free };
}

/**
 * Calibrates for plans by weights, or by time and multiply-accumulates. @throws FilterBasisError what calibrating
 * throws
 */
export async function openPlanner(job: CalibratedJob, saves: Saves): Promise<Planner> {
  const images = await fittedImages(job);
  const { calibration, timed, free } = await calibratedFor(job, saves, images);
  const whole = await countsOf(job);
  const table = await openLatencyTable({
    ...(job.place.runtime === undefined ? {} : { runtime: job.place.runtime }),
    ...(job.place.threads === undefined ? {} : { threads: job.place.threads }),
    ...(job.latencies === undefined ? {} : { folder: job.latencies }),
  });
  let known: FirstTimes | undefined;
  const clock = () => known?.clock ?? clockOf(job, table);
  return {
    calibration,
    images,
    async plan(budget) {
      if (budget.keepBytes !== undefined) return planByBytes(job, calibration, whole, budget.keepBytes);
      if (budget.keepParams !== undefined)
        return { calibration, chosen: byWeights(whole, calibration, budget.keepParams) };
      const all = free ? calibration : timed;
      const made = await surelyTimedPlan(job, { all, onBlocks: timed }, table, { ...budget, whole });
      known = made.known;
      return made.plan;
    },
    times: () => fastestCandidates(timed, clock()),
    layerTimes: (chosen) =>
      chosen.map(({ layer, candidate }) => ({
        layer: layer.name,
        original: clock().dense(layer),
        written: clock().exact(layer, candidate),
        ...(job.precision === undefined || job.precision === "fp32" ? {} : precisionOf(clock(), layer, candidate)),
      })),
    curve: () => (known ? speedCurve(timed, known).map(({ point }) => point) : []),
    async measure() {
      known = await firstTimes(job, timed, table);
    },
    plans: () =>
      known ? speedCurve(timed, known).map(({ chosen }) => ({ calibration: timed, chosen: chosen() })) : [],
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
