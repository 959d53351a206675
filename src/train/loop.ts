// The training loop: batches, steps, epochs, checkpoints. What it is given decides everything; it reads no clock, file
// or seed of its own.

import { FilterBasisError } from "../errors/error.js";
import type { TensorData } from "../graph/types.js";
import type { Tensor } from "../torch/index.js";
import type { Checkpoint } from "./checkpoint.js";
import { learningRate, type Schedule } from "./schedules.js";
import { restore, snapshot } from "./snapshot.js";
import type { BatchSource } from "./sources.js";
import { type StepLosses, type Trainer, trainStep } from "./step.js";

/** A metric on data that is not trained on. */
export type Metrics = Readonly<Record<string, number>>;

/** What a checkpoint remembers besides tensors. */
export interface LoopState {
  readonly epoch: number;
  /** Steps done within the epoch. */
  readonly step: number;
  readonly optimizerSteps: number;
  /** Of the loss, in float16. */
  readonly scaler?: { readonly scale: number; readonly good: number };
  /** Sums over the steps of the present epoch. */
  readonly sums: {
    readonly loss: number;
    readonly task: number;
    readonly approximation: number;
    readonly steps: number;
  };
  readonly best: { readonly epoch: number; readonly metric: number } | null;
  /** Seconds spent before this process. */
  readonly seconds: number;
  /** Lengths of the journals. */
  readonly journals: Readonly<Record<string, number>>;
}

export interface StepReport extends StepLosses {
  readonly epoch: number;
  readonly step: number;
  readonly globalStep: number;
  readonly totalSteps: number;
  readonly rate: number;
}

export interface EpochReport {
  readonly epoch: number;
  readonly globalStep: number;
  readonly trainLoss: number;
  readonly trainTask: number;
  readonly approximation: number;
  readonly rate: number;
  readonly metrics: Metrics;
  /** True when the metric is the best so far on the data evaluated on. */
  readonly best: boolean;
  readonly seconds: number;
}

/** What the loop calls out to. */
export interface LoopHooks {
  onStep(report: StepReport): Promise<void> | void;
  /** Judges the network as it is now. */
  evaluate(): Promise<Metrics>;
  onEpoch(report: EpochReport): Promise<void> | void;
  /** Keeps a checkpoint; the hook adds the journals' lengths. */
  save(checkpoint: Checkpoint<Omit<LoopState, "journals">>): Promise<void>;
  /** Asked between steps: true saves and leaves. */
  stopping(): boolean;
  now(): number;
}

export interface LoopOptions {
  readonly source: BatchSource;
  readonly schedule: Schedule;
  readonly rate: number;
  readonly epochs: number;
  /** Ends after so many steps, whatever `epochs` says. */
  readonly steps?: number | undefined;
  readonly saveEverySteps?: number | undefined;
  /** Which metric decides "best", and whether more of it is better. */
  readonly primaryMetric: { readonly name: string; readonly higher: boolean };
  readonly generator?: { get(): Uint8Array; set(state: Uint8Array): void };
}

export interface LoopResult {
  readonly finished: boolean;
  readonly epoch: number;
  readonly globalStep: number;
  readonly metrics: Metrics | null;
  readonly best: LoopState["best"];
  readonly seconds: number;
}

