// A small version of a table of the paper: methods side by side on one small network, as `compare --methods` made them.

export interface SmallRow {
  readonly method: string;
  readonly weights?: number;
  readonly parameters?: number;
  readonly macs?: number;
  /** As the method's paper counts them, where that differs from what is executed. */
  readonly paperMacs?: number;
  /** Top-1 errors in %: as the method left the network, after calibration, after fine-tuning. */
  readonly compressed?: number;
  readonly calibrated?: number;
  readonly tuned?: number;
  /** What measured the last error. */
  readonly evaluatedBy?: string;
  /** The last error of the same row from other seeds. */
  readonly otherSeeds?: readonly { readonly seed: number; readonly tuned: number; readonly evaluatedBy: string }[];
  readonly device?: string;
  readonly libtorch?: string;
  readonly commit?: string;
  /** Why there is no fine-tuned error. */
  readonly reason?: string;
}

export interface SmallTable {
  /** The table of the paper. */
  readonly small: number;
  readonly title: string;
  readonly note?: string;
  readonly conditions: Readonly<Record<string, unknown>>;
  readonly original: {
    readonly top1Error: number;
    readonly weights: number;
    readonly parameters: number;
    readonly macs: number;
  };
  /** The best first, those without a result last. */
  readonly rows: readonly SmallRow[];
}

/** The reason of a row that nobody has made: the method could have been run. */
export const notRun = "not run";

/** The methods of such rows in a sentence; none where all were run. */
export function smallTableNotRun({ rows }: SmallTable): readonly string[] {
  const names = rows.filter(({ reason }) => reason === notRun).map(({ method }) => method);
  return names.length === 0 ? [] : [`Not run: ${names.join(", ")}.`];
}

/**
 * Cells of the table, with its head, without the methods that were not run; an empty cell is a dash. What a paper
 * counts otherwise, and other seeds, are columns only where some row has them.
 */
export function smallTableCells({ original, rows: all }: SmallTable): readonly (readonly string[])[] {
  const error = (value: number | undefined): string => (value === undefined ? "-" : `${value.toFixed(2)} %`);
  const share = (value: number | undefined, all: number): string =>
    value === undefined ? "-" : `${((100 * value) / all).toFixed(1)} %`;
  const rows = all.filter(({ reason }) => reason !== notRun);
  const otherwise = rows.some(({ paperMacs }) => paperMacs !== undefined);
  const seeds = [...new Set(rows.flatMap(({ otherSeeds = [] }) => otherSeeds.map(({ seed }) => seed)))].sort();
  const inPaper = (cell: string): readonly string[] => (otherwise ? [cell] : []);
  return [
    [
      "method",
      "weights",
      "MACs",
      ...inPaper("paper's MACs"),
      "compressed",
      "calibrated",
      "fine-tuned",
      ...seeds.map((seed) => `seed ${seed}`),
      "",
    ],
    ["original", "100 %", "100 %", ...inPaper(""), "", "", error(original.top1Error), ...seeds.map(() => ""), ""],
    ...rows.map(({ method, weights, macs, paperMacs, otherSeeds = [], reason = "", ...errors }) => [
      ...[method, share(weights, original.weights), share(macs, original.macs)],
      ...inPaper(paperMacs === undefined ? "" : share(paperMacs, original.macs)),
      ...[error(errors.compressed), error(errors.calibrated), error(errors.tuned)],
      ...seeds
        .map((wanted) => otherSeeds.find(({ seed }) => seed === wanted)?.tuned)
        .map((tuned) => (tuned === undefined ? "" : error(tuned))),
      reason,
    ]),
  ];
}
