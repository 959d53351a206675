// The main job with data: calibrate, plan by what is lost on images, fit, refit, write, verify against the network with
// the fitted filters, compare with the original file in turns and on images that nothing was fitted to.
import { blockSteps } from "../calibrate/block-steps.js";
import { compressCalibrated, type LayerResult } from "../calibrate/calibrated.js";
import type { Engine } from "../calibrate/engine.js";
import { withReplacements } from "../calibrate/replacement.js";
import { FilterBasisError } from "../errors/error.js";
import { type ComparedOnData, type CompareOptions, compareOnData } from "../evaluate/compare-on-data.js";
import { conventionsOf } from "../evaluate/conventions.js";
import type { LossKind } from "../evaluate/loss.js";
import type { ModelFeeds } from "../evaluate/model-feeds.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import type { Selection } from "../methods/pattern.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { saveVerified } from "../runtime/save-verified.js";
import { engineInfo } from "../torch/index.js";
import { bestEngine } from "./best-engine.js";
import type { CalibrationData } from "./calibration-data.js";
import { type FittedPlan, fastestWithin } from "./fastest-within.js";
import { type Given, type JobHooks, type JobOptions, placeOf, stepsOf } from "./job.js";
import { checkSize } from "./pays.js";
import { type CalibratedBudget, type CalibratedPlan, openPlanner } from "./plan-calibrated.js";
import { prepare } from "./prepare.js";
import { type Times, timeNetworks } from "./time.js";
import { referenceOf, type Verified, verifyAgainst, verifyPrepared } from "./verify.js";
import { writeChains } from "./write-chains.js";

export interface CalibratedOptions extends Pick<JobOptions, "runtime" | "threads" | "latencies" | "keepBatchNorm"> {
  readonly budget: CalibratedBudget;
  /** A result that loses more on the held-out images is not written. */
  readonly maxLoss?: number;
  /** The output whose loss counts, and what it is. */
  readonly output?: string;
  readonly loss?: Exclude<LossKind, "decibels">;
  readonly engine?: Engine;
  /** Steps of every block by the original's outputs, without labels, behind the refit; needs libtorch. Default: 0. */
  readonly steps?: number;
  /** Which layers may be replaced, by patterns of their names; all by default. */
  readonly selection?: Selection;
}

