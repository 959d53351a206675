// Which plan a calibrated compression carries out, for `compress` and for `plan` alike: of a budget the plan that loses
// least, of given sizes the plan that has them, and without either the fastest plan that loses little. That is chosen
// on half of the images held out, and reported on the other half.

import { calibrationsFolder } from "../calibrate/cache.js";
import { compressCalibrated } from "../calibrate/calibrated.js";
import type { CalibrationImages, Engine } from "../calibrate/engine.js";
import { type Follower, followMoments, type Lead } from "../calibrate/together.js";
import { type ComparedOnData, type CompareOptions, compareOnData } from "../evaluate/compare-on-data.js";
import { type LossKind, usualLoss } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import type { Selection } from "../methods/pattern.js";
import { cost } from "../ops/cost/cost.js";
import { cacheLimit, pruneFolder } from "../runtime/prune-folder.js";
import type { CalibrationData } from "./calibration-data.js";
import { placesOf } from "./effort.js";
import { explicitPlan, type Sizes } from "./explicit-plan.js";
import { type FittedPlan, fastestWithin, type Trial, type Tried } from "./fastest-within.js";
import { fittedImages } from "./fitted-images.js";
import { type Given, type JobHooks, type JobOptions, placeOf, stepsOf } from "./job.js";
import { saysNothing } from "./pays-on-data.js";
import {
  type CalibratedBudget,
  type CalibratedJob,
  type CalibratedPlan,
  openPlanner,
  type Planner,
} from "./plan-calibrated.js";
import type { Precision } from "./precisions.js";
import { prepare } from "./prepare.js";
import { soundRefit } from "./sound-refit.js";
import { withReasons } from "./why-not.js";

export type { Follower, Lead, Wanted } from "../calibrate/together.js";

export interface PlanOnDataOptions extends Pick<JobOptions, "runtime" | "threads" | "latencies" | "keepBatchNorm"> {
  readonly budget: CalibratedBudget;
  /** Bases of exactly these sizes, instead of a budget. */
  readonly sizes?: Sizes;
  /** Bases of so many splits alone; `channels` is one for each channel. Default: every family of factors. */
  readonly splits?: number | "channels";
  /** Bases alone, which a layout can be asked of. */
  readonly basesOnly?: boolean;
  /** What a result may lose; without a budget what decides. */
  readonly maxLoss?: number;
  /** The output whose loss counts, and what it is. */
  readonly output?: string;
  readonly loss?: Exclude<LossKind, "decibels">;
  /** Steps of every block behind the refit, which would part what splits share. */
  readonly steps?: number;
  /** Which layers may be replaced, by patterns of their names; all by default. */
  readonly selection?: Selection;
  /** In which layers may compute once the plan is carried out: a plan by time counts on it. Default: floats. */
  readonly precision?: Precision;
  /** Where other processes help to calibrate: `helpCalibrate` is what they run. */
  readonly lead?: Lead;
}

export interface ChosenPlan {
  /** Undefined for given sizes: nothing was planned. */
  readonly planner?: Planner;
  readonly plan: CalibratedPlan;
  /** What it was calibrated on and its factors are fitted to. */
  readonly images: CalibrationImages;
  /** Its factors, where they were fitted to choose it. */
  readonly fitted?: FittedPlan;
  /** What it lost on the images that chose it. */
  readonly lost?: ComparedOnData;
  /** All plans that were tried to choose it. */
  readonly tried?: readonly Tried[];
}

/** A network, its images and where it runs. */
export function calibratedJob(
  given: Given,
  data: CalibrationData,
  options: PlanOnDataOptions,
  engine: Engine,
  hooks: JobHooks,
): CalibratedJob {
  const { latencies, selection, precision, lead, output } = options;
  return {
    ...{ original: given.graph, prepared: prepare(given.graph, options).graph, engine, data, hooks },
    ...{ before: cost(given.graph, data.inputs.shapes), place: placeOf(options, data.inputs) },
    async lossOf(graph, most = fewImages) {
      const few = data.all.part(0, Math.min(data.images.count, most));
      return (await compareOn(few, given, graph, options, hooks)).loss.mean;
    },
    ...(given.file === undefined ? {} : { file: given.file }),
    ...(latencies === undefined ? {} : { latencies }),
    ...(selection === undefined ? {} : { selection }),
    ...(precision === undefined ? {} : { precision }),
    ...(lead === undefined ? {} : { lead }),
    ...(output === undefined ? {} : { output }),
  };
}

