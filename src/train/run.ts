// A training as a run: a folder that says what was asked, remembers what was measured, survives any end, and holds the
// model that came out.
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { loadModel, saveModel } from "../runtime/files.js";
import {
  checkPrecision,
  type Device,
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
import { abortable, compressFor } from "./compress-for.js";
import { hasStart } from "./given-start.js";
import {
  type EpochReport,
  type LoopOptions,
  type LoopResult,
  type LoopState,
  type StepReport,
  trainLoop,
} from "./loop.js";
import { activationMoments } from "./moments.js";
import { recalibrate } from "./recalibrate.js";
import type { Recipe } from "./recipe.js";
import { appendLog, holdRun, openJournal, runFiles, writeJson } from "./run-folder.js";
import { otherNumber, sharedCheckpoint, sharedGraph, sharedRecipe, shareStart } from "./shared-start.js";
import type { BatchSource } from "./sources.js";
import { openEventFile } from "./tensorboard.js";
import { versions } from "./versions.js";
import { alone, sharesOf, type World } from "./world.js";

/** What a run tells while it goes on. */
export interface RunHooks {
  onStep?(report: StepReport): void;
  onEpoch?(report: EpochReport): void;
  note?(text: string): void;
  stopping?(): boolean;
  /** Where a run goes on, instead of where it began. */
  readonly device?: string;
}

/** Begins a run in a folder that holds none (or one that never came to a step), or resumes the one that is there. */
export async function runTraining(
  folder: string,
  recipe: Recipe | "resume",
  hooks: RunHooks = {},
  world: World = alone,
): Promise<LoopResult> {
  if (world.rank > 0) return await runBeside(placed(await sharedRecipe(world, recipe), hooks, world), hooks, world);
  const release = await holdRun(folder);
  try {
    const asked = await beginRun(folder, recipe);
    const settled = placed(await sharedRecipe(world, asked), hooks, world);
    return await heldRun(folder, settled, hooks, world).catch((error: unknown) => {
      logFailure(folder, error);
      throw error;
    });
  } finally {
    await release();
  }
}

/** The recipe with the device on which this process trains, and the switches of the process that it asks for. */
function placed(recipe: Recipe, hooks: RunHooks, world: World): Recipe & { readonly device: Device } {
  const device = world.size > 1 ? world.device : requireDevice(hooks.device ?? recipe.device);
  checkPrecision(recipe.precision, device);
  if (device !== "cpu") {
    setSwitch("deterministic", recipe.deterministic);
    setSwitch("cudnnBenchmark", !recipe.deterministic);
  }
  return { ...recipe, device };
}

/** On a full disk the log cannot take it either; what is told then is the failure itself. */
function logFailure(folder: string, error: unknown): void {
  try {
    appendLog(folder, `failed: ${error instanceof Error ? error.message : String(error)}`);
  } catch {}
}

async function heldRun(folder: string, recipe: Recipe, hooks: RunHooks, world: World): Promise<LoopResult> {
  const log = (text: string): void => appendLog(folder, text);
  const note = (text: string): void => {
    log(text);
    hooks.note?.(text);
  };
  const device = prepareEngine(recipe, world);
  const found = await readNewestCheckpoint<LoopState>(join(folder, runFiles.checkpoints), note);
  const resume = await sharedCheckpoint(world, found);
  const graph = await recipeGraph(recipe);
  if (resume === undefined) {
    await writeJson(folder, runFiles.run, {
      seed: recipe.seed,
      ...(world.size > 1 && { processes: world.size }),
      versions: await versions(device),
    });
    await saveModel(graph, join(folder, runFiles.original));
  } else log(`resumed at step ${resume.step}${world.size > 1 ? ` by ${world.size} processes` : ""}`);
  const other = otherNumber(resume?.state, world);
  if (other !== undefined) note(other);
  /** Until the first step there is nothing to save. */
  const throwIfAborted = (): void => {
    if (hooks.stopping?.())
      throw new FilterBasisError("interrupted", "stopped before the first step; run the same command to start again");
  };
  const calibrated = recipe.compress !== undefined && recipe.calibrate > 0;
  const begun = resume !== undefined && (calibrated || recipe.start !== undefined);
  const compress = (network: Network, source: BatchSource): Promise<Graph> =>
    begun
      ? loadModel(join(folder, runFiles.start))
      : compressFor(recipe, graph, network, abortable(source, throwIfAborted), note, world);
  using training = await assemble(
    recipe,
    graph,
    // What layers see need not come out to the last bit again: a run that goes on takes the network that it began with.
    async (network, source) => await sharedGraph(world, graph, recipe, () => compress(network, source)),
    note,
    world,
  );
  if (resume === undefined) await beforeFirstStep(folder, recipe, training, throwIfAborted, world);
  return await trainHeld(folder, recipe, training, resume, hooks, world);
}

/** A process that is not the first: it computes what the first does and writes nothing. */
async function runBeside(recipe: Recipe, hooks: RunHooks, world: World): Promise<LoopResult> {
  const device = prepareEngine(recipe, world);
  const resume = await sharedCheckpoint(world, undefined);
  const graph = await recipeGraph(recipe);
  const note = (): void => undefined;
  const compress = async (_: Network, source: BatchSource): Promise<Graph> => {
    const { compress: asked, calibrate: batches, seed } = recipe;
    // Its share of what rank 0 wants to know before it compresses.
    const how = { batches, seed, note, device, shares: sharesOf(world)! };
    if (resume === undefined && asked !== undefined && batches > 0) await activationMoments(graph, source, how);
    return await sharedGraph(world, graph, recipe, undefined);
  };
  using training = await assemble(recipe, graph, compress, note, world);
  if (resume === undefined) {
    await shareStart(world, training.trainer);
    if (hasStart(recipe)) {
      await training.evaluateOriginal();
      await training.evaluate();
    }
  }
  return await trainLoop(
    training.trainer,
    loopOptions(recipe, training, device, world),
    {
      onStep: () => undefined,
      onEpoch: () => undefined,
      evaluate: () => training.evaluate(),
      save: async () => undefined,
      stopping: () => hooks.stopping?.() ?? false,
      now: Date.now,
    },
    resume,
  );
}

/** Threads and seeds; the device. Each process draws numbers of its own. */
function prepareEngine({ device, threads, seed }: Recipe, { rank }: World): Device {
  if (threads !== undefined) setThreads(threads);
  manualSeed(seed + rank);
  return requireDevice(device);
}

/** Sets the statistics of batch norms anew, and keeps what a compressed network is before it is trained. */
async function beforeFirstStep(
  folder: string,
  recipe: Recipe,
  training: Training,
  throwIfAborted: () => void,
  world: World,
): Promise<void> {
  const { network, input } = training.trainer;
  const { recalibrate: batches } = recipe;
  if (batches > 0) await recalibrate(network, input, abortable(training.whole, throwIfAborted), batches);
  await shareStart(world, training.trainer);
  if (!hasStart(recipe)) return;
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
  world: World,
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
      loopOptions(recipe, training, device, world),
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
  world: World,
): LoopOptions {
  return {
    world,
    ...{ source, schedule, rate: optimizer.lr, epochs, steps, saveEverySteps: checkpoint.everySteps, primaryMetric },
    generator: { get: () => generatorState(device), set: (state) => setGeneratorState(state, device) },
  };
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
