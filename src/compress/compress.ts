// The main job: a model and a wish become a verified file. plan -> apply -> (train) -> layouts -> write -> verify -> compare,
// always with the file that was given.
import type { Form } from "../basis/forms.js";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { chooseForms, siteLabel } from "../methods/form.js";
import { readRecord } from "../methods/record.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { saveVerified } from "../runtime/save-verified.js";
import { type Given, type JobHooks, type JobOptions, placeOf } from "./job.js";
import { type PlannedModel, planModel } from "./plan.js";
import { type Times, timeNetworks } from "./time.js";
import { referenceOf, type Verified, verifyPrepared, verifyWritten } from "./verify.js";

/** What fine-tuning makes of a plan: the trained network, batch normalisation and all. */
export type Train<T> = (planned: PlannedModel) => Promise<{ readonly graph: Graph } & T>;

export interface Compressed<T = unknown> extends PlannedModel {
  readonly file: string;
  /** Counts of the written file, and bytes of both files. */
  readonly after: Cost;
  readonly bytes: { readonly original: number | undefined; readonly written: number };
  readonly verified: Verified;
  /** Milliseconds of the original file and of the written file, in turns. */
  readonly written: Times;
  readonly trained?: { readonly graph: Graph } & T;
}

/**
 * Compresses a model into a file. Nothing is written when anything fails.
 * @throws FilterBasisError as `planModel`; `verification-failed`; `does-not-pay` where a budget's result is larger than the original file
 */
export async function compressModel<T = unknown>(
  given: Given,
  output: string,
  options: JobOptions,
  hooks: JobHooks = {},
  train?: Train<T>,
): Promise<Compressed<T>> {
  // Training keeps batch normalisation: its plan is made for the network that is trained.
  const planned = await planModel(given.graph, train === undefined ? options : { ...options, keepBatchNorm: true }, hooks);
  const trained = await train?.(planned);
  const graph = trained === undefined ? planned.graph : inLayouts(trained.graph, planned, options);
  const place = placeOf(options, planned.inputs);
  const reference = await referenceOf(given.file ?? given.graph, place);
  if (planned.prepared !== given.graph) await verifyPrepared(planned.prepared, reference);
  const original = given.file === undefined ? undefined : await modelBytes(given.file);
  const judge = (candidate: Graph) => async (file: string) => {
    const written = await modelBytes(file);
    checkSize(original, written, options);
    const verified = await verifyWritten(candidate, file, reference);
    const times = await timeNetworks(given.file ?? given.graph, file, place, hooks);
    // Filters rebuilt at load are the original's convolutions: what a timing then finds is noise.
    if (!isDense(candidate)) checkSpeed(times, options);
    return { graph: candidate, verified, written, times };
  };
  const judged = await saveVerified(graph, output, judge(graph)).catch((error: unknown) => {
    // In the dense layout a layer takes as long as the original's.
    const again = isError(error, "does-not-pay") && error.facts.times !== undefined && options.plan?.keepMacs === undefined;
    if (!again) throw error;
    const dense = chooseForms(() => "dense")(graph).graph;
    return saveVerified(dense, output, judge(dense));
  });
  return {
    ...planned,
    graph: judged.graph,
    file: output,
    after: cost(judged.graph, planned.inputs.shapes),
    bytes: { original, written: judged.written },
    verified: judged.verified,
    written: judged.times,
    ...(trained === undefined ? {} : { trained }),
  };
}

/** A trained network with its batch normalisation folded and its layers as the plan has them. */
function inLayouts(graph: Graph, { graph: untrained }: PlannedModel, { keepBatchNorm = false }: JobOptions): Graph {
  const folded = keepBatchNorm ? graph : foldBatchNorm(graph).graph;
  const layouts = new Map<string, Form>((readRecord(untrained)?.sites ?? []).map((site) => [siteLabel(site), site.form]));
  return chooseForms((site) => layouts.get(siteLabel(site)) ?? site.form)(folded).graph;
}

/** A budget is asked for to get a better file; sizes and layouts that were given are obeyed. */
function isObeyed({ plan = {}, layout = "auto" }: JobOptions): boolean {
  const sizes = plan.basis !== undefined || Object.values(plan.layers ?? {}).some(({ basis }) => basis !== undefined);
  return sizes || layout !== "auto";
}

/** Whether every compressed layer is rebuilt when the model is loaded, and not in every run. */
function isDense(graph: Graph): boolean {
  return (readRecord(graph)?.sites ?? []).every(({ form }) => form === "dense");
}

function checkSize(original: number | undefined, written: number, options: JobOptions): void {
  if (isObeyed(options) || original === undefined || written <= original) return;
  throw new FilterBasisError(
    "does-not-pay",
    "the written file would be larger than the original: its few weights are less than what describes them",
    { expected: `at most ${original} bytes`, got: `${written} bytes`, facts: { bytes: { original, written } } },
  );
}

/** What a written file may be slower than the original by. */
const slowest = 1.03;

function checkSpeed(times: Times, options: JobOptions): void {
  if (isObeyed(options) || times.verdict !== "slower" || slowest * times.ratio >= 1) return;
  throw new FilterBasisError("does-not-pay", "the written file would be slower than the original", {
    expected: `at most ${times.original.toFixed(2)} ms`,
    got: `${times.written.toFixed(2)} ms`,
    cures: ["give a budget in weights: --keep-params", "give sizes, which are obeyed: --basis M"],
    facts: { times },
  });
}
