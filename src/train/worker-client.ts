// Runs a training on a thread of its own, so that whoever asked for it stays awake: progress is drawn, signals are
// answered.
import { FilterBasisError } from "../errors/error.js";
import type { JoinOptions } from "./join.js";
import type { EpochReport, LoopResult, StepReport } from "./loop.js";
import type { Recipe } from "./recipe.js";
import type { RunHooks } from "./run.js";
import { type ErrorMessage, errorFromMessage, startThread } from "./thread.js";

/** What the thread is told at its start. */
export interface WorkerStart {
  readonly folder: string;
  readonly recipe: Recipe | "resume";
  /** Where a run goes on, instead of where it began. */
  readonly device?: Recipe["device"];
  /** One int32; not 0: save and stop. */
  readonly stop: SharedArrayBuffer;
  /** Where it trains with others. */
  readonly join?: JoinOptions;
}

/** What the thread says. */
export type WorkerMessage =
  | { readonly kind: "step"; readonly report: StepReport }
  | { readonly kind: "epoch"; readonly report: EpochReport }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "done"; readonly result: LoopResult }
  | { readonly kind: "failed"; readonly error: ErrorMessage };

/**
 * Trains by a recipe in a folder that holds no run, or resumes the one that is there, on a thread of its own. Needs
 * libtorch. Aborting `signal` saves a checkpoint and ends with `finished: false`.
 * @throws FilterBasisError `engine-missing`, `busy` (another process trains there), and what the recipe's parts throw
 * @example
 * ```ts
 * import { loadRecipe, trainInWorker } from "filterbasis";
 *
 * const onEpoch = ({ epoch, metrics }: { epoch: number; metrics: object }) => console.log(epoch, metrics);
 * const { finished, metrics } = await trainInWorker("runs/mine", await loadRecipe("recipe.yaml"), { onEpoch });
 * console.log(finished, metrics); // the folder holds models, metrics and checkpoints
 * ```
 */
export async function trainInWorker(
  folder: string,
  recipe: Recipe | "resume",
  hooks: Omit<RunHooks, "stopping"> = {},
  signal?: AbortSignal,
  join?: JoinOptions,
): Promise<LoopResult> {
  const stop = new SharedArrayBuffer(4);
  const { device } = hooks;
  const start: WorkerStart = {
    folder,
    recipe,
    stop,
    ...(device === undefined ? {} : { device }),
    ...(join && { join }),
  };
  const worker = startThread("worker", start);
  const abort = (): void => void Atomics.store(new Int32Array(stop), 0, 1);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  try {
    return await new Promise<LoopResult>((resolve, reject) => {
      worker.on("message", (message: WorkerMessage) => {
        if (message.kind === "step") hooks.onStep?.(message.report);
        else if (message.kind === "epoch") hooks.onEpoch?.(message.report);
        else if (message.kind === "note") hooks.note?.(message.text);
        else if (message.kind === "done") resolve(message.result);
        else reject(errorFromMessage(message.error));
      });
      worker.on("error", reject);
      worker.on("exit", (code) =>
        reject(new FilterBasisError("internal", `the training thread ended with code ${code}`)),
      );
    });
  } finally {
    signal?.removeEventListener("abort", abort);
    await worker.terminate();
  }
}
