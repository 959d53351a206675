// One row of a comparison of methods: a method compresses a network to a budget, is calibrated and fine-tuned as all
// others are, and what came out is measured. A row lies in a folder of its own and goes on where it was stopped.
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "../compress/job.js";
import { type Times, timeNetworks } from "../compress/time.js";
import type { ImageData } from "../data/image-set.js";
import { type ErrorCode, FilterBasisError, isError } from "../errors/error.js";
import type { ModelFeeds } from "../evaluate/model-feeds.js";
import type { Graph } from "../graph/types.js";
import { type Counts, countsOf } from "../methods/counts.js";
import type { Method } from "../methods/method.js";
import { methodNamed, methodPass } from "../methods/methods.js";
import { appliedTo, optionsWithin } from "../methods/within-budget.js";
import { foldBatchNorm } from "../passes/fold-batch-norm.js";
import { loadModel, saveModel } from "../runtime/files.js";
import type { ModelInputs } from "../runtime/index.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { holdsTrained } from "../train/begin.js";
import { parseRecipe } from "../train/recipe.js";
import { readJson, runFiles, writeJson } from "../train/run-folder.js";
import { trainInWorker } from "../train/worker-client.js";
import type { Context } from "./frame.js";
import type { ComparisonRequest } from "./method-comparison.js";
import { type Quality, qualityOf } from "./method-quality.js";

export interface MethodRow extends Partial<Counts> {
  readonly method: string;
  readonly from: Method["from"];
  /** With which the method kept the budget. */
  readonly options?: object;
  /** As the method left it, after calibration, and after fine-tuning; absent where it did not come to that. */
  readonly compressed?: Quality;
  readonly calibrated?: Quality;
  readonly tuned?: Quality;
  /** Of the file. */
  readonly bytes?: number;
  readonly milliseconds?: Times;
  readonly layers?: { readonly applied: number; readonly skipped: number };
  readonly file?: string;
  /** Why the row ends where it does. */
  readonly reason?: string;
  readonly seconds: number;
}

/** What all rows share. */
export interface RowTask {
  readonly request: ComparisonRequest;
  /** The comparison's folder. */
  readonly folder: string;
  /** The file that was given, and the network that methods begin with, which lies in the folder. */
  readonly original: string;
  readonly network: string;
  readonly graph: Graph;
  readonly inputs: ModelInputs;
  readonly place: Place;
  /** Whether rows are timed. */
  readonly timed: boolean;
  readonly feeds: ModelFeeds;
  /** Images with labels, where the data has some and the network classifies. */
  readonly labelled: ImageData | undefined;
}

/** What has to do with the machine or with a mistake of the program: the next time the row is made again. */
const passing: readonly ErrorCode[] = [
  "io",
  "busy",
  "internal",
  "engine",
  "engine-missing",
  "runtime",
  "runtime-missing",
];

type Made = Omit<MethodRow, "seconds"> & { readonly code?: ErrorCode };

/** What a finished row is kept in. */
export const rowFile = "row.json";
const modelName = "model.onnx";

/** The row of a method that was finished before; undefined where there is none. */
export const finishedRow = (folder: string, method: string): Promise<MethodRow | undefined> =>
  readJson<MethodRow>(join(folder, method), rowFile);

/** Makes the row of a method, or takes it as it was finished. @throws FilterBasisError `interrupted` alone */
export async function methodRow(method: string, task: RowTask, context: Context): Promise<MethodRow> {
  const finished = await finishedRow(task.folder, method);
  if (finished !== undefined) return finished;
  const folder = join(task.folder, method);
  await mkdir(folder, { recursive: true });
  const started = Date.now();
  const made = await rowOf(method, folder, task, context);
  const { code, ...row } = made;
  const whole: MethodRow = { ...row, seconds: (Date.now() - started) / 1000 };
  if (code === undefined || !passing.includes(code)) await writeJson(folder, rowFile, whole);
  return whole;
}

