// The main job with data: calibrate, plan by what is lost on images, fit, refit, write, verify against the network with
// the fitted filters, compare with the original file in turns and on images that nothing was fitted to.
import type { Layout } from "../basis/layouts.js";
import { type BlockOptions, blockSteps } from "../calibrate/block-steps.js";
import type { LayerResult } from "../calibrate/calibrated.js";
import type { Engine } from "../calibrate/engine.js";
import { withReplacements } from "../calibrate/replacement.js";
import { FilterBasisError } from "../errors/error.js";
import { conventionsOf } from "../evaluate/conventions.js";
import { usualLoss } from "../evaluate/loss.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { readRecord } from "../methods/record.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { modelBytes } from "../runtime/model-bytes.js";
import type { ReferenceSet } from "../runtime/reference.js";
import { saveVerified } from "../runtime/save-verified.js";
import { type Device, engineInfo } from "../torch/index.js";
import { bestEngine } from "./best-engine.js";
import type { CalibrationData } from "./calibration-data.js";
import {
  type ChosenPlan,
  calibratedJob,
  choosePlan,
  compareReported,
  fitPlanned,
  isNamed,
  lossOnFitted,
  type PlanOnDataOptions,
  type Reported,
} from "./choose-plan.js";
import { fastestLayouts } from "./fastest-layouts.js";
import { type FittedPlan, slowerPlan, type Tried } from "./fastest-within.js";
import { type Given, type JobHooks, stepsOf } from "./job.js";
import { checkSize } from "./pays.js";
import { checkBytes, checkLoss, nothingChosen, whyNotFast } from "./pays-on-data.js";
import { untilFast } from "./plan-again.js";
import type { CalibratedBudget, CalibratedJob, CalibratedPlan, Planner } from "./plan-calibrated.js";
import { untilKept } from "./plan-slower.js";
import { type Times, timeNetworks, timeTillSure } from "./time.js";
import { referenceOf, type Verified, verifyAgainst, verifyPrepared } from "./verify.js";
import { withReasons } from "./why-not.js";
import { writeChains } from "./write-chains.js";

export interface CalibratedOptions extends PlanOnDataOptions {
  readonly engine?: Engine;
  /** Where libtorch calibrates and takes steps. Default: the processor. */
  readonly device?: Device;
  /**
   * How layers over a basis are written. Default: the fastest for given sizes, `dense` for a budget in weights or
   * bytes, else `split`.
   */
  readonly layout?: Layout;
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
  /** What speed costs, and each layer's milliseconds before and after; empty where no times decided. */
  readonly curve: ReturnType<Planner["curve"]>;
  readonly layerTimes: ReturnType<Planner["layerTimes"]>;
  /** Plans that were tried where no budget said which. */
  readonly tried: readonly Tried[];
  /** On images held out, as far as there are some. */
  readonly compared: Reported;
  /** The loss on images that the factors were fitted to: what was to be expected of others. Absent without others. */
  readonly predictedLoss?: number;
}

/**
 * Compresses a model by data into a file, without labels. Nothing is written when anything fails.
 * @throws FilterBasisError `budget-unreachable`; `does-not-pay` (not faster though speed was asked for, slower,
 * larger); `loses-function` (above `maxLoss`); `verification-failed`
 * @example
 * ```ts
 * import { calibrationData, compressOnData, findInputs, loadModel, openData } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const images = { normalize: "imagenet" }; // how an image becomes an input
 * const data = await calibrationData(graph, await openData("photos"), await findInputs(graph), images);
 * const options = { budget: { keepParams: 0.5 } }; // or { speedup: 1.5 }: the measured times decide
 * const { before, after, compared } = await compressOnData({ graph, file: "model.onnx" }, "small.onnx", data, options);
 * console.log(`${before.weights} -> ${after.weights} weights, loss ${compared.loss.mean}`);
 * ```
 */
