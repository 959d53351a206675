// A small version of a table of the paper whose rows are trainings of one network: how good each is at its end, and
// what its weights and multiply-accumulates are of the baseline's.
import type { SmallTable } from "./small-table.js";

export interface SmallTraining {
  /** The recipe's name. */
  readonly recipe: string;
  /** What its layers are: the method with its options, or the baseline. */
  readonly layers: string;
  /** What was changed in the recipe, as --set takes it. */
  readonly changes: readonly string[];
  readonly weights: number;
  readonly parameters: number;
  readonly macs: number;
  /** PSNR in dB by data set, or the top-1 error in %, of the last epoch; absent where the training was not finished. */
  readonly psnr?: Readonly<Record<string, number>>;
  readonly top1Error?: number;
  readonly evaluatedBy?: string;
  readonly steps: number;
  readonly seed: number;
  readonly device?: string;
  readonly libtorch?: string;
  readonly commit?: string;
  /** Why there is no result: how far it came. */
  readonly reason?: string;
}

export interface SmallTrainings extends Pick<SmallTable, "small" | "title" | "note"> {
  /** What all percents refer to. */
  readonly baseline: { readonly weights: number; readonly macs: number };
  /** What rows begin with or stand beside: PSNR in dB by data set. */
  readonly references: readonly { readonly name: string; readonly psnr: Readonly<Record<string, number>> }[];
  readonly trainings: readonly SmallTraining[];
}

/** Cells of the table, with its head; an empty cell is a dash. */
export function smallTrainingCells({
  baseline,
  references,
  trainings,
}: SmallTrainings): readonly (readonly string[])[] {
  const sets = [...new Set([...references, ...trainings].flatMap(({ psnr = {} }) => Object.keys(psnr)))];
  const classifies = trainings.some(({ top1Error }) => top1Error !== undefined);
  const share = (value: number, all: number): string => `${((100 * value) / all).toFixed(1)} %`;
  const decibels = (psnr: Readonly<Record<string, number>> = {}): readonly string[] =>
    sets.map((set) => (psnr[set] === undefined ? "-" : `${psnr[set].toFixed(2)} dB`));
  const error = (value: number | undefined): readonly string[] =>
    classifies ? [value === undefined ? "-" : `${value.toFixed(2)} %`] : [];
  return [
    ["recipe", "layers", "weights", "MACs", ...sets, ...(classifies ? ["top-1 error"] : []), "steps", "seed", ""],
    ...references.map(({ name, psnr }) => [name, "", "", "", ...decibels(psnr), ...error(undefined), "", "", ""]),
    ...trainings.map(({ recipe, layers, weights, macs, psnr, top1Error, steps, seed, changes, reason }) => [
      ...[recipe, layers, share(weights, baseline.weights), share(macs, baseline.macs)],
      ...[...decibels(psnr), ...error(top1Error), `${steps}`, `${seed}`],
      [reason, ...changes].filter(Boolean).join(", "),
    ]),
  ];
}
