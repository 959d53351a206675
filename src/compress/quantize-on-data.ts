// A model and images become a verified file in eight bits: float form, ranges, roundings by measured loss, layers that
// stay float, write, verify against the simulation, compare with the file that was given in turns and on images that
// nothing was fitted to.
import type { Engine } from "../calibrate/engine.js";
import { FilterBasisError } from "../errors/error.js";
import { type ComparedOnData, compareOnData } from "../evaluate/compare-on-data.js";
import { conventionsOf } from "../evaluate/conventions.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { withPrecision } from "../methods/precision-record.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import type { Feeds } from "../runtime/index.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { saveVerified } from "../runtime/save-verified.js";
import { simulationEngine } from "./best-engine.js";
import type { CalibrationData } from "./calibration-data.js";
import { type Given, type JobHooks, placeOf } from "./job.js";
import { losesFunction, whyNotFast } from "./pays-on-data.js";
import type { CalibratedBudget } from "./plan-calibrated.js";
import { choosePrecision, type PrecisionChoice, type PrecisionOptions, sessionOf } from "./precision-choice.js";
import type { Trial } from "./precision-search.js";
import { type Times, timeNetworks, timeTillSure } from "./time.js";
import { referenceOf, verifyExact } from "./verify.js";
import { type EightBitsVerified, verifyEightBits } from "./verify-eight-bits.js";

export interface EightBitOptions extends PrecisionOptions {
  /** What the result is compared with, where that is not the model that is quantised. */
  readonly original?: Given;
  /** Where that is so and the precision is free: why the original in eight bits is not to be written by itself. */
  readonly notAlone?: string;
  /** What the result is to be for speed: with it, one that does not pay is not written. */
  readonly budget?: CalibratedBudget;
  /** Who runs the simulation. Default: libtorch's interpreter where it is there. */
  readonly engine?: Engine;
}

export interface EightBitResult {
  readonly file: string;
  readonly graph: Graph;
  readonly precision: "int8" | "fp32";
  readonly target: PrecisionChoice["target"];
  /** How values were rounded, and what was lost on the images that it was chosen on; absent in floats. */
  readonly rounding?: Trial["rounding"] & { readonly loss: number };
  /** Layers in eight bits, and those that stayed float with the reason. */
  readonly layers: PrecisionChoice["layers"];
  readonly float: PrecisionChoice["float"];
  /** Where the precision was free: all forms that were tried. */
  readonly contestants: PrecisionChoice["contestants"];
  /** What was written is the original in eight bits, not the network that was made of it. */
  readonly alone: boolean;
  readonly before: Cost;
  readonly after: Cost;
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  /** Undefined where the float network was chosen: it is the model that was given. */
  readonly verified: EightBitsVerified | undefined;
  readonly times: Times;
  readonly compared: ComparedOnData & { readonly fitted: boolean };
}

/** Inputs on which file and simulation are compared. */
const verifiedOn = 3;

/**
 * Quantises a model into a file: its layers compute in eight bits, with ranges that are measured on images. Nothing is
 * written when anything fails.
 * @throws FilterBasisError `unsupported` (no layer can run in eight bits, the opset cannot be raised),
 * `loses-function`, `does-not-pay` (larger than the original), `verification-failed`
 * @example
 * ```ts
 * import { calibrationData, findInputs, loadModel, openData, quantizeOnData } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const data = await calibrationData(graph, await openData("photos"), await findInputs(graph), { images: 64 });
 * const { layers, times } = await quantizeOnData({ graph }, "int8.onnx", data, { precision: "int8" });
 * console.log(`${layers.length} layers in eight bits, ${times.original} -> ${times.written} ms`);
 * ```
 */
