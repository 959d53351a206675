// What the main job is asked for, and whom it tells meanwhile.
import type { Layout } from "../basis/layouts.js";
import type { Graph } from "../graph/types.js";
import type { WeightMethod } from "../methods/methods.js";
import type { PlanOptions } from "../methods/plan-options.js";
import type { ModelInputs, RuntimeName } from "../runtime/index.js";

/** A model as it was given: as data, and the file where it came from one. */
export interface Given {
  readonly graph: Graph;
  readonly file?: string;
}

export interface JobOptions {
  /** A method that starts from weights, by name. Default: basis. */
  readonly method?: WeightMethod;
  /** Budget or sizes, which layers, sharing. */
  readonly plan?: Omit<PlanOptions, "latencies" | "original" | "save" | "spectra" | "inputs">;
  /** Keeps this fraction of the file's bytes, instead of a budget of the plan. */
  readonly keepBytes?: number;
  /** Sizes and values of the model's inputs; found by trying when left out (see `findInputs`). */
  readonly inputs?: ModelInputs;
  /** How layers are written; `auto`, the default, measures. */
  readonly layout?: "auto" | Layout;
  /** Leaves batch normalisation as it is instead of folding it before anything else. */
  readonly keepBatchNorm?: boolean;
  /** Where times are taken and results verified; Node's where it is there. */
  readonly runtime?: RuntimeName;
  /** Threads of ONNX Runtime; its own choice when left out. */
  readonly threads?: number;
  /** The folder of measured times; by default in the cache folder. */
  readonly latencies?: string;
}

/** A bar, a line, a wish to stop. All are optional. */
export interface JobHooks {
  note?(text: string): void;
  progress?(label: string, total: number): { update(done: number, extra?: string): void; stop(): void };
  readonly signal?: AbortSignal;
}

/** Where a model is run, and on what. */
export interface Place {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  readonly inputs: Pick<ModelInputs, "shapes" | "values">;
  /** How long whole networks are timed, where it is not as long as `timeInTurns` has it. */
  readonly rounds?: number;
  readonly budget?: number;
  readonly patience?: number;
}

/** The place that options name, once the inputs are decided. */
export function placeOf({ runtime, threads }: JobOptions, inputs: ModelInputs): Place {
  return { ...(runtime === undefined ? {} : { runtime }), ...(threads === undefined ? {} : { threads }), inputs };
}

/** Runs a step with a bar that begins with its first report and ends with it. */
export async function withBar<T>(
  label: string,
  { progress }: JobHooks,
  step: (report: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let bar: ReturnType<NonNullable<JobHooks["progress"]>> | undefined;
  try {
    return await step((done, total) => {
      bar ??= progress?.(label, total);
      bar?.update(done);
    });
  } finally {
    bar?.stop();
  }
}

/** Progress of steps that name themselves, as bars that follow each other. */
export function stepsOf({ progress }: JobHooks) {
  let bar: ReturnType<NonNullable<JobHooks["progress"]>> | undefined;
  let label: string | undefined;
  return {
    report(what: string, done: number, total: number) {
      if (what !== label) {
        bar?.stop();
        bar = progress?.(what, total);
        label = what;
      }
      bar?.update(done);
    },
    stop: () => bar?.stop(),
  };
}