async function rowOf(method: string, folder: string, task: RowTask, context: Context): Promise<Made> {
  const { graph, inputs } = task;
  let row: Made = { method, from: methodNamed(method).from };
  try {
    const options = await rowOptions(method, task, context);
    const { graph: compressed, outcomes } = appliedTo(graph, method, options);
    const applied = outcomes.filter((outcome) => outcome.applied).length;
    row = { ...row, options, ...countsOf(compressed, inputs.shapes) };
    row = { ...row, layers: { applied, skipped: outcomes.length - applied } };
    row = { ...row, compressed: await qualityOf(compressed, task, context) };
    const { graph: last, ...made } = await calibratedAndTuned(method, options, folder, task, context).catch(
      (error: unknown) => ({ graph: compressed, reason: `not calibrated: ${reasonOf(error)}` }),
    );
    return { ...row, ...made, ...(await written(last, folder, task, context)) };
  } catch (error) {
    if (context.signal.aborted || isError(error, "interrupted")) throw error;
    if (isError(error)) return { ...row, reason: error.message, code: error.code };
    context.note(`${method}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return { ...row, reason: `a bug of filterbasis: ${String(error)}`, code: "internal" };
  }
}

/** A step that cannot be done is told; a mistake of the program, or a wish to stop, is not swallowed. */
function reasonOf(error: unknown): string {
  if (!isError(error) || error.code === "interrupted" || error.code === "internal") throw error;
  return error.code === "non-finite" ? `${error.message}; a lower --lr may help` : error.message;
}

/** Most networks that are timed before a speed is reached. */
const trials = 6;

/** The options with which a method keeps the budget; for one in speed, the largest that was fast enough. */
async function rowOptions(method: string, task: RowTask, context: Context): Promise<object> {
  const { request, graph, inputs } = task;
  const { kind, value } = request.budget;
  if (kind !== "speedup") return optionsWithin(method, graph, { kind, keep: value }, inputs.shapes);
  let [low, high, best] = [0, 1, undefined as object | undefined];
  let keep = 1 / value;
  let fastest = 0;
  for (let trial = 0; trial < trials; trial++) {
    const speed = await speedAt(method, keep, task, context);
    fastest = Math.max(fastest, speed?.ratio ?? 0);
    // what the method cannot reach is too little, what is too slow is too much
    if (speed === undefined || speed.ratio >= value) low = keep;
    else high = keep;
    if (speed !== undefined && speed.ratio >= value) best = speed.options;
    keep = (low + high) / 2;
  }
  if (best !== undefined) return best;
  throw new FilterBasisError("does-not-pay", "no size of the method that was tried is as fast", {
    field: "speedup",
    expected: `${value} x`,
    got: `${fastest.toFixed(2)} x at most`,
  });
}

/** How fast a method's network is at a budget in multiply-accumulates; undefined where it cannot keep that. */
async function speedAt(method: string, keep: number, { graph, inputs, original, place }: RowTask, { signal }: Context) {
  try {
    const options = optionsWithin(method, graph, { kind: "keepMacs", keep }, inputs.shapes);
    const made = foldBatchNorm(methodPass(method, options)(graph).graph).graph;
    return { options, ratio: (await timeNetworks(original, made, place, { signal })).ratio };
  } catch (error) {
    if (isError(error, "budget-unreachable")) return undefined;
    throw error;
  }
}

/**
 * The run in the row's folder, which goes on where it was stopped: its model, and how good it was before and after.
 * Where the steps fail, the model is that which they began with.
 */
async function calibratedAndTuned(
  method: string,
  options: object,
  folder: string,
  task: RowTask,
  context: Context,
): Promise<{ readonly graph: Graph } & Pick<MethodRow, "calibrated" | "tuned" | "reason">> {
  const run = join(folder, "run");
  const begun = await holdsTrained(run);
  if (!begun) await rm(run, { recursive: true, force: true });
  const bar = context.progress(method, 1000);
  const hooks = {
    onStep: ({ globalStep, totalSteps }: { globalStep: number; totalSteps: number }) =>
      bar.update(Math.floor((1000 * globalStep) / totalSteps)),
    // which layers are skipped is in the run's log, and how many in the row
    note: (text: string) => (text.startsWith("skipped ") ? undefined : context.note(text)),
  };
  const recipe = begun ? ("resume" as const) : rowRecipe(method, options, task);
  const start = join(run, runFiles.start);
  const trained = await trainInWorker(run, recipe, hooks, context.signal)
    .catch((error: unknown) => {
      if (!existsSync(start)) throw error;
      return { reason: `not fine-tuned: ${reasonOf(error)}` };
    })
    .finally(() => bar.stop());
  if ("reason" in trained)
    return { graph: await loadModel(start), calibrated: await qualityOf(start, task, context), ...trained };
  const { finished, globalStep } = trained;
  if (!finished) throw new FilterBasisError("interrupted", "stopped while fine-tuning; the same command goes on");
  const calibrated = await qualityOf(start, task, context);
  const last = join(run, runFiles.last);
  const graph = await loadModel(last);
  return { graph, calibrated, ...(globalStep > 0 && { tuned: await qualityOf(last, task, context) }) };
}

/** The same for every method but the method itself. */
function rowRecipe(method: string, options: object, task: RowTask) {
  const { request, network, graph, labelled } = task;
  const { epochs, steps, lr, seed, threads, device, calibrate } = request;
  const single = graph.outputs.length === 1;
  const classifies = single && (graph.outputs[0]?.tensor?.dims?.length ?? 2) === 2;
  const labels = single && labelled !== undefined;
  const distill = classifies ? { kind: "soft-targets", weight: labels ? 0.5 : 1, temperature: 3 } : { kind: "mse" };
  const norms = graph.nodes.some(({ op }) => op === "BatchNormalization");
  return parseRecipe({
    name: `compare-${method}`,
    network: { file: network },
    compress: { method, ...options },
    calibrate,
    recalibrate: norms ? 50 : 0,
    data: rowData(task, labels),
    loss: { task: labels ? "cross-entropy" : "none", distill },
    optimizer: classifies ? { name: "sgd", lr: lr ?? 0.01, nesterov: true } : { name: "adam", lr: lr ?? 2e-4 },
    schedule: { name: "cosine", per: "step" },
    ...(epochs === undefined ? {} : { epochs }),
    ...(steps === undefined ? {} : { steps }),
    ...(threads === undefined ? {} : { threads }),
    ...(device === undefined ? {} : { device }),
    seed,
  });
}

/** Images go in as where the row is evaluated; as many at once as the network takes, where that is fixed. */
function rowData({ request, feeds }: RowTask, labels: boolean): object {
  const { how, lowResolution, oneByOne, each } = feeds;
  const { normalize, range, channels, fit } = how;
  const data = request.data === "cifar10" ? { name: "cifar10" } : { name: "folder", folder: request.data, range };
  const batch = oneByOne ? { batch: each, dropLast: each > 1 } : { batch: request.batch };
  return {
    ...{ ...data, ...batch, normalize },
    ...(labels ? {} : { labels: false, augment: false, channels, fit, ...(lowResolution && { lowResolution }) }),
  };
}

/** The file that a method comes to, norms folded: what it takes, and its time beside the original's. */
async function written(graph: Graph, folder: string, task: RowTask, context: Context) {
  const { original, place, inputs, timed } = task;
  const file = join(folder, modelName);
  const folded = foldBatchNorm(graph).graph;
  await saveModel(folded, file);
  const made = { file, ...countsOf(folded, inputs.shapes), bytes: await modelBytes(file) };
  return timed ? { ...made, milliseconds: await timeNetworks(original, file, place, context) } : made;
}
