// `train`: trains or fine-tunes by a recipe into a run folder, or resumes a run.
import { stat } from "node:fs/promises";
import { checkDataSource } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { checkOutputFolder } from "../runtime/output.js";
import { deviceForms } from "../torch/device.js";
import { parseDevice } from "../torch/index.js";
import type { Recipe } from "../train/recipe.js";
import { loadRecipe } from "../train/recipe-files.js";
import { trainInWorker } from "../train/worker-client.js";
import { command } from "./frame.js";
import { trainingProgress } from "./training-progress.js";
import { metricText } from "./values.js";

export default command({
  name: "train",
  summary: "train or fine-tune by a recipe; writes a run folder",
  args: {
    recipe: {
      type: "positional",
      description: "a recipe's file or name; with --resume, the run folder",
      required: true,
    },
    output: { type: "string", alias: "o", description: "the run folder; by default runs/NAME", valueHint: "FOLDER" },
    set: {
      type: "string",
      description: "a field of the recipe, such as optimizer.lr=0.05; may be repeated",
      valueHint: "FIELD=VALUE",
    },
    resume: { type: "boolean", description: "resume the run in this folder" },
    seed: { type: "string", description: "the seed of everything random", valueHint: "N" },
    threads: {
      type: "string",
      description: "the most threads of each kind: that compute, that load data",
      valueHint: "N",
    },
    device: { type: "string", description: `device to train on: ${deviceForms}`, valueHint: "DEVICE" },
  },
  rules: [
    {
      option: "resume",
      excludes: ["set", "seed", "threads"],
      why: "a resumed run uses the recipe that it was started with",
    },
    { option: "resume", excludes: ["output"], why: "a resumed run stays in its folder" },
  ],
  async run({ recipe: name, output, resume, seed, threads, device }, context) {
    const number = (field: string, value: string | undefined): string[] =>
      value === undefined ? [] : [`${field}=${value}`];
    const overrides = [...context.repeated("set"), ...number("seed", seed), ...number("threads", threads)];
    const where = device === undefined ? undefined : parseDevice(device);
    if (where !== undefined) overrides.push(`device=${where}`);
    const recipe = resume === true ? ("resume" as const) : await loadRecipe(name, overrides);
    const folder = recipe === "resume" ? name : (output ?? `runs/${recipe.name}`);
    if (recipe === "resume" && !(await stat(folder).catch(() => undefined))?.isDirectory()) {
      throw new FilterBasisError("not-found", "there is no such run folder", { file: folder });
    }
    await checkStart(folder, recipe);
    const { hooks, epochs, stop } = trainingProgress(recipe === "resume" ? folder : recipe.name, context);
    try {
      const other = recipe === "resume" && where !== undefined ? { device: where } : {};
      const result = await trainInWorker(folder, recipe, { ...hooks, ...other }, context.signal);
      const { finished, best, seconds, metrics } = result;
      const lines = [
        finished
          ? `finished after ${result.globalStep} steps, ${(seconds / 60).toFixed(1)} minutes`
          : `stopped after ${result.globalStep} steps; resume with: filterbasis train ${folder} --resume`,
        ...Object.entries(metrics ?? {}).map((metric) => `last epoch: ${metricText(...metric)}`),
        ...(best === null
          ? []
          : [`best epoch on the test data (not the result): ${best.epoch}, ${best.metric.toFixed(2)}`]),
        `run folder: ${folder}`,
      ];
      return { json: { folder, ...result, epochs }, text: lines.join("\n") };
    } finally {
      stop();
    }
  },
});

/**
 * What can be known before anything is read: the data, and room for the run's models and checkpoints (weights
 * and what the optimiser keeps).
 */
async function checkStart(folder: string, recipe: Recipe | "resume"): Promise<void> {
  if (recipe === "resume") return checkOutputFolder(folder);
  const { data, network, checkpoint } = recipe;
  for (const source of [data.folder, data.test]) if (source !== undefined) await checkDataSource(source);
  const bytes = network.file === undefined ? 0 : await modelBytes(network.file);
  await checkOutputFolder(folder, { bytes: bytes * (2 + 3 * (checkpoint.keep + 1)) });
}
