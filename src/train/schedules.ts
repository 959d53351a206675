// FineTuning-rate schedules as pure functions of the position in the training, so that nothing needs to be saved to
// resume them.

/**
 * Multiplied by `factor` at each milestone (epochs, counted from 0), as PyTorch's MultiStepLR; `every` N epochs is
 * StepLR.
 */
export interface StepSchedule {
  readonly name: "step";
  readonly milestones?: readonly number[] | undefined;
  readonly every?: number | undefined;
  readonly factor: number;
  readonly warmup: number;
}

/**
 * Half a cosine from the base rate down to `minimum`, as PyTorch's CosineAnnealingLR; `per` says how often it moves.
 */
export interface CosineSchedule {
  readonly name: "cosine";
  readonly minimum: number;
  readonly per: "step" | "epoch";
  readonly warmup: number;
}

export interface ConstantSchedule {
  readonly name: "constant";
  readonly warmup: number;
}

export type Schedule = StepSchedule | CosineSchedule | ConstantSchedule;

/** Where a training stands: whole epochs done, steps done within this one. */
export interface Position {
  readonly epoch: number;
  readonly step: number;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

/**
 * The learning rate of the step that comes next. During `warmup` epochs it grows linearly from 1/steps of the base rate
 * to the whole of it.
 */
export function learningRate(schedule: Schedule, base: number, position: Position): number {
  const { epoch, step, stepsPerEpoch, epochs } = position;
  const done = epoch + step / stepsPerEpoch;
  if (done < schedule.warmup)
    return (base * (epoch * stepsPerEpoch + step + 1)) / Math.max(1, schedule.warmup * stepsPerEpoch);
  switch (schedule.name) {
    case "constant":
      return base;
    case "step": {
      const drops =
        schedule.every === undefined
          ? (schedule.milestones ?? []).filter((milestone) => epoch >= milestone).length
          : Math.floor(epoch / schedule.every);
      return base * schedule.factor ** drops;
    }
    case "cosine": {
      const reached = (schedule.per === "step" ? done : epoch) - schedule.warmup;
      const progress = Math.min(1, reached / Math.max(1e-9, epochs - schedule.warmup));
      return schedule.minimum + ((base - schedule.minimum) * (1 + Math.cos(Math.PI * progress))) / 2;
    }
  }
}