export async function compressOnData(
  given: Given,
  output: string,
  data: CalibrationData,
  options: CalibratedOptions,
  hooks: JobHooks = {},
): Promise<CalibratedResult> {
  const { steps = 0 } = options;
  const engine = options.engine ?? bestEngine(options.device);
  if (steps > 0 && engine.name !== "libtorch") engineInfo(); // says what is missing
  const job = calibratedJob(given, data, options, engine, hooks);
  const reference = await openReference(given, job);
  const chosen = await choosePlan(given, job, options);
  const { planner } = chosen;
  const planned = async (budget: CalibratedBudget): Promise<ChosenPlan> => {
    return { planner: planner!, images: chosen.images, plan: await planner!.plan(budget) };
  };
  const written = (next: ChosenPlan, isStrict = false) =>
    carryOut(given, output, { job, chosen: next, reference, isStrict }, options);
  const { note } = hooks;
  const isFree = options.sizes === undefined && !isNamed(options.budget);
  const made = isFree
    ? untilKept(chosen, {
        carryOut: written,
        slower: (last, lost, limit) => {
          const plan = planner && slowerPlan(planner, last.plan, lost.mean, limit);
          return plan && { planner, images: last.images, plan, ...(last.tried && { tried: last.tried }) };
        },
        ...{ isNamed: options.maxLoss !== undefined, note },
      })
    : untilFast(chosen, options.budget, { carryOut: written, plan: planned, note });
  return made.catch(async (error: unknown) => {
    throw await withReasons(error, given, planner, job.place, hooks);
  });
}

/** The original's outputs; what is planned computes the same. @throws FilterBasisError `verification-failed` */
export async function openReference(given: Given, { prepared, place }: CalibratedJob): Promise<ReferenceSet> {
  const reference = await referenceOf(given.file ?? given.graph, place);
  if (prepared !== given.graph) await verifyPrepared(prepared, reference);
  return reference;
}

export interface Decided {
  readonly job: CalibratedJob;
  readonly chosen: ChosenPlan;
  readonly reference: ReferenceSet;
  /** Whether a loss above the limit that nobody named is an error too. */
  readonly isStrict?: boolean;
}

/** What follows once a plan is chosen: factors, file, verification, comparison. @throws as `compressOnData` */
export async function carryOut(
  given: Given,
  output: string,
  { job, chosen, reference, isStrict = false }: Decided,
  options: CalibratedOptions,
): Promise<CalibratedResult> {
  const { budget, maxLoss, steps = 0, precision } = options;
  const { data, engine, hooks, prepared, before, place } = job;
  const { inputs } = data;
  const original = given.file === undefined ? undefined : await modelBytes(given.file);
  const { plan, planner, images } = chosen;
  if (steps > 0) checkSteps(plan);
  const fitted = chosen.fitted ?? (await fitPlanned(plan, job, images));
  checkChosen(plan, budget, hooks);
  const replacements = await taught(prepared, fitted, { ...data, images }, engine, options, hooks);
  const smaller = budget.keepParams !== undefined || budget.keepBytes !== undefined;
  const layout = options.layout ?? (smaller ? "dense" : "split");
  const made = writeChains(plan.calibration.graph, replacements, plan.chosen, layout).graph;
  const free = options.sizes !== undefined && options.layout === undefined && readRecord(made) !== undefined;
  const written = free ? (await fastestLayouts(made, { ...place, inputs, ...latencies(options) }, hooks)).graph : made;
  const graph = withMetadata(written, data.all.images ? conventionsOf(data.all.how) : {});
  const against = withReplacements(prepared, replacements);
  const predictedLoss = await lossOnFitted(given, graph, data, options, hooks);
  const evaluated = await saveVerified(graph, output, async (file) => {
    const bytes = await modelBytes(file);
    if (!isObeyed(options)) checkSize(original, bytes, {});
    if (budget.keepBytes !== undefined) checkBytes(budget.keepBytes, original, bytes);
    const verified = await verifyAgainst(against, graph, file, reference);
    const compared = await compareReported(given, file, data, options, hooks);
    const most = maxLoss ?? (isStrict ? usualLoss[compared.loss.kind] : undefined);
    if (most !== undefined) checkLoss(compared, most);
    // In another precision it has other times: who quantises it judges them.
    const unjudged = isObeyed(options) || (precision !== undefined && precision !== "fp32");
    const why = (found: Times) => (unjudged ? undefined : whyNotFast(found, budget));
    const time = () => timeNetworks(given.file ?? given.graph, file, place, hooks);
    const times = await timeTillSure(time, (found) => why(found) !== undefined);
    const problem = why(times);
    if (problem !== undefined) throw problem;
    return { verified, bytes, compared, times };
  });
  hooks.note?.(predictionText(plan, evaluated.compared.loss.mean, predictedLoss));
  return {
    ...(predictedLoss === undefined ? {} : { predictedLoss }),
    ...{ file: output, graph, before, plan, layers: fitted.layers, skipped: plan.calibration.skipped },
    curve: planner?.curve() ?? [],
    tried: chosen.tried ?? [],
    layerTimes: planner?.layerTimes(plan.chosen) ?? [],
    after: cost(graph, inputs.shapes),
    bytes: { original, written: evaluated.bytes },
    ...{ verified: evaluated.verified, times: evaluated.times, compared: evaluated.compared },
  };
}