/**
 * What a process does beside the one that compresses or plans, with the same model, data and options.
 * @throws FilterBasisError as `followMoments`
 */
export async function helpCalibrate(
  given: Given,
  data: CalibrationData,
  options: PlanOnDataOptions,
  { engine, follower, hooks = {} }: { readonly engine: Engine; readonly follower: Follower; readonly hooks?: JobHooks },
): Promise<void> {
  const { signal } = hooks;
  const job = calibratedJob(given, data, options, engine, { ...(signal && { signal }) });
  const images = [await fittedImages(job), data.images];
  await followMoments(job.prepared, images, engine, follower, { ...(signal && { signal }) });
}

/** Whether a budget says what to keep; else what is lost decides. */
export const isNamed = (budget: CalibratedBudget): boolean =>
  Object.values(budget).some((value) => value !== undefined);

/** @throws FilterBasisError `budget-unreachable`, `does-not-pay`; what calibrating, timing and running throw */
export async function choosePlan(given: Given, job: CalibratedJob, options: PlanOnDataOptions): Promise<ChosenPlan> {
  const limit = cacheLimit();
  return await planOf(given, job, options).finally(() => pruneFolder(calibrationsFolder(), limit));
}

async function planOf(given: Given, job: CalibratedJob, options: PlanOnDataOptions): Promise<ChosenPlan> {
  const { budget, sizes, splits, basesOnly, steps = 0 } = options;
  if (sizes !== undefined) return { plan: await explicitPlan(job, sizes), images: job.data.images };
  if (!isNamed(budget)) await checkSpeaks(given, job, options);
  const weights = budget.keepParams !== undefined || budget.keepBytes !== undefined;
  const bases = { ...(splits === undefined ? {} : { splits }), ...(basesOnly === undefined ? {} : { basesOnly }) };
  const planner = await openPlanner(
    { ...job, ...bases },
    weights ? (steps > 0 ? "weights, unshared" : "weights") : "time",
  );
  return choosePlanned(planner, given, job, options);
}

/** The same of a network that was calibrated before. */
export async function choosePlanned(
  planner: Planner,
  given: Given,
  job: CalibratedJob,
  options: PlanOnDataOptions,
): Promise<ChosenPlan> {
  try {
    return { planner, images: planner.images, ...(await chosenBy(planner, given, job, options)) };
  } catch (error) {
    throw await withReasons(error, given, planner, job.place, job.hooks);
  }
}

/** Images that tell whether an output moves. */
const looked = 8;

/**
 * Whether the images move the output that decides; told before anything slow. @throws FilterBasisError `data-mismatch`
 */
async function checkSpeaks(given: Given, job: CalibratedJob, options: PlanOnDataOptions): Promise<void> {
  const { all } = job.data;
  const some = all.part(0, Math.min(looked, all.count));
  const { loss } = await compareOn(some, given, given.file ?? given.graph, options, job.hooks);
  if (loss.constant) throw saysNothing(loss);
}

async function chosenBy(
  planner: Planner,
  given: Given,
  job: CalibratedJob,
  options: PlanOnDataOptions,
): Promise<Omit<ChosenPlan, "planner" | "images">> {
  const { budget, maxLoss } = options;
  if (isNamed(budget)) return { plan: await planner.plan(budget) };
  const { choosing } = halves(job.data);
  const limit = (kind: LossKind) => maxLoss ?? usualLoss[kind];
  let lost: ComparedOnData | undefined;
  const lossOf = async (candidate: Graph) => {
    const compared = await compareOn(choosing, given, candidate, options, job.hooks);
    if (compared.loss.mean <= limit(compared.loss.kind)) lost = compared; // those that are found are faster and faster
    return compared.loss;
  };
  const trial: Trial = {
    fitted: (plan) => compressCalibrated(plan.calibration, plan.chosen, planner.images, job.engine, signalOf(job)),
    refitted: (plan) => fitPlanned(plan, job, planner.images),
    ...{ lossOf, limitOf: limit },
  };
  const best = await fastestWithin(planner, trial, job.hooks);
  return { ...best, ...(lost && { lost }) };
}

