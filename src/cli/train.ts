// `train`: trains or fine-tunes by a recipe into a run folder, or resumes a run.
import { stat } from "node:fs/promises";
import { checkDataSource } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { checkOutputFolder } from "../runtime/output.js";
import { deviceForms } from "../torch/device.js";
import { parseDevice } from "../torch/index.js";
import { type Launch, readLaunch } from "../torch/launcher.js";
import type { JoinOptions } from "../train/join.js";
import type { EpochReport, LoopResult } from "../train/loop.js";
import type { Recipe } from "../train/recipe.js";
import { loadRecipe } from "../train/recipe-files.js";
import { readJson, runFiles } from "../train/run-folder.js";
import { trainInWorker } from "../train/worker-client.js";
import { type Context, command, type Outcome } from "./frame.js";
import { endWithParent, runTogether } from "./local-processes.js";
import { trainingProgress } from "./training-progress.js";
import { metricText, number, whole } from "./values.js";

export default command({
  name: "train",
  summary: "train or fine-tune by a recipe; writes a run folder",
  examples: ["train resnet20-cifar10 --set epochs=2 -o runs/short", "train runs/short --resume"],
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
    processes: { type: "string", description: "train in N processes of this machine together", valueHint: "N" },
    timeout: {
      type: "string",
      description: "of several processes: after so many seconds one that is gone or late is an error (default 120)",
      valueHint: "SECONDS",
    },
  },
  rules: [
    {
      option: "resume",
      excludes: ["set", "seed", "threads"],
      why: "a resumed run uses the recipe that it was started with",
    },
    { option: "resume", excludes: ["output"], why: "a resumed run stays in its folder" },
  ],
  async run(args, context) {
    const { recipe: name, output, resume, device } = args;
    const launch = readLaunch(process.env);
    const size = whole("--processes", args.processes, 1, 1024) ?? 1;
    if (launch !== undefined && size > 1)
      throw new FilterBasisError(
        "usage",
        `--processes starts processes, and ${launch.launcher} has started some already`,
      );
    const overrides = [...context.repeated("set"), ...fields(args)];
    const where = device === undefined ? undefined : parseDevice(device);
    if (where !== undefined) overrides.push(`device=${where}`);
    const recipe = resume === true ? ("resume" as const) : await loadRecipe(name, overrides);
    const folder = recipe === "resume" ? name : (output ?? `runs/${recipe.name}`);
    if (launch !== undefined && launch.rank > 0) return await trainBeside(folder, recipe, args, launch, context);
    if (recipe === "resume" && !(await stat(folder).catch(() => undefined))?.isDirectory()) {
      throw new FilterBasisError("not-found", "there is no such run folder", { file: folder });
    }
    await checkStart(folder, recipe);
    if (size > 1) {
      const words = ["train", name, "-o", folder, ...overrides.map((field) => `--set=${field}`)];
      const timeout = args.timeout === undefined ? [] : [`--timeout=${args.timeout}`];
      const own =
        recipe === "resume"
          ? ["train", name, "--resume", ...(where === undefined ? [] : [`--device=${where}`])]
          : words;
      return outcome((await runTogether([...own, ...timeout], size, context)) as Told);
    }
    if (launch !== undefined) endWithParent();
    const { hooks, epochs, stop } = trainingProgress(recipe === "resume" ? folder : recipe.name, context);
    try {
      const join = launch && (await joinOptions(launch, recipe, folder, args));
      const other = recipe === "resume" && where !== undefined ? { device: where } : {};
      const result = await trainInWorker(folder, recipe, { ...hooks, ...other }, context.signal, join);
      return outcome({ folder, ...result, epochs });
    } finally {
      stop();
    }
  },
});

interface Told extends LoopResult {
  readonly folder: string;
  readonly epochs: readonly EpochReport[];
}

type TrainArguments = Readonly<Record<"seed" | "threads" | "timeout" | "device", string | undefined>>;

const fields = (args: TrainArguments): readonly string[] =>
  (["seed", "threads"] as const).flatMap((field) => (args[field] === undefined ? [] : [`${field}=${args[field]}`]));

function outcome(told: Told): Outcome {
  const { folder, finished, best, seconds, metrics, globalStep } = told;
  const lines = [
    finished
      ? `finished after ${globalStep} steps, ${(seconds / 60).toFixed(1)} minutes`
      : `stopped after ${globalStep} steps; resume with: filterbasis train ${folder} --resume`,
    ...Object.entries(metrics ?? {}).map((metric) => `last epoch: ${metricText(...metric)}`),
    ...(best === null
      ? []
      : [`best epoch on the test data (not the result): ${best.epoch}, ${best.metric.toFixed(2)}`]),
    `run folder: ${folder}`,
  ];
  return { json: told, text: lines.join("\n") };
}

/** A process that is not the first of its group: it says nothing but how it failed. */
async function trainBeside(
  folder: string,
  recipe: Recipe | "resume",
  args: TrainArguments,
  launch: Launch,
  { signal }: Context,
): Promise<Outcome> {
  endWithParent();
  const join = await joinOptions(launch, recipe, folder, args);
  await trainInWorker(folder, recipe, {}, signal, join);
  return { json: {}, text: "", silent: true };
}

async function joinOptions(
  launch: Launch,
  recipe: Recipe | "resume",
  folder: string,
  { timeout, device }: TrainArguments,
): Promise<JoinOptions> {
  const told = recipe === "resume" ? await readJson<Pick<Recipe, "device">>(folder, runFiles.recipe) : recipe;
  const seconds = number("--timeout", timeout, 1, 86_400);
  const networkInterface = process.env.GLOO_SOCKET_IFNAME;
  return {
    launch,
    device: device ?? told?.device ?? "cpu",
    ...(seconds !== undefined && { timeout: 1000 * seconds }),
    ...(networkInterface && { networkInterface }),
  };
}

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