/** What is folded alone may make a network faster by more than this. */
const foldedAlone = 1.03;

/** @throws FilterBasisError `does-not-pay` where a plan replaces nothing, and what was folded saves nothing either */
function checkChosen({ chosen, times }: CalibratedPlan, budget: CalibratedBudget, { note }: JobHooks): void {
  if (chosen.some(({ candidate }) => candidate.family !== "dense")) return;
  if (times === undefined || times.original < foldedAlone * times.written) throw nothingChosen(budget);
  note?.("no layer is replaced: folding batch norms and constants alone makes it as fast as was asked for");
}

/** Steps would part what splits share. @throws FilterBasisError `usage` */
function checkSteps({ chosen }: CalibratedPlan): void {
  const shared = chosen.find(({ candidate }) => candidate.family === "shared-bases");
  if (shared === undefined) return;
  throw new FilterBasisError("usage", "--steps are not for a basis that splits share", {
    layer: shared.layer.name,
    cures: ["one split: --splits 1", "fine-tune with labels: --epochs N"],
  });
}

const latencies = ({ latencies: folder }: CalibratedOptions) => (folder === undefined ? {} : { latencies: folder });

/** Sizes that were given are obeyed, as without data, and so is a layout where nobody asks for speed. */
const isObeyed = ({ sizes, layout, budget }: CalibratedOptions): boolean =>
  sizes !== undefined ||
  (layout !== undefined && [budget.keepMacs, budget.keepParams, budget.keepBytes].some((keep) => keep !== undefined));

/** Block steps behind the refit, where they are asked for. */
async function taught(
  prepared: Graph,
  { replacements }: FittedPlan,
  data: CalibrationData,
  engine: Engine,
  { steps = 0, device }: Pick<BlockOptions, "steps" | "device">,
  hooks: JobHooks,
): Promise<FittedPlan["replacements"]> {
  if (steps === 0) return replacements;
  const progress = stepsOf(hooks);
  const { signal } = hooks;
  const options = {
    ...{ steps, ...(device === undefined ? {} : { device }), progress: progress.report },
    ...(signal ? { signal } : {}),
    ...(data.batch === undefined ? {} : { batch: data.batch, draws: data.batch }),
  };
  const { replacements: made } = await blockSteps(prepared, replacements, data.images, engine, options).finally(() =>
    progress.stop(),
  );
  return made;
}

function predictionText({ times }: CalibratedPlan, loss: number, predicted: number | undefined): string {
  const time = times && [`${times.first.predicted.toFixed(2)} ms, measured ${times.first.written.toFixed(2)} ms`];
  const lost = predicted !== undefined && [`a loss of ${predicted.toPrecision(3)}, measured ${loss.toPrecision(3)}`];
  return `predicted: ${[...(time || []), ...(lost || [])].join("; ") || "nothing"}`;
}