export async function quantizeOnData(
  given: Given,
  output: string,
  data: CalibrationData,
  options: EightBitOptions,
  hooks: JobHooks = {},
): Promise<EightBitResult> {
  const { original = given, maxLoss, budget, notAlone, engine = simulationEngine() } = options;
  const place = placeOf(options, data.inputs);
  const alone =
    original === given ? undefined : { original, ...(notAlone === undefined ? {} : { excluded: notAlone }) };
  const choice = await choosePrecision(given, data, options, alone, hooks);
  const { trial, float, given: source } = choice.chosen;
  const graph = trial === undefined ? source.graph : described(trial, choice, data);
  const feeds = await feedsOf(data);
  const originalBytes = original.file === undefined ? undefined : await modelBytes(original.file);
  const before = cost(original.graph, data.inputs.shapes);
  const saved = await saveVerified(graph, output, async (file) => {
    const bytes = await modelBytes(file);
    if (!inPairs(original.graph)) checkBytes(originalBytes, bytes, trial);
    const verified = trial && (await verifyEightBits(file, graph, float.graph, feeds, engine, sessionOf(options)));
    if (trial === undefined) await verifyExact(file, await referenceOf(source.file ?? source.graph, place));
    const compared = await compareHeldOut(original, file, data, options, hooks);
    if (maxLoss !== undefined && compared.loss.mean > maxLoss)
      throw losesFunction(compared, maxLoss, "--precision fp32, or a larger --max-loss");
    const why = (found: Times) => budget && whyNotFast(found, budget);
    const time = () => timeNetworks(original.file ?? original.graph, file, place, hooks);
    const times = await timeTillSure(time, (found) => why(found) !== undefined);
    const problem = why(times);
    if (problem !== undefined) throw problem;
    return { bytes, verified, compared, times };
  });
  const { target, layers, float: inFloats, contestants } = choice;
  return {
    ...{ file: output, graph, target, before, times: saved.times, compared: saved.compared, verified: saved.verified },
    precision: trial === undefined ? "fp32" : "int8",
    ...(trial === undefined ? {} : { rounding: { ...trial.rounding, loss: trial.loss } }),
    ...{ layers, float: inFloats, contestants, alone: alone !== undefined && source === original },
    after: cost(graph, data.inputs.shapes),
    bytes: { original: originalBytes, written: saved.bytes },
  };
}

function described({ graph, rounding }: Trial, { target, chosen }: PrecisionChoice, data: CalibrationData): Graph {
  const { graph: float, chains, lost } = chosen.float;
  const recorded = withPrecision(graph, { target, ...rounding }, float, chains, lost);
  return withMetadata(recorded, data.all.images ? conventionsOf(data.all.how) : {});
}

async function feedsOf({ heldOut, all }: CalibrationData): Promise<readonly Feeds[]> {
  const from = heldOut ?? all;
  const feeds: Feeds[] = [];
  for (let i = 0; i < Math.min(verifiedOn, from.batches); i++) feeds.push(await from.feeds(i));
  return feeds;
}

/** A model in eight bits that is quantised anew is about as large as it was. */
const inPairs = ({ nodes }: Graph): boolean => nodes.some(({ op, domain }) => op === "QuantizeLinear" && domain === "");

function checkBytes(original: number | undefined, written: number, trial: Trial | undefined): void {
  if (trial === undefined || original === undefined || written <= original) return;
  throw new FilterBasisError(
    "does-not-pay",
    "the written file would be larger than the original: its few weights are less than what describes their rounding",
    { expected: `at most ${original} bytes`, got: `${written} bytes`, facts: { bytes: { original, written } } },
  );
}

async function compareHeldOut(
  original: Given,
  file: string,
  data: CalibrationData,
  { output, loss, ...options }: EightBitOptions,
  { progress, signal }: JobHooks,
): Promise<EightBitResult["compared"]> {
  const feeds = data.heldOut ?? data.all;
  const bar = progress?.("comparing", feeds.batches);
  const compared = await compareOnData(original.file ?? original.graph, file, feeds, {
    ...sessionOf(options),
    ...(output === undefined ? {} : { output }),
    ...(loss === undefined ? {} : { kind: loss }),
    ...(signal ? { signal } : {}),
    progress: (applied) => bar?.update(applied),
  }).finally(() => bar?.stop());
  return { ...compared, fitted: data.heldOut === undefined };
}
