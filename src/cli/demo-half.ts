// What both halves of the demo do with their network: the chain of `compress`, with fine-tuning for a while in between
// where that can be.
import { join } from "node:path";
import { compressModel, writeBeside } from "../compress/compress.js";
import type { JobOptions } from "../compress/job.js";
import type { PlannedModel } from "../compress/plan.js";
import type { Graph } from "../graph/types.js";
import { planAsOptions } from "../methods/plan.js";
import { loadModel, saveModel } from "../runtime/files.js";
import { parseRecipe, type Recipe } from "../train/recipe.js";
import { runFiles } from "../train/run-folder.js";
import { type DemoFineTuning, fineTuningOf, type Written } from "./demo-models.js";
import { compressionOf, runRecipe } from "./fine-tune.js";
import { type FineTunedRun, keepFineTuned } from "./fine-tuned-run.js";
import type { Context } from "./frame.js";
import { stepsFor } from "./speed.js";

export interface Half {
  /** Where models and the run are written. */
  readonly output: string;
  readonly file: string;
  readonly original: Graph;
  /** Budget, threads and inputs, as `compress` takes them. */
  readonly job: JobOptions;
  /** The recipe of the fine-tuning but for its network, compression and length; none where nothing can be trained. */
  readonly recipe?: object;
  /** How long to fine-tune. */
  readonly seconds: number;
}

export interface CompressedHalf {
  /** original, compressed and, where it was fine-tuned, trained. */
  readonly files: readonly Written[];
  readonly fineTuning?: DemoFineTuning;
}

/** @throws FilterBasisError as `compressModel` does, and what training throws */
export async function compressHalf(half: Half, context: Context): Promise<CompressedHalf> {
  const { output, file, original, job } = half;
  const at = (label: string): string => join(output, `${label}.onnx`);
  const given = { graph: original, file };
  let run: TrainedHalf | undefined;
  const train = async (planned: PlannedModel) => {
    run = await fineTuneFor(half, planned, context);
    return run;
  };
  const last = half.recipe === undefined ? "compressed" : "trained";
  const result = await keepFineTuned(
    () => run,
    at(last),
    context,
    () => compressModel<TrainedHalf>(given, at(last), job, context, half.recipe && train),
  );
  // The original as it was given: what is faster or smaller is so beside that file.
  await saveModel(original, at("original"));
  const files: Written[] = [{ label: "original", file: at("original"), graph: original }];
  if (run !== undefined) {
    const start = await loadModel(join(run.folder, runFiles.start));
    const graph = await writeBeside(given, result, start, at("compressed"), job);
    files.push({ label: "compressed", file: at("compressed"), graph });
  }
  files.push({ label: last, file: at(last), graph: result.graph });
  return { files, ...(run === undefined ? {} : { fineTuning: fineTuningOf(run, run.recipe) }) };
}

interface TrainedHalf extends FineTunedRun {
  readonly steps: number;
  readonly recipe: Recipe;
}

/** Trains what was planned, for as many steps as fit into the time. */
async function fineTuneFor(half: Half, { plan, inputs }: PlannedModel, context: Context): Promise<TrainedHalf> {
  const { output, file, job, seconds } = half;
  const recipe = parseRecipe({
    ...half.recipe,
    network: { file },
    compress: compressionOf("basis", planAsOptions(plan, { inputs: inputs.shapes })),
    ...(job.threads === undefined ? {} : { threads: job.threads }),
  });
  context.note("measuring how fast this machine trains");
  const steps = await stepsFor(recipe, seconds, context);
  context.note(`fine-tuning for ${steps} steps of ${recipe.data.batch} images`);
  const folder = join(output, "run");
  return { ...(await runRecipe(folder, { ...recipe, steps }, context)), folder, asked: true, steps, recipe };
}