/** Trains until the end, or until asked to stop; resumes from `resume` as if it had never stopped. */
export async function trainLoop(
  trainer: Trainer,
  options: LoopOptions,
  hooks: LoopHooks,
  resume?: Checkpoint<LoopState>,
): Promise<LoopResult> {
  const { source, schedule, rate: base } = options;
  const { stepsPerEpoch } = source;
  const totalSteps = options.steps ?? Math.max(1, Math.round(options.epochs * stepsPerEpoch));
  const epochs = totalSteps / stepsPerEpoch;
  if (resume !== undefined) restoreTrainer(trainer, resume, options.generator);
  let { epoch, step, sums, best } = resume?.state ?? { epoch: 0, step: 0, sums: empty, best: null };
  const [started, before] = [hooks.now(), resume?.state.seconds ?? 0];
  const seconds = (): number => before + (hooks.now() - started) / 1000;
  let metrics: Metrics | null = null;
  let rate = base;

  const save = (): Promise<void> =>
    hooks.save({
      step: epoch * stepsPerEpoch + step,
      state: {
        ...{ epoch, step, sums, best, optimizerSteps: trainer.optimizer.state().steps, seconds: seconds() },
        ...(trainer.scaler === undefined ? {} : { scaler: trainer.scaler.save() }),
      },
      tensors: tensorsOf(trainer, options.generator),
    });
  const result = (finished: boolean): LoopResult => ({
    ...{ finished, epoch, globalStep: epoch * stepsPerEpoch + step, metrics, best, seconds: seconds() },
  });

  while (epoch * stepsPerEpoch + step < totalSteps) {
    const globalStep = epoch * stepsPerEpoch + step;
    rate = learningRate(schedule, base, { epoch, step, stepsPerEpoch, epochs });
    const losses = trainStep(trainer, await source.batch(epoch, step), rate, globalStep / totalSteps);
    step += 1;
    sums = withStep(sums, losses);
    await hooks.onStep({ ...losses, epoch, step, globalStep: globalStep + 1, totalSteps, rate });

    const last = globalStep + 1 === totalSteps;
    if (step === stepsPerEpoch || last) {
      metrics = await hooks.evaluate();
      const better = betterThan(best, metrics, options.primaryMetric);
      if (better !== undefined) best = { epoch: epoch + 1, metric: better };
      await hooks.onEpoch({
        ...{ epoch: epoch + 1, globalStep: globalStep + 1, ...means(sums), rate, metrics },
        ...{ best: better !== undefined, seconds: seconds() },
      });
      sums = empty;
      if (step === stepsPerEpoch) [epoch, step] = [epoch + 1, 0];
      assertFinite(trainer);
      await save();
    } else if (options.saveEverySteps !== undefined && (globalStep + 1) % options.saveEverySteps === 0) {
      assertFinite(trainer);
      await save();
    }
    if (!last && hooks.stopping()) {
      await save();
      return result(false);
    }
  }
  return result(true);
}

const withStep = (sums: LoopState["sums"], { loss, task, approximation }: StepLosses): LoopState["sums"] => ({
  loss: sums.loss + loss,
  task: sums.task + (task ?? 0),
  approximation: sums.approximation + (approximation ?? 0),
  steps: sums.steps + 1,
});

const means = ({ loss, task, approximation, steps }: LoopState["sums"]) => ({
  trainLoss: loss / steps,
  trainTask: task / steps,
  approximation: approximation / steps,
});

/** The primary metric where it is the best so far; nothing to evaluate on, or a metric that is no number, never is. */
function betterThan(
  best: LoopState["best"],
  metrics: Metrics,
  { name, higher }: LoopOptions["primaryMetric"],
): number | undefined {
  const metric = metrics[name] ?? Number.NaN;
  if (Number.isNaN(metric)) return undefined;
  return best === null || (higher ? metric > best.metric : metric < best.metric) ? metric : undefined;
}

const empty: LoopState["sums"] = { loss: 0, task: 0, approximation: 0, steps: 0 };
const generatorName = "generator";

function named(trainer: Trainer): [string, Tensor][] {
  return [
    ...[...trainer.network.parameters].map(([name, tensor]): [string, Tensor] => [`parameter.${name}`, tensor]),
    ...[...trainer.network.buffers].map(([name, tensor]): [string, Tensor] => [`buffer.${name}`, tensor]),
    ...[...trainer.optimizer.state().tensors].map(([name, tensor]): [string, Tensor] => [`optimizer.${name}`, tensor]),
  ];
}

function tensorsOf(trainer: Trainer, generator: LoopOptions["generator"]): ReadonlyMap<string, TensorData> {
  const tensors = new Map(named(trainer).map(([name, tensor]) => [name, snapshot(tensor)]));
  const state = generator?.get();
  if (state !== undefined) tensors.set(generatorName, { type: "uint8", dims: [state.length], data: state });
  return tensors;
}

function restoreTrainer(
  trainer: Trainer,
  { state, tensors }: Checkpoint<LoopState>,
  generator: LoopOptions["generator"],
): void {
  for (const [name, tensor] of named(trainer)) restore(name, tensor, tensors.get(name));
  trainer.optimizer.load(state.optimizerSteps);
  if (state.scaler !== undefined) trainer.scaler?.load(state.scaler);
  const saved = tensors.get(generatorName);
  if (saved === undefined || generator === undefined) return;
  // Generators of processor and GPU keep other states: a run that changes its device draws from the seed anew.
  if (saved.data.length === generator.get().length) generator.set(saved.data.slice());
}

/** A checkpoint that cannot be gone on from must not replace one that can. */
function assertFinite({ network }: Trainer): void {
  for (const [name, parameter] of network.parameters) {
    if ((parameter.data() as Float32Array).every((value) => Number.isFinite(value))) continue;
    throw new FilterBasisError("non-finite", "a parameter is not finite any more", {
      tensor: name,
      cures: ["lower the learning rate, add warm-up, or set optimizer.clip"],
    });
  }
}
