// A table of the paper beside what was counted and measured here, line by line.
import type { Metric, PaperRow, PaperTable } from "./paper.js";
import { conditions, type RunResult } from "./results.js";

/** What a row's network counts here, and its rate against the baseline in percent. */
export interface Counted {
  readonly weights: number;
  readonly weightsRate: number;
  readonly macsRate: number;
}

export interface Ours {
  readonly counted?: Counted;
  readonly note?: string;
  readonly results: readonly RunResult[];
}

/** One comparison; null where there is no number. */
export interface Line {
  readonly row: string;
  readonly what: string;
  readonly paper: number | null;
  readonly ours: number | null;
  /** ours - paper; 0 where ours rounds to what is printed. */
  readonly difference: number | null;
}

const names: Readonly<Record<Metric, string>> = {
  top1Error: "top-1 error, %",
  Set5: "PSNR Set5, dB",
  Set14: "PSNR Set14, dB",
  B100: "PSNR B100, dB",
  Urban100: "PSNR Urban100, dB",
  DIV2K: "PSNR DIV2K, dB",
};

/** The lines of one table. Of several results of a recipe the mean is taken. */
export function compare(table: PaperTable, ours: (row: PaperRow) => Ours): readonly Line[] {
  return table.rows.flatMap((row) => {
    const { counted, results } = ours(row);
    const line = (what: string, paper: number | undefined, own: number | undefined, step = 0.01): Line => ({
      row: row.row,
      what,
      paper: paper ?? null,
      ours: own ?? null,
      difference: paper === undefined || own === undefined ? null : difference(own, paper, step),
    });
    const { printed, step } = parseCount(row.parameters);
    return [
      ...table.metrics.map((metric) => line(names[metric], row.metrics[metric], mean(results, metric))),
      ...(table.number === 6
        ? []
        : [line(table.unit === "network" ? "parameters" : "parameters of a block", printed, counted?.weights, step)]),
      ...(table.number === 6 ? [] : [line("parameters, %", row.rate, counted?.weightsRate, 0.1)]),
      line("MACs, %", row.macsRate, counted?.macsRate, 0.1),
    ];
  });
}

/** 0 where ours, rounded as printed, is what is printed. */
function difference(ours: number, paper: number, step: number): number {
  const off = ours - paper;
  return Math.abs(off) <= step / 2 + 1e-9 ? 0 : off;
}

/** "186k" is 186,000 to the nearest 1,000; "3.21M" is 3,210,000 to the nearest 10,000. */
function parseCount(text: string | undefined): { printed?: number; step: number } {
  const [, digits, fraction = "", unit] = /^(\d+)(?:\.(\d+))?([kM])$/.exec(text ?? "") ?? [];
  if (digits === undefined) return { step: 1 };
  const scale = unit === "M" ? 1e6 : 1e3;
  return { printed: Number(`${digits}.${fraction}`) * scale, step: scale / 10 ** fraction.length };
}

function mean(results: readonly RunResult[], metric: Metric): number | undefined {
  const values = results.flatMap(({ metrics }) => metrics[metric] ?? []);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Everything that has to be said below a table. */
export function footnotes(table: PaperTable, ours: (row: PaperRow) => Ours): readonly string[] {
  return table.rows.flatMap((row) => {
    const { note, results } = ours(row);
    return [
      ...(note === undefined ? [] : [`${row.row}: ${note}`]),
      ...results.map((result) => `${row.row}: ours is ${conditions(result)}`),
    ];
  });
}
