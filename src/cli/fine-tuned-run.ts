// What was trained, from the end of its run until its model is written: whatever fails meanwhile, it stays and
// can be gone on from.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError, isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { EpochReport } from "../train/loop.js";
import { runFiles } from "../train/run-folder.js";
import type { Context } from "./frame.js";

export interface FineTuned {
  readonly graph: Graph;
  readonly epochs: readonly EpochReport[];
  readonly seconds: number;
}

/** What `compress` trained, and where it lies until it is written. */
export interface FineTunedRun extends FineTuned {
  readonly folder: string;
  /** Whether the folder was asked for; else it goes once the model is written. */
  readonly asked: boolean;
}

/** A step that may fine-tune. Where it fails afterwards, what was trained stays, and the error says how to resume. */
export async function keepFineTuned<T>(
  trainedSoFar: () => FineTunedRun | undefined,
  output: string,
  context: Context,
  step: () => Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const trained = trainedSoFar();
    throw trained === undefined ? error : keptIn(trained.folder, output, error, context);
  }
}

/**
 * The error, with how to resume the run: further training, and what makes its model into what `compress`
 * would have written.
 */
export function keptIn(folder: string, output: string, error: unknown, { note }: Context): unknown {
  const stopped = isError(error, "interrupted")
    ? []
    : [`what was trained is in ${folder}; resume: filterbasis train ${folder} --resume`];
  const cures = [
    ...stopped,
    `${existsSync(join(folder, runFiles.last)) ? "then, or at once" : "then"}: filterbasis export ${folder} -o ${output} --fold-bn --layout auto`,
  ];
  if (error instanceof FilterBasisError) return error.curedBy(...cures);
  for (const cure of cures) note(cure);
  return error;
}

/** After the model is written: a run folder that nobody asked for goes. */
export async function removeFineTuned(trained: FineTunedRun | undefined): Promise<void> {
  if (trained !== undefined && !trained.asked) await rm(trained.folder, { recursive: true, force: true });
}
