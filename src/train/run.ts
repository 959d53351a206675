// A training as a run: a folder that says what was asked, remembers what was measured, survives any end, and holds the model that came out.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { engineInfo, generatorState, manualSeed, setGeneratorState, setThreads } from "../engine/index.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { saveModel } from "../runtime/files.js";
import { assemble, recipeGraph } from "./assemble.js";
import { readNewestCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { type EpochReport, type LoopResult, type LoopState, type StepReport, trainLoop } from "./loop.js";
import { parseRecipe, type Recipe } from "./recipe.js";
import { holdRun, openJournal, readJson, runFiles, writeJson } from "./run-folder.js";

/** What a run tells while it goes on. */
export interface RunHooks {
  onStep?(report: StepReport): void;
  onEpoch?(report: EpochReport): void;
  note?(text: string): void;
  stopping?(): boolean;
}

/** Conditions under which a number was measured. */
export interface Versions {
  readonly filterbasis: string;
  readonly commit: string | null;
  readonly node: string;
  readonly libtorch: string;
  readonly onnxruntime: string;
  readonly processor: string;
  readonly threads: number;
  readonly device: string;
}

/** Begins a run in a folder that holds none, or goes on with the one that is there. */
export async function runTraining(folder: string, recipe: Recipe | "resume", hooks: RunHooks = {}): Promise<LoopResult> {
  const letGo = await holdRun(folder);
  try {
    return await heldRun(folder, await settleRecipe(folder, recipe), hooks);
  } finally {
    await letGo();
  }
}

async function settleRecipe(folder: string, recipe: Recipe | "resume"): Promise<Recipe> {
  const there = await readJson<unknown>(folder, runFiles.recipe);
  if (recipe === "resume") {
    if (there === undefined)
      throw new FilterBasisError("not-found", "there is no run to go on with", { file: folder, expected: runFiles.recipe });
    return parseRecipe(there, join(folder, runFiles.recipe));
  }
  if (there !== undefined) {
    throw new FilterBasisError("usage", "the folder holds a run already", {
      file: folder,
      cures: ["go on with it: --resume", "choose another folder: -o"],
    });
  }
  await writeJson(folder, runFiles.recipe, recipe);
  return recipe;
}

async function heldRun(folder: string, recipe: Recipe, hooks: RunHooks): Promise<LoopResult> {
  const note = hooks.note ?? (() => {});
  if (recipe.threads !== undefined) setThreads(recipe.threads);
  manualSeed(recipe.seed);
  const checkpoints = join(folder, runFiles.checkpoints);
  const resume = await readNewestCheckpoint<LoopState>(checkpoints, note);
  const graph = await recipeGraph(recipe);
  if (resume === undefined) {
    await writeJson(folder, runFiles.run, { seed: recipe.seed, versions: await versions() });
    await saveModel(graph, join(folder, runFiles.original));
  }
  using training = await assemble(recipe, graph, note);
  const { learner } = training;
  const metrics = await openJournal(join(folder, runFiles.metrics), resume?.state.journals.metrics ?? 0);
  const model = (name: string): Promise<void> => saveModel(trained(learner.network.toGraph(), recipe), join(folder, name));
  try {
    const result = await trainLoop(
      learner,
      {
        source: training.source,
        schedule: recipe.schedule as never,
        rate: recipe.optimizer.lr,
        epochs: recipe.epochs,
        steps: recipe.steps,
        saveEverySteps: recipe.checkpoint.everySteps,
        merit: training.merit,
        generator: { get: generatorState, set: setGeneratorState },
      },
      {
        async onStep(report) {
          await metrics.append(`${JSON.stringify({ kind: "step", ...report })}\n`);
          hooks.onStep?.(report);
        },
        evaluate: () => training.evaluate(),
        async onEpoch(report) {
          await metrics.append(`${JSON.stringify({ kind: "epoch", ...report })}\n`);
          if (report.best) await model(runFiles.best);
          await model(runFiles.last);
          hooks.onEpoch?.(report);
        },
        async save(checkpoint) {
          const state: LoopState = { ...checkpoint.state, journals: { metrics: metrics.bytes } };
          await writeCheckpoint(checkpoints, { ...checkpoint, state }, recipe.checkpoint.keep);
        },
        stopping: () => hooks.stopping?.() ?? false,
        now: Date.now,
      },
      resume,
    );
    if (result.finished) await model(runFiles.last);
    return result;
  } finally {
    await metrics.close();
  }
}

/** The graph with what a user of the file must know in its metadata. */
function trained(graph: Graph, recipe: Recipe): Graph {
  return { ...graph, metadata: new Map([...graph.metadata, ["filterbasis.normalize", recipe.data.normalize]]) };
}

/** Versions and machine, for the record beside every number. */
export async function versions(): Promise<Versions> {
  const own = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const runtime = await import("onnxruntime-common").then(
    (module) => module.env.versions.common,
    () => "unknown",
  );
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const commit = await promisify(execFile)("git", ["rev-parse", "--short", "HEAD"], { cwd: root }).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
  const engine = engineInfo();
  return {
    filterbasis: own.version,
    commit,
    node: process.version,
    libtorch: engine.version,
    onnxruntime: runtime ?? "unknown",
    processor: cpus()[0]?.model ?? "unknown",
    threads: engine.threads,
    device: "cpu",
  };
}