export interface CalibratedResult {
  readonly file: string;
  readonly graph: Graph;
  readonly before: Cost;
  readonly after: Cost;
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  readonly plan: CalibratedPlan;
  readonly layers: readonly LayerResult[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly verified: Verified;
  readonly times: Times;
  /** On images that nothing was fitted to; with `fitted` on those that it was fitted to, for there were no others. */
  readonly compared: ComparedOnData & { readonly fitted: boolean };
  /** The loss on images that the factors were fitted to: what was to be expected of others. Absent without others. */
  readonly predictedLoss?: number;
}

/** What a result may lose where neither a budget nor a limit is given. */
const usualLoss = 0.01;
/** What a file may be slower than the original by, or short of the speed-up that was asked for. */
const noise = 1.03;

/**
 * Compresses a model by data into a file. Nothing is written when anything fails.
 * @throws FilterBasisError `budget-unreachable`; `does-not-pay` (not faster though speed was asked for, slower,
 * larger); `loses-function` (above `maxLoss`); `verification-failed`
 */
export async function compressOnData(
  given: Given,
  output: string,
  data: CalibrationData,
  options: CalibratedOptions,
  hooks: JobHooks = {},
): Promise<CalibratedResult> {
  const { budget, maxLoss, steps = 0 } = options;
  const { inputs } = data;
  const engine = options.engine ?? bestEngine();
  if (steps > 0 && engine.name !== "libtorch") engineInfo(); // says what is missing
  const place = placeOf(options, inputs);
  const prepared = prepare(given.graph, options).graph;
  const before = cost(given.graph, inputs.shapes);
  const original = given.file === undefined ? undefined : await modelBytes(given.file);
  const reference = await referenceOf(given.file ?? given.graph, place);
  if (prepared !== given.graph) await verifyPrepared(prepared, reference);
  const selection = options.selection === undefined ? {} : { selection: options.selection };
  const job = {
    original: given.graph,
    prepared,
    before,
    place,
    engine,
    data,
    hooks,
    ...latencies(options),
    ...selection,
  };
  const planner = await openPlanner(
    job,
    budget.keepParams === undefined ? "time" : steps > 0 ? "weights, unshared" : "weights",
  );
  const fitFactors = (plan: CalibratedPlan) => fitPlanned(plan, { ...data, images: planner.images }, engine, hooks);
  const named = Object.values(budget).some((value) => value !== undefined);
  const lossOf = async (candidate: Graph) => (await compareHeldOut(given, candidate, data, options, hooks)).loss;
  const { plan, fitted } = named
    ? await planner.plan(budget).then(async (one) => ({ plan: one, fitted: await fitFactors(one) }))
    : await fastestWithin(planner, fitFactors, lossOf, maxLoss ?? usualLoss, hooks);
  if (plan.chosen.every(({ candidate }) => candidate.family === "dense")) throw nothingChosen(budget);
  const replacements =
    steps > 0
      ? await taught(prepared, fitted, { ...data, images: planner.images }, engine, steps, hooks)
      : fitted.replacements;
  const layout = budget.keepParams === undefined ? "split" : "dense";
  const written = writeChains(plan.calibration.graph, replacements, plan.chosen, layout).graph;
  const graph = withMetadata(written, data.all.images ? conventionsOf(data.all.how) : {});
  const against = withReplacements(prepared, replacements);
  const predictedLoss = await lossOnFitted(given, graph, data, options, hooks);
  const evaluated = await saveVerified(graph, output, async (file) => {
    const bytes = await modelBytes(file);
    checkSize(original, bytes, {});
    const verified = await verifyAgainst(against, graph, file, reference);
    const compared = await compareHeldOut(given, file, data, options, hooks);
    if (maxLoss !== undefined && compared.loss.mean > maxLoss) throw losesFunction(compared, maxLoss);
    const times = await timeNetworks(given.file ?? given.graph, file, place, hooks);
    checkTimes(times, budget);
    return { verified, bytes, compared, times };
  });
  hooks.note?.(predictionText(plan, evaluated.compared.loss.mean, predictedLoss));
  return {
    ...(predictedLoss === undefined ? {} : { predictedLoss }),
    ...{ file: output, graph, before, plan, layers: fitted.layers, skipped: plan.calibration.skipped },
    after: cost(graph, inputs.shapes),
    bytes: { original, written: evaluated.bytes },
    ...{ verified: evaluated.verified, times: evaluated.times, compared: evaluated.compared },
  };
}

async function fitPlanned(
  plan: CalibratedPlan,
  data: CalibrationData,
  engine: Engine,
  hooks: JobHooks,
): Promise<FittedPlan> {
  const progress = stepsOf(hooks);
  const stepHooks = { progress: progress.report, ...(hooks.signal ? { signal: hooks.signal } : {}) };
  const sampling = data.batch === undefined ? {} : { batch: data.batch };
  return compressCalibrated(plan.calibration, plan.chosen, data.images, engine, {
    ...stepHooks,
    refit: { ...sampling, ...stepHooks, fewer: true, ...(hooks.note ? { note: hooks.note } : {}) },
  }).finally(() => progress.stop());
}

/** Block steps behind the refit. */
async function taught(
  prepared: Graph,
  { replacements }: FittedPlan,
  data: CalibrationData,
  engine: Engine,
  count: number,
  hooks: JobHooks,
): Promise<FittedPlan["replacements"]> {
  const progress = stepsOf(hooks);
  const { signal } = hooks;
  const options = {
    ...{ steps: count, progress: progress.report },
    ...(signal ? { signal } : {}),
    ...(data.batch === undefined ? {} : { batch: data.batch, draws: data.batch }),
  };
  const { replacements: made } = await blockSteps(prepared, replacements, data.images, engine, options).finally(() =>
    progress.stop(),
  );
  return made;
}

const latencies = ({ latencies: folder }: CalibratedOptions) => (folder === undefined ? {} : { latencies: folder });

/** Of few images half as many: they are large. */
const fewImages = 32;

/** The loss on images that the factors were fitted to, about as many as are held out. */
async function lossOnFitted(
  given: Given,
  graph: Graph,
  { heldOut, all, images }: CalibrationData,
  options: CalibratedOptions,
  hooks: JobHooks,
): Promise<number | undefined> {
  if (heldOut === undefined) return undefined;
  const count = heldOut.count < fewImages ? Math.ceil(heldOut.count / 2) : heldOut.count;
  return (await compareOn(given, graph, all.part(0, Math.min(images.count, count)), options, hooks)).loss.mean;
}

function predictionText({ times }: CalibratedPlan, loss: number, predicted: number | undefined): string {
  const time = times && [`${times.first.predicted.toFixed(2)} ms, measured ${times.first.written.toFixed(2)} ms`];
  const lost = predicted !== undefined && [`a loss of ${predicted.toPrecision(3)}, measured ${loss.toPrecision(3)}`];
  return `predicted: ${[...(time || []), ...(lost || [])].join("; ") || "nothing"}`;
}

async function compareHeldOut(
  given: Given,
  file: Graph | string,
  data: CalibrationData,
  options: CalibratedOptions,
  hooks: JobHooks,
): Promise<CalibratedResult["compared"]> {
  const compared = await compareOn(given, file, data.heldOut ?? data.all, options, hooks);
  return { ...compared, fitted: data.heldOut === undefined };
}

async function compareOn(
  given: Given,
  file: Graph | string,
  feeds: ModelFeeds,
  { runtime, threads, output, loss }: CalibratedOptions,
  { progress, signal }: JobHooks,
): Promise<ComparedOnData> {
  const bar = progress?.("comparing", feeds.batches);
  const options: CompareOptions = {
    ...(runtime === undefined ? {} : { runtime }),
    ...(threads === undefined ? {} : { threads }),
    ...(output === undefined ? {} : { output }),
    ...(loss === undefined ? {} : { kind: loss }),
    ...(signal ? { signal } : {}),
    progress: (applied) => bar?.update(applied),
  };
  return compareOnData(given.file ?? given.graph, file, feeds, options).finally(() => bar?.stop());
}

function losesFunction({ loss, outputs, inputs }: ComparedOnData, most: number): FilterBasisError {
  return new FilterBasisError(
    "loses-function",
    `the result loses ${loss.mean.toPrecision(3)} of ${loss.output} (${loss.kind}) on ${inputs} images`,
    {
      field: "max-loss",
      expected: `at most ${most}`,
      got: loss.mean.toPrecision(3),
      cures: ["ask for less: a larger --keep-macs, a smaller --speedup", "give more images"],
      facts: { loss, outputs },
    },
  );
}

const nothingChosen = (budget: CalibratedBudget) =>
  new FilterBasisError("does-not-pay", "the plan leaves every layer as it is: there is nothing to write", {
    got: Object.entries(budget)
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
    cures: ["ask for more: a smaller --keep-macs or --keep-params, a larger --speedup"],
  });

/** @throws FilterBasisError `does-not-pay` */
function checkTimes(times: Times, { speedup, keepParams }: CalibratedBudget): void {
  const { original, written, ratio, verdict } = times;
  const facts = { times };
  if (speedup !== undefined && ratio * noise < speedup)
    throw new FilterBasisError("does-not-pay", "the written file is not as much faster as was asked for", {
      expected: `${speedup} x`,
      got: `${ratio.toFixed(2)} x (${original.toFixed(2)} ms -> ${written.toFixed(2)} ms)`,
      cures: [`--speedup ${Math.floor(100 * ratio) / 100}`],
      facts,
    });
  if (keepParams !== undefined || verdict !== "slower" || noise * ratio >= 1) return;
  throw new FilterBasisError("does-not-pay", "the written file would be slower than the original", {
    expected: `at most ${original.toFixed(2)} ms`,
    got: `${written.toFixed(2)} ms`,
    cures: ["give a budget in weights: --keep-params"],
    facts,
  });
}
