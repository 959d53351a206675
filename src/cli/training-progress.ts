// What a training tells while it goes on: a bar of its steps, a line an epoch.
import type { EpochReport } from "../train/loop.js";
import type { RunHooks } from "../train/run.js";
import type { Context } from "./frame.js";
import { metricText } from "./values.js";

export interface TrainingProgress {
  readonly hooks: RunHooks;
  /** The epochs so far. */
  readonly epochs: readonly EpochReport[];
  /** Ends the bar. */
  stop(): void;
}

export function trainingProgress(label: string, { progress, note }: Context): TrainingProgress {
  const epochs: EpochReport[] = [];
  let bar: ReturnType<Context["progress"]> | undefined;
  return {
    epochs,
    hooks: {
      onStep(report) {
        bar ??= progress(label, report.totalSteps);
        bar.update(report.globalStep, `loss ${report.loss.toPrecision(4)}`);
      },
      onEpoch(report) {
        epochs.push(report);
        note(describe(report));
      },
      note,
    },
    stop: () => bar?.stop(),
  };
}

function describe({ epoch, trainLoss, metrics, rate, seconds }: EpochReport): string {
  const values = Object.entries(metrics).map((metric) => metricText(...metric));
  const all = [`loss ${trainLoss.toFixed(4)}`, ...values, `rate ${rate.toPrecision(3)}`];
  return `epoch ${epoch}: ${all.join(", ")}, ${(seconds / 60).toFixed(1)} min`;
}
