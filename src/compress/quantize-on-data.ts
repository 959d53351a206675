// A model and images become a verified file in eight bits: float form, ranges, roundings by measured loss, layers that
// stay float, write, verify against the simulation, compare with the file that was given in turns and on images that
// nothing was fitted to.
import type { Engine } from "../calibrate/engine.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { FilterBasisError } from "../errors/error.js";
import { type ComparedOnData, compareOnData } from "../evaluate/compare-on-data.js";
import { conventionsOf } from "../evaluate/conventions.js";
import type { LossKind } from "../evaluate/loss.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { timeInTurns } from "../runtime/compare-times.js";
import { type Target, targets, thisTarget, weightFormatsFor } from "../runtime/eight-bits.js";
import { type Feeds, sampleFeeds } from "../runtime/index.js";
import { describeMachine } from "../runtime/machine.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { saveVerified } from "../runtime/save-verified.js";
import { simulationEngine } from "./best-engine.js";
import type { CalibrationData } from "./calibration-data.js";
import { floatForm, precisionKey } from "./eight-bits.js";
import { type Given, type JobHooks, type JobOptions, type Place, placeOf, stepsOf } from "./job.js";
import { losesFunction } from "./pays-on-data.js";
import { searchPrecision, type Trial } from "./precision-search.js";
import { type Times, timeNetworks } from "./time.js";
import { referenceOf, verifyExact } from "./verify.js";
import { type EightBitsVerified, verifyEightBits } from "./verify-eight-bits.js";

export const precisions = ["fp32", "int8", "auto"] as const;
export type Precision = (typeof precisions)[number];

export interface EightBitOptions extends Pick<JobOptions, "runtime" | "threads"> {
  /** `auto` takes the fastest of the float network and those in eight bits whose loss is within the limit. */
  readonly precision: Exclude<Precision, "fp32">;
  /** Where the file is to run. Default: this machine. */
  readonly target?: Target;
  /** A result that loses more than this beside the original is not written. Layers stay float to stay below it. */
  readonly maxLoss?: number;
  /** The output whose loss counts, and what it is. */
  readonly output?: string;
  readonly loss?: Exclude<LossKind, "decibels">;
  /** What the result is compared with, where that is not the model that is quantised. */
  readonly original?: Given;
  /** Who runs the simulation. Default: libtorch's interpreter where it is there. */
  readonly engine?: Engine;
}

export interface EightBitResult {
  readonly file: string;
  readonly graph: Graph;
  readonly precision: "int8" | "fp32";
  readonly target: Exclude<Target, "this">;
  /** How values were rounded, and what was lost on the images that it was chosen on. */
  readonly rounding: Trial["rounding"] & { readonly loss: number };
  /** Layers in eight bits, and those that stayed float with the reason. */
  readonly layers: readonly string[];
  readonly float: readonly { readonly name: string; readonly reason: string }[];
  readonly before: Cost;
  readonly after: Cost;
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  /** Undefined where the float network was chosen: it is the model that was given. */
  readonly verified: EightBitsVerified | undefined;
  readonly times: Times;
  readonly compared: ComparedOnData & { readonly fitted: boolean };
}

/** What eight bits may lose beside the float network where nothing is said. */
const usualLoss = 0.01;
/** Images on which roundings are compared; fewer where they are large. */
const chosenOn = { small: 32, large: 4, pixels: 1e5 } as const;
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
  const { original = given, maxLoss, engine = simulationEngine() } = options;
  const place = placeOf(options, data.inputs);
  const target = await targetOf(options);
  const float = floatForm(given.graph).graph;
  const trials = await trialsOf(given, float, data, target, options, hooks);
  const last = trials.at(-1)!;
  if (!last.outcomes.some(({ pass, applied }) => pass === "quantize" && applied)) throw nothingRuns(last);
  const trial = options.precision === "int8" ? last : await fastest(given, trials, place, options, hooks);
  const graph = trial === undefined ? given.graph : described(trial, target, data);
  const feeds = await feedsOf(data);
  const originalBytes = original.file === undefined ? undefined : await modelBytes(original.file);
  const before = cost(original.graph, data.inputs.shapes);
  const saved = await saveVerified(graph, output, async (file) => {
    const bytes = await modelBytes(file);
    if (!inPairs(original.graph)) checkBytes(originalBytes, bytes, trial);
    const verified = trial && (await verifyEightBits(file, graph, float, feeds, engine, sessionOf(options)));
    if (trial === undefined) await verifyExact(file, await referenceOf(given.file ?? given.graph, place));
    const compared = await compareHeldOut(original, file, data, options, hooks);
    if (maxLoss !== undefined && compared.loss.mean > maxLoss)
      throw losesFunction(compared, maxLoss, "--precision fp32, or a larger --max-loss");
    const times = await timeNetworks(original.file ?? original.graph, file, place, hooks);
    return { bytes, verified, compared, times };
  });
  const outcomes = (trial ?? last).outcomes.filter(({ pass }) => pass === "quantize");
  return {
    ...{ file: output, graph, target, before, times: saved.times, compared: saved.compared, verified: saved.verified },
    precision: trial === undefined ? "fp32" : "int8",
    rounding: { ...(trial ?? last).rounding, loss: (trial ?? last).loss },
    layers: outcomes.filter(({ applied }) => applied).map(({ layer }) => layer),
    float: outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => ({ name: layer, reason })),
    after: cost(graph, data.inputs.shapes),
    bytes: { original: originalBytes, written: saved.bytes },
  };
}

