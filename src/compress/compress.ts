// The main job: a model and a wish become a verified file. plan -> apply -> (train) -> layouts -> write -> verify ->
// compare, always with the file that was given.
import type { Layout } from "../basis/layouts.js";
import { isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { chooseLayouts, layerLabel } from "../methods/layout.js";
import { readRecord } from "../methods/record.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { saveVerified } from "../runtime/save-verified.js";
import { type Given, type JobHooks, type JobOptions, placeOf } from "./job.js";
import { checkSize, isTooSlow, tooSlow } from "./pays.js";
import { type PlannedModel, planModel } from "./plan.js";
import { type Times, timeNetworks, timeTillSure } from "./time.js";
import { referenceOf, type Verified, verifyPrepared, verifyWritten } from "./verify.js";

/** What fine-tuning makes of a plan: the trained network, batch normalisation and all. */
export type Train<T> = (planned: PlannedModel) => Promise<{ readonly graph: Graph } & T>;

export interface Compressed<T = unknown> extends PlannedModel {
  readonly file: string;
  /** Counts of the written file. */
  readonly after: Cost;
  readonly verified: Verified;
  /** Milliseconds of the original file and of the written file, in turns. */
  readonly written: Times;
  readonly trained?: { readonly graph: Graph } & T;
}

/**
 * Compresses a model into a file. Nothing is written when anything fails.
 * @throws FilterBasisError as `planModel`; `verification-failed`; `does-not-pay` where a budget's result is larger than
 * the original file
 * @example
 * ```ts
 * import { compressModel, isError, loadModel } from "filterbasis";
 *
 * const given = { graph: await loadModel("model.onnx"), file: "model.onnx" };
 * try {
 *   const { before, after, written } = await compressModel(given, "small.onnx", { plan: { keepParams: 0.5 } });
 *   console.log(`${before.weights} -> ${after.weights} weights, ${written.original} -> ${written.written} ms`);
 * } catch (error) {
 *   if (!isError(error, "does-not-pay", "budget-unreachable")) throw error;
 *   console.log(error.message, error.cures); // nothing was written
 * }
 * ```
 */
export async function compressModel<T = unknown>(
  given: Given,
  output: string,
  options: JobOptions,
  hooks: JobHooks = {},
  train?: Train<T>,
): Promise<Compressed<T>> {
  // Training keeps batch normalisation: its plan is made for the network that is trained.
  const planned = await planModel(given, train === undefined ? options : { ...options, keepBatchNorm: true }, hooks);
  const trained = await train?.(planned);
  const graph = trained === undefined ? planned.graph : inLayouts(trained.graph, planned, options);
  const place = placeOf(options, planned.inputs);
  const reference = await referenceOf(given.file ?? given.graph, place);
  if (planned.prepared !== given.graph) await verifyPrepared(planned.prepared, reference);
  const check = (candidate: Graph) => async (file: string) => {
    const written = await modelBytes(file);
    checkSize(planned.bytes.original, written, options);
    const verified = await verifyWritten(candidate, file, reference);
    // Filters rebuilt at load are the original's convolutions: what a timing then finds is noise.
    const isSlow = (found: Times) => !isDense(candidate) && isTooSlow(found, options);
    const time = () => timeNetworks(given.file ?? given.graph, file, place, hooks);
    const times = await timeTillSure(time, isSlow);
    if (isSlow(times)) throw tooSlow(times);
    return { graph: candidate, verified, written, times };
  };
  const saved = await saveVerified(graph, output, check(graph)).catch((error: unknown) => {
    // In the dense layout a layer takes as long as the original's.
    const again =
      isError(error, "does-not-pay") && error.facts.times !== undefined && options.plan?.keepMacs === undefined;
    if (!again) throw error;
    const dense = chooseLayouts(() => "dense")(graph).graph;
    return saveVerified(dense, output, check(dense));
  });
  return {
    ...planned,
    graph: saved.graph,
    file: output,
    after: cost(saved.graph, planned.inputs.shapes),
    bytes: { ...planned.bytes, written: saved.written },
    verified: saved.verified,
    written: saved.times,
    ...(trained === undefined ? {} : { trained }),
  };
}

/**
 * Writes a network of the same plan beside the one that was written, such as what fine-tuning began with: in the same
 * layouts, verified. Gives it as it was written.
 * @throws FilterBasisError `verification-failed`
 */
export async function writeBeside(
  given: Given,
  { graph: written, inputs }: Pick<Compressed, "graph" | "inputs">,
  graph: Graph,
  output: string,
  options: JobOptions,
): Promise<Graph> {
  const alike = inLayouts(graph, { graph: written }, options);
  const reference = await referenceOf(given.file ?? given.graph, placeOf(options, inputs));
  await saveVerified(alike, output, (file) => verifyWritten(alike, file, reference));
  return alike;
}

/** A trained network with its batch normalisation folded and its layers as the plan has them. */
function inLayouts(
  graph: Graph,
  { graph: untrained }: Pick<PlannedModel, "graph">,
  { keepBatchNorm = false }: JobOptions,
): Graph {
  const folded = keepBatchNorm ? graph : foldBatchNorm(graph).graph;
  const layouts = new Map<string, Layout>(
    (readRecord(untrained)?.layers ?? []).map((layer) => [layerLabel(layer), layer.layout]),
  );
  return chooseLayouts((layer) => layouts.get(layerLabel(layer)) ?? layer.layout)(folded).graph;
}

/** Whether every compressed layer is rebuilt when the model is loaded, and not in every run. */
function isDense(graph: Graph): boolean {
  return (readRecord(graph)?.layers ?? []).every(({ layout }) => layout === "dense");
}
