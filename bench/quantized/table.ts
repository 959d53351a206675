// The table of npm run bench:quantized, as docs/eight-bits.md shows it. Run by itself it makes the table of a result
// again: tsx bench/quantized/table.ts
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writeAside } from "../../src/runtime/write.js";

interface Timed {
  readonly milliseconds: { readonly median: number };
  /** Of the original's time by this one's. */
  readonly faster: { readonly median: number; readonly interval: readonly [low: number, high: number] } | null;
}

/** One form of a network; beside what the table shows it holds how it was made. */
export type FormRow =
  | { readonly form: string; readonly instructions: readonly string[]; readonly skipped: string }
  | {
      readonly form: string;
      readonly instructions: readonly string[];
      readonly how: object;
      readonly node: Timed;
      readonly web: Timed;
      readonly bytes: number;
      readonly loss: { readonly kind: string; readonly mean: number };
      readonly relative: number;
      readonly psnr?: number | null;
      readonly top1?: { readonly original: number; readonly other: number } | null;
      readonly quality?: { readonly data: string; readonly value: number };
    };

export interface Measured {
  readonly network: string;
  readonly date: string;
  readonly skipped?: string;
  readonly rows?: readonly FormRow[];
  readonly threads?: number;
  readonly rounds?: { readonly node: number; readonly web: number };
  readonly images?: number;
  readonly heldOut?: number;
  readonly minutes?: number;
}

const labels: Readonly<Record<string, string>> = {
  original: "the file given",
  int8: "eight bits",
  basis: "factors",
  both: "both",
  auto: "`--precision auto`",
};

const columns = ["network", "form", "ms", "faster", "in WebAssembly", "file", "loss", "PSNR or top-1 error"] as const;

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly machine: string;
}

/** @param machine - what the times hold for, in words */
export function tableOf(networks: readonly Measured[], machine: string): Table {
  return { columns, rows: networks.flatMap(rowsOf), machine };
}

function rowsOf({ network, skipped, rows = [] }: Measured): readonly (readonly string[])[] {
  if (skipped !== undefined) return [[network, `not measured: ${skipped}`, ...columns.slice(2).map(() => "")]];
  const original = rows.find((row) => "bytes" in row);
  return rows.map((row) => {
    const name = labels[row.form] ?? row.form;
    if ("skipped" in row) return [network, `${name}: ${row.skipped}`, ...columns.slice(2).map(() => "")];
    const { node, web, bytes, loss, quality } = row;
    const share = original !== undefined && "bytes" in original ? bytes / original.bytes : 1;
    return [
      network,
      name,
      node.milliseconds.median.toFixed(2),
      timesAsFast(node, true),
      `${web.milliseconds.median.toFixed(2)} ms ${timesAsFast(web, false)}`.trim(),
      `${(100 * share).toFixed(0)} %`,
      row.form === "original" ? "" : `${loss.mean.toFixed(4)} (${loss.kind})`,
      quality === undefined
        ? "–"
        : `${quality.value.toFixed(2)} ${loss.kind === "decibels" ? "dB" : "%"} (${quality.data})`,
    ];
  });
}

function timesAsFast({ faster }: Timed, interval: boolean): string {
  if (faster === null) return "";
  const [low, high] = faster.interval.map((end) => end.toFixed(2));
  return `${faster.median.toFixed(2)} x${interval ? ` (${low} to ${high})` : ""}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = fileURLToPath(new URL("../../results/bench-quantized.json", import.meta.url));
  const result = JSON.parse(readFileSync(path, "utf8")) as {
    readonly networks: readonly Measured[];
    readonly table: Table;
  };
  const made = { ...result, table: tableOf(result.networks, result.table.machine) };
  await writeAside(path, new TextEncoder().encode(`${JSON.stringify(made, null, 2)}\n`));
}