const sessionOf = ({ runtime, threads }: EightBitOptions) => ({
  ...(runtime === undefined ? {} : { runtime }),
  ...(threads === undefined ? {} : { threads }),
});

async function targetOf({ target = "this", ...options }: EightBitOptions): Promise<EightBitResult["target"]> {
  if (!targets.includes(target))
    throw new FilterBasisError("usage", "there is no such target", { expected: targets.join(", "), got: target });
  return target === "this" ? thisTarget(describeMachine(), sessionOf(options)) : target;
}

/** Trials on the images that ranges are taken of; their loss is that beside the float network. */
async function trialsOf(
  given: Given,
  float: Graph,
  data: CalibrationData,
  target: EightBitResult["target"],
  options: EightBitOptions,
  { signal, ...hooks }: JobHooks,
): Promise<readonly Trial[]> {
  const pixels = data.all.dims.slice(1).reduce((product, size) => product * size, 1);
  const most = pixels > chosenOn.pixels ? chosenOn.large : chosenOn.small;
  const feeds = data.all.part(0, Math.max(1, Math.min(most, data.images.count)));
  const { output, loss } = options;
  const compare = {
    ...sessionOf(options),
    ...(output === undefined ? {} : { output }),
    ...(loss === undefined ? {} : { kind: loss }),
    ...(signal ? { signal } : {}),
  };
  const lossOf = async (candidate: Graph): Promise<number> =>
    (await compareOnData(given.file ?? given.graph, candidate, feeds, compare)).loss.mean;
  const steps = stepsOf(hooks);
  const search = {
    weights: weightFormatsFor[target],
    limit: options.maxLoss ?? usualLoss,
    progress: steps.report,
    ...(signal ? { signal } : {}),
  };
  return searchPrecision(float, data.images, ortEngine(sessionOf(options)), lossOf, search).finally(() => steps.stop());
}

/** The fastest within the limit, in turns; undefined where that is the float network. */
async function fastest(
  given: Given,
  trials: readonly Trial[],
  { inputs, ...place }: Place,
  { maxLoss = usualLoss }: EightBitOptions,
  { signal }: JobHooks,
): Promise<Trial | undefined> {
  const within = [...new Set([trials[0]!, trials.at(-1)!])].filter(({ loss }) => loss <= maxLoss);
  if (within.length === 0) return undefined;
  const models = [
    { name: "float", model: given.file ?? given.graph },
    ...within.map(({ graph }, i) => ({ name: `int8 ${i}`, model: graph })),
  ];
  const timing = { ...place, ...(signal ? { signal } : {}) };
  const { ratios } = await timeInTurns(models, (ports) => sampleFeeds(ports, inputs), timing);
  const speeds = ratios.map(({ wall, processor }) => ((place.threads === 1 && processor) || wall).median);
  const best = Math.max(...speeds);
  // Of equals the one in eight bits is smaller.
  return best * 1.03 < 1 ? undefined : within[speeds.indexOf(best)];
}

function described({ graph, rounding }: Trial, target: string, data: CalibrationData): Graph {
  const text = JSON.stringify({ precision: "int8", target, ...rounding });
  return withMetadata(graph, { [precisionKey]: text, ...(data.all.images ? conventionsOf(data.all.how) : {}) });
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

function nothingRuns({ outcomes }: Trial): FilterBasisError {
  const reasons = outcomes.filter(({ applied }) => !applied).map(({ layer, reason }) => `${layer}: ${reason}`);
  return new FilterBasisError("unsupported", "no layer of the model can run in eight bits", {
    got: reasons.slice(0, 3).join("; ") || "it has no layer with a stored weight",
    cures: ["export --store int8 stores weights in eight bits and computes in floats"],
  });
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
