// A training as a run: a folder that says what was asked, remembers what was measured, survives any end, and holds the
// model that came out.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startNetwork } from "../compress/start.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { loadModel, saveModel } from "../runtime/files.js";
import {
  checkPrecision,
  type Device,
  engineInfo,
  generatorState,
  manualSeed,
  requireDevice,
  setGeneratorState,
  setSwitch,
  setThreads,
} from "../torch/index.js";
import { assemble, recipeGraph, type Training } from "./assemble.js";
import { beginRun } from "./begin.js";
import { type Checkpoint, readNewestCheckpoint, writeCheckpoint } from "./checkpoint.js";
import { knowledgeOf } from "./knowledge.js";
import {
  type EpochReport,
  type LoopOptions,
  type LoopResult,
  type LoopState,
  type StepReport,
  trainLoop,
} from "./loop.js";
import { recalibrate } from "./recalibrate.js";
import type { Recipe } from "./recipe.js";
import { appendLog, holdRun, openJournal, runFiles, writeJson } from "./run-folder.js";
import type { BatchSource } from "./sources.js";
import { openEventFile } from "./tensorboard.js";

/** What a run tells while it goes on. */
export interface RunHooks {
  onStep?(report: StepReport): void;
  onEpoch?(report: EpochReport): void;
  note?(text: string): void;
  stopping?(): boolean;
  /** Where a run goes on, instead of where it began. */
  readonly device?: string;
}

/** Conditions under which a number was measured. */
interface Versions {
  readonly filterbasis: string;
  readonly commit: string | null;
  readonly node: string;
  readonly libtorch: string;
  readonly onnxruntime: string;
  readonly processor: string;
  readonly threads: number;
  readonly device: string;
}

/** Begins a run in a folder that holds none (or one that never came to a step), or resumes the one that is there. */
export async function runTraining(
  folder: string,
  recipe: Recipe | "resume",
  hooks: RunHooks = {},
): Promise<LoopResult> {
  const release = await holdRun(folder);
  try {
    const asked = await beginRun(folder, recipe);
    const settled = { ...asked, device: requireDevice(hooks.device ?? asked.device) };
    checkPrecision(settled.precision, settled.device);
    useDevice(settled);
    return await heldRun(folder, settled, hooks).catch((error: unknown) => {
      logFailure(folder, error);
      throw error;
    });
  } finally {
    await release();
  }
}

/** The switches of the process that a recipe's device asks for. */
function useDevice({ device, deterministic }: Recipe): void {
  if (device === "cpu") return;
  setSwitch("deterministic", deterministic);
  setSwitch("cudnnBenchmark", !deterministic);
}

/** On a full disk the log cannot take it either; what is told then is the failure itself. */
function logFailure(folder: string, error: unknown): void {
  try {
    appendLog(folder, `failed: ${error instanceof Error ? error.message : String(error)}`);
  } catch {}
}

async function heldRun(folder: string, recipe: Recipe, hooks: RunHooks): Promise<LoopResult> {
  const log = (text: string): void => appendLog(folder, text);
  const note = (text: string): void => {
    log(text);
    hooks.note?.(text);
  };
  const device = requireDevice(recipe.device);
  if (recipe.threads !== undefined) setThreads(recipe.threads);
  manualSeed(recipe.seed);
  const resume = await readNewestCheckpoint<LoopState>(join(folder, runFiles.checkpoints), note);
  const graph = await recipeGraph(recipe);
  if (resume === undefined) {
    await writeJson(folder, runFiles.run, { seed: recipe.seed, versions: await versions(device) });
    await saveModel(graph, join(folder, runFiles.original));
  }
  if (resume !== undefined) log(`resumed at step ${resume.step}`);
  /** Until the first step there is nothing to save. */
  const throwIfAborted = (): void => {
    if (hooks.stopping?.())
      throw new FilterBasisError("interrupted", "stopped before the first step; run the same command to start again");
  };
  const begun = resume !== undefined && recipe.compress !== undefined && recipe.calibrate > 0;
  using training = await assemble(
    recipe,
    graph,
    // What layers see need not come out to the last bit again: a run that goes on takes the network that it began with.
    (network, source) =>
      begun
        ? loadModel(join(folder, runFiles.start))
        : compressFor(recipe, graph, network, abortable(source, throwIfAborted), note),
    note,
  );
  if (resume === undefined) await beforeFirstStep(folder, recipe, training, throwIfAborted);
  return await trainHeld(folder, recipe, training, resume, hooks);
}

