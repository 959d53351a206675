// The table for people: docs/wild.md, made from results/wild.json, and the list of broken promises for the terminal.

import { operations } from "./operations.js";
import type { ModelFacts, Row } from "./rows.js";
import type { Table } from "./store.js";
import { memory, slowerThan } from "./violations.js";

const percent = (share: number, places = 1): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(places)} %` : "-";
const ms = (value: number): string => value.toPrecision(3).replace(/e.*$/, "");
const code = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** One line a broken promise: "model operation: kind: what". */
export function violationLines({ rows }: Table): readonly string[] {
  return rows.flatMap(({ model, operation, violations }) =>
    violations.map(({ kind, what }) => `${model} ${operation}: ${kind}: ${what}`),
  );
}

/** The page. */
export function wildPage(table: Table): string {
  const { models, rows } = table;
  const written = operations.filter(({ kind }) => kind !== "reads");
  return `${[
    "# Networks from public repositories",
    "",
    "Made by `npm run test:wild` from `results/wild.json`; not edited by hand.",
    "",
    ...conditions(table),
    "",
    ...summary(table),
    "",
    "## The networks",
    "",
    ...markdown(
      ["network", "source", "inputs", "weights", "MACs", "bytes", "peak memory running it"],
      models.map((model) => modelCells(model)),
    ),
    ...written.flatMap(({ name, words }) => [
      "",
      `## ${name}`,
      "",
      `\`filterbasis ${words.join(" ")}\``,
      "",
      ...markdown(
        fileColumns,
        rows.filter(({ operation }) => operation === name).map((row) => fileCells(row, models)),
      ),
    ]),
    "",
    "## Reading and planning",
    "",
    ...markdown(["network", "command", "outcome", "seconds", "peak memory"], readRows(rows)),
  ].join("\n")}\n`;
}

function conditions({
  date,
  commit,
  machine,
  onnxruntime,
  filterbasis,
  effort,
  threads,
  seed,
  rows,
}: Table): readonly string[] {
  const commits = [...new Set(rows.map((row) => row.commit))];
  return [
    `Measured ${date?.slice(0, 10)} on ${machine?.processor} (${machine?.threads} threads, ${machine?.system}), Node ${machine?.node}, ` +
      `ONNX Runtime ${onnxruntime}, filterbasis ${filterbasis} at commit ${commits.join(", ") || commit}.`,
    "",
    `Times are milliseconds of process CPU time a run, ${threads} thread, original and written file in turns, medians of ` +
      `${effort?.leastRounds} to ${effort?.mostRounds} rounds within ${effort?.seconds} s (at least ${effort?.leastRounds}); what came out more than ` +
      `${((slowerThan - 1) * 100).toFixed(0)} % slower was measured twice more in fresh processes, and the median of the three counts. ` +
      `Differences are over three feeds (uniform on 0..1, normal, smooth on 0..255; seed ${seed}): the root mean square of the difference over that of the ` +
      `original's output, of the output that differs most. Kept weights and MACs are counted on the two files. Peak memory is the command's ` +
      `(${memory.times} x running the original + ${memory.besideMiB} MiB allowed).`,
  ];
}

function summary(table: Table): readonly string[] {
  const lines = violationLines(table);
  const count = `${table.rows.length} rows, ${lines.length} broken promises`;
  return lines.length === 0 ? [`${count}.`] : [`${count}:`, "", ...lines.map((line) => `- ${line}`)];
}

const fileColumns = [
  "network",
  "outcome",
  "weights kept",
  "MACs kept",
  "difference",
  "ms original",
  "ms written",
  "ratio",
  "bytes",
  "peak memory",
  "message",
];

function fileCells(row: Row, models: readonly ModelFacts[]): readonly string[] {
  const { model, outcome, kept, difference, times, bytes, peakMiB, reachable } = row;
  const facts = models.find(({ name }) => name === model);
  const told = reachable === undefined ? outcome : `${outcome} (reachable: ${reachable})`;
  const worst = Math.max(
    ...(difference ?? []).map(({ rms, type, unequal }) => (type.startsWith("float") ? rms : unequal)),
  );
  return [
    model,
    told,
    kept === undefined ? "" : percent(kept.weights),
    kept === undefined ? "" : percent(kept.macs),
    difference === undefined ? "" : worst.toExponential(1),
    times === undefined ? "" : ms(times.original.cpu),
    times === undefined ? "" : ms(times.written.cpu),
    times === undefined ? "" : times.ratio.toFixed(3),
    bytes === undefined || facts === undefined ? "" : percent(bytes / facts.bytes),
    `${peakMiB.toFixed(0)} MiB`,
    shortened(row.message ?? ""),
  ];
}

const shortened = (text: string): string => (text.length <= 160 ? text : `${text.slice(0, 157)}...`);

function modelCells({ name, source, sizes, weights, macs, bytes, peakMiB, why }: ModelFacts): readonly string[] {
  const shapes = Object.entries(sizes).map(([input, dims]) => `${input} ${dims.join("x")}`);
  const number = (value: number | undefined) => (value === undefined ? "-" : value.toLocaleString("en-US"));
  return [
    name,
    source,
    why === undefined ? shapes.join(", ") : `ONNX Runtime does not run it: ${why}`,
    number(weights),
    number(macs),
    number(bytes),
    peakMiB === undefined ? "-" : `${peakMiB.toFixed(0)} MiB`,
  ];
}

function readRows(rows: readonly Row[]): readonly (readonly string[])[] {
  const reading = new Set(operations.filter(({ kind }) => kind === "reads").map(({ name }) => name));
  return rows
    .filter(({ operation }) => reading.has(operation))
    .map(({ model, operation, outcome, seconds, peakMiB }) => [
      model,
      operation,
      outcome,
      seconds.toFixed(1),
      `${peakMiB.toFixed(0)} MiB`,
    ]);
}

const markdown = (columns: readonly string[], rows: readonly (readonly string[])[]): readonly string[] =>
  [columns, columns.map(() => "---"), ...rows].map((cells) => `| ${cells.map(code).join(" | ")} |`);
