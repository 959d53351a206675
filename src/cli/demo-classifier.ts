// The demo's first half: the classifier that ships with the project is made faster by calibration alone, then
// fine-tuned for a while, then computed in eight bits. Each step is a file that was verified, evaluated on the test
// images, and timed in turns with the file that was there before.
import { join } from "node:path";
import { type CalibrationData, calibrationData } from "../compress/calibration-data.js";
import { compressOnData } from "../compress/compress-calibrated.js";
import type { Given } from "../compress/job.js";
import { quantizeOnData } from "../compress/quantize-on-data.js";
import { writeRewritten } from "../compress/rewrite.js";
import { timeNetworks } from "../compress/time.js";
import { openData } from "../data/table.js";
import { isError } from "../errors/error.js";
import { evaluateModel } from "../evaluate/evaluate.js";
import { largeLoss } from "../evaluate/loss.js";
import type { Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { loadModel } from "../runtime/files.js";
import { findInputs, type ModelInputs } from "../runtime/index.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { parseRecipe, type Recipe } from "../train/recipe.js";
import { type DemoFineTuning, fineTuningOf, type Row, type Threads, type Written } from "./demo-models.js";
import { runRecipe } from "./fine-tune.js";
import type { Context } from "./frame.js";
import { stepsFor } from "./speed.js";
import { given } from "./values.js";

export interface Classifier {
  /** Where models and the run are written. */
  readonly output: string;
  readonly file: string;
  readonly original: Graph;
  readonly normalize: string;
  /** The original's time divided by the result's. Default: `usualSpeedup`, or the fastest that loses little. */
  readonly speedup?: number;
  /** How long to fine-tune; 0: not at all. */
  readonly seconds: number;
  readonly threads: Threads;
}

/** What the shipped classifier reaches by calibration alone on most processors. */
export const usualSpeedup = 2.1;

/** A network of a millisecond gains little by several threads: one runs on each core. */
export const runtimeThreads = ({ threads }: Pick<Classifier, "threads">): { readonly threads: number } => ({
  threads: threads.threads ?? 1,
});

export interface ClassifierOutcome {
  readonly rows: readonly Row[];
  readonly fineTuning?: DemoFineTuning;
}

/** @throws FilterBasisError as `compressOnData` does, and what training throws */
export async function classifierHalf(half: Classifier, context: Context): Promise<ClassifierOutcome> {
  const { output, file, original, normalize, seconds } = half;
  const threads = runtimeThreads(half);
  const at = (label: string): string => join(output, `${label.replaceAll(" ", "-")}.onnx`);
  const source = { graph: original, file };
  const inputs = await findInputs(original);
  const data = await images(original, inputs, normalize, context);
  const { graph } = await compressed(half, source, at("compressed"), data, context);
  const files: Written[] = [
    { label: "original", file, graph: original },
    { label: "compressed", file: at("compressed"), graph },
  ];
  const tuned = seconds > 0 ? await fineTuned(half, at("compressed"), context) : undefined;
  if (tuned !== undefined) {
    // Against itself: that the file computes what was trained, and no longer what the original computes.
    await writeRewritten({ graph: tuned.graph }, tuned.graph, [], at("trained"), { ...threads, inputs }, context);
    files.push({ label: "trained", file: at("trained"), graph: tuned.graph });
  }
  const float = files.at(-1)!;
  const eight = {
    precision: "auto",
    original: source,
    notAlone: "its filters are the original's",
    ...threads,
  } as const;
  const {
    file: small,
    graph: quantized,
    ...made
  } = await quantizeOnData(float, at("eight bits"), data, eight, context);
  if (made.precision === "int8") files.push({ label: "eight bits", file: small, graph: quantized });
  else context.note("eight bits: no form was faster here within the loss allowed; the network stays in floats");
  return {
    rows: await evaluated(files, inputs, half, context),
    ...given("fineTuning", tuned && fineTuningOf(tuned, tuned.recipe)),
  };
}

/** At the speed-up that was asked for; at the usual one only where this machine reaches it and the function is kept. */
async function compressed(half: Classifier, source: Given, file: string, data: CalibrationData, context: Context) {
  const { speedup = usualSpeedup } = half;
  const threads = runtimeThreads(half);
  context.note(`compressing for ${speedup} x, calibrated on ${data.images.count} images without labels`);
  const limit = half.speedup === undefined ? { maxLoss: largeLoss.classes } : {};
  const asked = { budget: { speedup }, ...limit, ...threads };
  return compressOnData(source, file, data, asked, context).catch((error: unknown) => {
    const out = isError(error, "does-not-pay", "loses-function");
    if (half.speedup !== undefined || !out) throw error;
    context.note(`${error.message}; the fastest that loses little instead`);
    return compressOnData(source, file, data, { budget: {}, ...threads }, context);
  });
}

async function images(
  graph: Graph,
  inputs: ModelInputs,
  normalize: string,
  { note, signal }: Context,
): Promise<CalibrationData> {
  const data = await openData("cifar10", { note, signal });
  return calibrationData(graph, data, inputs, { normalize, seed: 1, note, signal });
}

/** Trains the compressed file on labels for as many steps as fit into the time. */
async function fineTuned({ output, normalize, seconds, threads }: Classifier, file: string, context: Context) {
  const recipe: Recipe = parseRecipe({
    ...{ name: "demo", network: { file }, ...threads },
    data: { name: "cifar10", batch: 128, normalize },
    loss: { task: "cross-entropy" },
    optimizer: { name: "sgd", lr: 0.001, nesterov: true, weightDecay: 5e-4 },
    schedule: { name: "cosine", per: "step", warmup: 0.1 },
  });
  context.note("measuring how fast this machine trains");
  const steps = await stepsFor(recipe, seconds, context);
  context.note(`fine-tuning for ${steps} steps of ${recipe.data.batch} images`);
  const folder = join(output, "run");
  const { graph, seconds: took } = await runRecipe(folder, { ...recipe, steps }, context);
  return { graph, seconds: took, steps, recipe };
}

/** The error of each file on the test images, and its milliseconds in turns with the first's. */
async function evaluated(
  files: readonly Written[],
  inputs: ModelInputs,
  half: Classifier,
  context: Context,
): Promise<readonly Row[]> {
  const { normalize } = half;
  const threads = runtimeThreads(half);
  const { note, progress, signal } = context;
  const rows: Row[] = [];
  for (const { label, file } of files) {
    const options = { data: "cifar10", normalize, latency: false, ...threads, note, progress, signal };
    const { top1Error } = await evaluateModel(file, options);
    const times =
      rows.length === 0 ? undefined : await timeNetworks(files[0]!.file, file, { ...threads, inputs }, context);
    const { weights, parameters, macs } = cost(await loadModel(file), inputs.shapes);
    const counted = { label, file, weights, parameters, macs, bytes: await modelBytes(file) };
    rows.push({ ...counted, ...given("top1Error", top1Error), ...given("latencyMs", times?.written) });
    // The first was timed with each of the others: the last counts.
    if (times !== undefined) rows[0] = { ...rows[0]!, latencyMs: times.original };
  }
  return rows;
}
