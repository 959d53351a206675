// FineTuning as `compress` offers it: a recipe made of its options, run in a run folder, whose last model comes back.
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { checkDataSource } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { PlanOptions } from "../methods/plan-options.js";
import { loadModel } from "../runtime/files.js";
import { checkOutputFolder } from "../runtime/output.js";
import { engineInfo, requireDevice } from "../torch/index.js";
import { holdsTrained } from "../train/begin.js";
import { parseRecipe, type Recipe } from "../train/recipe.js";
import { runFiles } from "../train/run-folder.js";
import { trainInWorker } from "../train/worker-client.js";
import { type FineTuned, type FineTunedRun, keptIn } from "./fine-tuned-run.js";
import type { Context } from "./frame.js";
import type { OptionRule } from "./option-rules.js";
import { trainingProgress } from "./training-progress.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** The options of `compress` that ask for fine-tuning; without --data nothing is trained. */
export const fineTuningOptions = {
  data: text("calibrate on this; with --epochs, or --steps beside options of fine-tuning, fine-tune on it", "DATA"),
  epochs: text("epochs of fine-tuning on labels and the original's outputs", "N"),
  steps: text(
    "steps of each block by the original's outputs, without labels; beside options of fine-tuning its steps",
    "N",
  ),
  batch: text("images of a batch (default 128, super-resolution 16)", "N"),
  lr: text("learning rate (default: SGD 0.01; without batch norms Adam 0.0003, for super-resolution 0.0002)", "RATE"),
  gamma: text("weight of sum ||W - BA||^2 (Eq. 12; default 0)", "G"),
  distill: { type: "boolean" as const, description: "train on the original network's outputs alone, without labels" },
  normalize: text("what the classifier takes: cifar10, imagenet, none or m,m,m/s,s,s", "HOW"),
  scale: text("for super-resolution: 2, 3 or 4", "S"),
  "train-threads": text("threads of libtorch while fine-tuning", "N"),
  seed: text("the seed of everything random", "N"),
  run: text(
    "keep the run in this folder (default: a folder beside the output, removed once that is written)",
    "FOLDER",
  ),
};

/** Options of fine-tuning say nothing without data; and there is one way to say how long. */
export const fineTuningRules: readonly OptionRule[] = [
  ...Object.keys(fineTuningOptions)
    .filter((option) => option !== "data")
    .map((option) => ({ option, needs: ["data"], why: "without data nothing is trained" })),
  { oneOf: ["epochs", "steps"], why: "both say how long to fine-tune" },
];

/** Their values as citty hands them over. */
export type FineTuningArguments = {
  readonly [K in keyof typeof fineTuningOptions]?: (K extends "distill" ? boolean : string) | undefined;
} & { readonly output: string; readonly device?: string | undefined };

/**
 * What stands in the way of fine-tuning, as far as it can be known before the model is read: the data, libtorch, the
 * run's folder.
 * @throws FilterBasisError `not-found`, `engine-missing`, `io`
 */
export async function checkFineTuning({
  data,
  run,
  device,
}: Pick<FineTuningArguments, "data" | "run" | "device">): Promise<void> {
  if (data === undefined) return;
  await checkDataSource(data);
  engineInfo();
  if (device !== undefined) requireDevice(device);
  if (run !== undefined) await checkOutputFolder(run);
}

/**
 * Compresses by `options`, fine-tunes, and gives the trained model; undefined where no data was named. The method is
 * the recipe's. The run lies in the folder asked for, else in a new one beside the output, and stays there,
 * however it ends, where anything was trained.
 */
