// A small version of a table of the paper: methods side by side on one small network, as `compare --methods` made them.

export interface SmallRow {
  readonly method: string;
  readonly weights?: number;
  readonly parameters?: number;
  readonly macs?: number;
  /** As the method's paper counts them, where that differs. */
  readonly paperMacs?: number;
  /** Top-1 errors in %: as the method left the network, after calibration, after fine-tuning. */
  readonly compressed?: number;
  readonly calibrated?: number;
  readonly tuned?: number;
  /** What measured the last error. */
  readonly evaluatedBy?: string;
  readonly device?: string;
  readonly libtorch?: string;
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

/** Cells of the table, with its head; an empty cell is a dash. */
export function smallTableCells({ original, rows }: SmallTable): readonly (readonly string[])[] {
  const error = (value: number | undefined): string => (value === undefined ? "-" : `${value.toFixed(2)} %`);
  const share = (value: number | undefined, all: number): string =>
    value === undefined ? "-" : `${((100 * value) / all).toFixed(1)} %`;
  return [
    ["method", "weights", "MACs", "compressed", "calibrated", "fine-tuned", ""],
    ["original", "100 %", "100 %", "", "", error(original.top1Error), ""],
    ...rows.map(({ method, weights, macs, compressed, calibrated, tuned, reason = "" }) => [
      ...[method, share(weights, original.weights), share(macs, original.macs)],
      ...[error(compressed), error(calibrated), error(tuned), reason],
    ]),
  ];
}