/** Sets the statistics of batch norms anew, and keeps what a compressed network is before it is trained. */
async function beforeFirstStep(
  folder: string,
  { recalibrate: batches, compress }: Recipe,
  training: Training,
  throwIfAborted: () => void,
): Promise<void> {
  const { network, input } = training.trainer;
  if (batches > 0) await recalibrate(network, input, abortable(training.source, throwIfAborted), batches);
  if (compress === undefined) return;
  await saveModel(training.model(), join(folder, runFiles.start));
  throwIfAborted();
  await writeJson(folder, runFiles.originalMetrics, await training.evaluateOriginal());
  throwIfAborted();
  await writeJson(folder, runFiles.startMetrics, await training.evaluate());
}

/** The steps: what they report goes into the run's journals, what they make into its checkpoints and models. */
async function trainHeld(
  folder: string,
  recipe: Recipe,
  training: Training,
  resume: Checkpoint<LoopState> | undefined,
  hooks: RunHooks,
): Promise<LoopResult> {
  const log = (text: string): void => appendLog(folder, text);
  const device = requireDevice(recipe.device);
  const metrics = await openJournal(join(folder, runFiles.metrics), resume?.state.journals.metrics ?? 0);
  const startedAt = Date.now();
  const events = openEventFile(folder, {
    startedAt,
    suffix: `${process.pid}.${startedAt % 1000}`, // one process may begin twice within a second
    ...(resume && { resumedAt: resume.step }),
  });
  const model = (name: string): Promise<void> => saveModel(training.model(), join(folder, name));
  try {
    const result = await trainLoop(
      training.trainer,
      loopOptions(recipe, training, device),
      {
        async onStep(report) {
          await metrics.append(`${JSON.stringify({ kind: "step", ...report })}\n`);
          events.scalars(report.globalStep, stepScalars(report), Date.now());
          hooks.onStep?.(report);
        },
        evaluate: () => training.evaluate(),
        async onEpoch(report) {
          await metrics.append(`${JSON.stringify({ kind: "epoch", ...report })}\n`);
          events.scalars(
            report.globalStep,
            { "epoch/trainLoss": report.trainLoss, ...prefixed("epoch", report.metrics) },
            Date.now(),
          );
          if (report.best) await model(runFiles.best);
          await model(runFiles.last);
          log(`epoch ${report.epoch}: loss ${report.trainLoss}, ${JSON.stringify(report.metrics)}`);
          hooks.onEpoch?.(report);
        },
        async save(checkpoint) {
          const state: LoopState = { ...checkpoint.state, journals: { metrics: metrics.bytes } };
          await writeCheckpoint(join(folder, runFiles.checkpoints), { ...checkpoint, state }, recipe.checkpoint.keep);
        },
        stopping: () => hooks.stopping?.() ?? false,
        now: Date.now,
      },
      resume,
    );
    if (result.finished) await model(runFiles.last);
    log(result.finished ? `finished after ${result.globalStep} steps` : `stopped after ${result.globalStep} steps`);
    return result;
  } finally {
    await metrics.close();
    events.close();
  }
}

function loopOptions(
  { schedule, optimizer, epochs, steps, checkpoint }: Recipe,
  { source, primaryMetric }: Training,
  device: Device,
): LoopOptions {
  return {
    ...{ source, schedule, rate: optimizer.lr, epochs, steps, saveEverySteps: checkpoint.everySteps, primaryMetric },
    generator: { get: () => generatorState(device), set: (state) => setGeneratorState(state, device) },
  };
}

/** The source, which asks before every batch whether to go on: until the first step there is nothing to save. */
function abortable(source: BatchSource, throwIfAborted: () => void): BatchSource {
  const { stepsPerEpoch, batchSize } = source;
  return {
    stepsPerEpoch,
    batchSize,
    batch(epoch, step) {
      throwIfAborted();
      return source.batch(epoch, step);
    },
  };
}

/** The network as the recipe compresses it. */
async function compressFor(
  { compress, calibrate: batches, seed }: Recipe,
  graph: Graph,
  network: Network,
  source: BatchSource,
  note: (text: string) => void,
): Promise<Graph> {
  if (compress === undefined) return graph;
  const { method, ...options } = compress;
  const task = { graph, network, source, batches, seed, note, options };
  const known = batches > 0 ? await knowledgeOf(method, task) : {};
  return startNetwork(graph, compress, known, { note });
}

function stepScalars({ loss, task, approximation, distillation, rate }: StepReport): Record<string, number> {
  const parts = Object.entries({ loss, task, approximation, distillation, rate }).filter(
    (part): part is [string, number] => part[1] !== null,
  );
  return prefixed("step", Object.fromEntries(parts));
}

function prefixed(prefix: string, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value]));
}

/** Versions and machine, for the record beside every number. */
async function versions(device: Device): Promise<Versions> {
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
    device,
  };
}
