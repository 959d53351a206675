// The table of npm run bench:calibrated, as docs/calibration.md shows it. Run by itself it makes the table of a result
// again: tsx bench/calibrated-table.ts
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writeAside } from "../src/runtime/write.js";

/** One plan: the share of the multiply-accumulates that was asked for, and the test error in % of every way to fit. */
export interface CalibratedRow {
  readonly seed: number;
  readonly keep: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of the multiply-accumulates, by the plan. */
  readonly kept: number;
  /** What every layer became. */
  readonly families: readonly string[];
}

const ways = [
  ["symmetric", "each layer by itself"],
  ["refit", "refitted in order"],
  ["activation", "through the ReLU"],
  ["blocks", "and block steps"],
] as const;

/** Means over the seeds of the calibration images, and the spread. */
export function tableOf(rows: readonly CalibratedRow[], machine: string) {
  const keeps = [...new Set(rows.map(({ keep }) => keep))].sort((a, b) => b - a);
  return {
    columns: ["MACs", ...ways.map(([, label]) => label)],
    rows: keeps.map((keep) => [
      `${100 * keep} %`,
      ...ways.map(([way]) =>
        spread(rows.filter((row) => row.keep === keep).flatMap(({ errors }) => errors[way] ?? [])),
      ),
    ]),
    machine,
    n: new Set(rows.map(({ seed }) => seed)).size,
  };
}

function spread(errors: readonly number[]): string {
  if (errors.length === 0) return "–";
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  return `${mean.toFixed(2)} % (${Math.min(...errors).toFixed(2)} to ${Math.max(...errors).toFixed(2)})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL("../results/bench-calibrated.json", import.meta.url));
  const result = JSON.parse(readFileSync(path, "utf8")) as {
    readonly rows: readonly CalibratedRow[];
    readonly machine: { readonly processor: string };
  };
  const made = { ...result, table: tableOf(result.rows, result.machine.processor) };
  await writeAside(path, new TextEncoder().encode(`${JSON.stringify(made, null, 2)}\n`));
}