export async function fineTune(
  file: string,
  graph: Graph,
  method: string,
  options: PlanOptions,
  args: FineTuningArguments,
  context: Context,
): Promise<FineTunedRun | undefined> {
  if (args.data === undefined) {
    const idle = fineTuningRules.find(
      (rule) => "needs" in rule && args[rule.option as keyof FineTuningArguments] !== undefined,
    );
    if (idle !== undefined && "option" in idle)
      throw new FilterBasisError("usage", `--${idle.option} asks for fine-tuning, which needs --data`);
    return undefined;
  }
  const recipe = fineTuningRecipe(file, graph, method, options, args);
  const asked = args.run !== undefined;
  const folder = args.run ?? (await mkdtemp(`${args.output}.run-`).catch(cannotMake(args.output)));
  try {
    return { ...(await runRecipe(folder, recipe, context)), folder, asked };
  } catch (error) {
    if (await holdsTrained(folder)) throw keptIn(folder, args.output, error, context);
    if (!asked) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

const cannotMake =
  (output: string) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new FilterBasisError("io", "cannot make a folder for the run beside the output", {
      file: output,
      got: cause.code ?? cause.message,
      cures: ["name one: --run FOLDER"],
      cause,
    });
  };

/**
 * Runs a recipe with progress, and loads the model of its last epoch.
 * @throws FilterBasisError `interrupted` when it was stopped
 */
export async function runRecipe(folder: string, recipe: Recipe, context: Context): Promise<FineTuned> {
  const { hooks, epochs, stop } = trainingProgress("fine-tuning", context);
  try {
    const { finished, seconds } = await trainInWorker(folder, recipe, hooks, context.signal);
    if (!finished) {
      throw new FilterBasisError("interrupted", "stopped while fine-tuning", {
        cures: [`resume: filterbasis train ${folder} --resume`],
      });
    }
    return { graph: await loadModel(join(folder, runFiles.last)), epochs, seconds };
  } finally {
    stop();
  }
}

function fineTuningRecipe(
  file: string,
  graph: Graph,
  method: string,
  options: PlanOptions,
  args: FineTuningArguments,
): Recipe {
  const number = (name: keyof FineTuningArguments): number | undefined => {
    const given = args[name];
    if (given === undefined) return undefined;
    const value = Number(given);
    if (given !== "" && Number.isFinite(value)) return value;
    throw new FilterBasisError("usage", `--${name} takes a number`, { got: String(given) });
  };
  const [scale, lr] = [number("scale"), number("lr")];
  const images = graph.outputs[0]?.tensor?.dims?.length === 4;
  const data = images
    ? { name: "pairs", folder: args.data, scale, batch: number("batch") ?? 16 }
    : {
        ...(args.data === "cifar10" ? { name: "cifar10" } : { name: "folder", folder: args.data }),
        batch: number("batch") ?? 128,
        normalize: args.normalize ?? graph.metadata.get("filterbasis.normalize"),
      };
  const task = images ? "l1" : "cross-entropy";
  // Labelled images teach together with the original's soft targets; --distill leaves the labels out.
  const withLabels = images ? undefined : { weight: 0.5, temperature: 3 };
  const distill = args.distill ? { kind: images ? "l1" : "soft-targets" } : withLabels;
  const epochs = number("epochs");
  const norms = graph.nodes.some(({ op }) => op === "BatchNormalization");
  const warmup = args.steps === undefined ? 0.1 * Math.min(1, epochs ?? 1) : 0;
  return parseRecipe(
    prune({
      name: "compress",
      network: { file },
      compress: compressionOf(method, options),
      calibrate: 4,
      recalibrate: norms ? 50 : 0,
      data,
      loss: { task: args.distill ? "none" : task, gamma: number("gamma"), distill },
      optimizer: optimizerFor(images, norms, lr),
      schedule: { name: "cosine", per: "step", warmup },
      epochs,
      steps: number("steps"),
      seed: number("seed"),
      threads: number("train-threads"),
      device: args.device && requireDevice(args.device),
    }),
  );
}

/**
 * SGD's usual rate makes classifiers diverge whose batch norms are folded, as in most files that people ship: these get
 * Adam, and gradients that are cut (docs/fine-tuning.md says what was tried).
 */
function optimizerFor(images: boolean, norms: boolean, lr: number | undefined): object {
  if (images) return { name: "adam", lr: lr ?? 2e-4 };
  return norms ? { name: "sgd", lr: lr ?? 0.01, nesterov: true } : { name: "adam", lr: lr ?? 3e-4, clip: 1 };
}

/** A method and what it is asked for, as a recipe states them. */
export function compressionOf(method: string, { linear: _linear, inputs, ...options }: PlanOptions): object {
  return { method, ...options, ...(inputs === undefined ? {} : { inputs: Object.fromEntries(inputs) }) };
}

/** Without the fields that are undefined, so that the schema's defaults stand. */
function prune(value: object): object {
  return JSON.parse(JSON.stringify(value)) as object;
}