const signalOf = ({ hooks: { signal } }: Pick<CalibratedJob, "hooks">) => (signal ? { signal } : {});

/** The factors of a plan, refitted to what the compressed network feeds its layers. */
export async function fitPlanned(
  plan: CalibratedPlan,
  job: Pick<CalibratedJob, "data" | "engine" | "hooks" | "effort" | "lossOf">,
  images: CalibrationImages,
): Promise<FittedPlan> {
  const { data, engine, hooks, effort } = job;
  const progress = stepsOf(hooks);
  const stepHooks = { progress: progress.report, ...(hooks.signal ? { signal: hooks.signal } : {}) };
  const sampling = {
    ...(data.batch === undefined ? {} : { batch: data.batch }),
    ...placesOf({ ...(effort && { effort }) }, images),
  };
  const refitted = await compressCalibrated(plan.calibration, plan.chosen, images, engine, {
    ...stepHooks,
    refit: {
      ...sampling,
      ...(effort && { memory: effort.memory }),
      ...stepHooks,
      fewer: true,
      ...(hooks.note ? { note: hooks.note } : {}),
    },
  }).finally(() => progress.stop());
  return soundRefit(plan, refitted, job, images);
}

/** The images that choose a plan where nothing else does, and those that its loss is told of. */
function halves({ heldOut, all }: CalibrationData) {
  const feeds = heldOut ?? all;
  if (heldOut === undefined || heldOut.count < 2) return { choosing: feeds, reported: feeds };
  const first = Math.floor(heldOut.count / 2);
  return { choosing: heldOut.part(0, first), reported: heldOut.part(first, heldOut.count - first) };
}

/** What a result is worth on images. */
export interface Reported extends ComparedOnData {
  /** The images are those that the factors were fitted to, for there were no others. */
  readonly fitted: boolean;
  /** They also chose the plan, for there were too few to part. */
  readonly chosen: boolean;
}

/** Two networks on images that the second has not seen, as far as there are such. */
export async function compareReported(
  given: Given,
  file: Graph | string,
  data: CalibrationData,
  options: PlanOnDataOptions,
  hooks: JobHooks,
): Promise<Reported> {
  const searched = options.sizes === undefined && !isNamed(options.budget);
  const { choosing, reported } = halves(data);
  const feeds = searched ? reported : (data.heldOut ?? data.all);
  const compared = await compareOn(feeds, given, file, options, hooks);
  return { ...compared, fitted: data.heldOut === undefined, chosen: searched && choosing === reported };
}

/** Of few images half as many: they are large. */
const fewImages = 32;

/** The loss on images that the factors were fitted to, about as many as are held out; undefined where none are. */
export async function lossOnFitted(
  given: Given,
  graph: Graph,
  { heldOut, all, images }: CalibrationData,
  options: PlanOnDataOptions,
  hooks: JobHooks,
): Promise<number | undefined> {
  if (heldOut === undefined) return undefined;
  const count = heldOut.count < fewImages ? Math.ceil(heldOut.count / 2) : heldOut.count;
  return (await compareOn(all.part(0, Math.min(images.count, count)), given, graph, options, hooks)).loss.mean;
}

async function compareOn(
  feeds: CalibrationData["all"],
  given: Given,
  file: Graph | string,
  { runtime, threads, output, loss }: PlanOnDataOptions,
  { progress, signal }: JobHooks,
): Promise<ComparedOnData> {
  const bar = progress?.("comparing", feeds.batches);
  const options: CompareOptions = {
    ...(runtime === undefined ? {} : { runtime }),
    ...(threads === undefined ? {} : { threads }),
    ...(output === undefined ? {} : { output }),
    ...(loss === undefined ? {} : { kind: loss }),
    ...(signal ? { signal } : {}),
    progress: (done) => bar?.update(done),
  };
  return compareOnData(given.file ?? given.graph, file, feeds, options).finally(() => bar?.stop());
}
