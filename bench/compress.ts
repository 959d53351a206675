// The main job on networks that people run, as one does it: `compress` with a budget and pictures, then `compare` of
// the two files on pictures that nothing was fitted to, timed a second time in a process of its own. A row is kept in
// results/bench-compress.json as soon as it is made. The pictures are those of the shared reference data
// (FILTERBASIS_SHARED); a network that is not here is a row that says so. Needs a build.
//
//   npm run bench:compress                        rows that are missing
//   npm run bench:compress -- --only 'isnet'      rows whose name matches, again
//   npm run bench:compress -- --web               the files that are here, timed in WebAssembly too
//   npm run bench:compress -- --print             only the table
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Made, Told } from "./compress/made.js";
import { makeRow, timesInWeb } from "./compress/made.js";
import { type Wanted, wanted } from "./compress/rows.js";
import { writeResult } from "./result.js";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    threads: { type: "string", default: "2" },
    print: { type: "boolean", default: false },
    web: { type: "boolean", default: false },
  },
});
const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const file = path("results/bench-compress.json");
const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
const kept = (): readonly Made[] =>
  existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { rows: readonly Made[] }).rows : [];
const isOf = (row: Wanted) => (made: Made) => made.name === row.name && `${made.budget}` === `${row.budget}`;

const folder = path(".cache/bench-compress");
const only = values.only === undefined ? undefined : new RegExp(values.only);
const keepRow = (row: Wanted, made: Made) =>
  writeResult("bench-compress", "npm run bench:compress", {
    ...{ seed: 0, rows: [...kept().filter((one) => !isOf(row)(one)), made] },
  });

for (const row of values.print ? [] : Object.values(wanted).flat()) {
  if (only?.test(`${row.name} ${row.budget.join(" ")}`) === false) continue;
  if (values.web) {
    const made = kept().find(isOf(row));
    const web = made?.outcome === "written" ? await timesInWeb(row, Number(values.threads), folder) : undefined;
    if (web !== undefined) await keepRow(row, { ...made!, web });
    continue;
  }
  const done = kept().some((made) => isOf(row)(made) && made.outcome !== "skipped");
  if (done && only === undefined) continue;
  const made = await makeRow(row, Number(values.threads), commit, folder);
  process.stderr.write(`${row.name} ${row.budget.join(" ")}: ${made.outcome}, ${made.seconds ?? 0} s\n`);
  await keepRow(row, made);
}

const figure = (value: unknown, digits: number): string => (typeof value === "number" ? value.toFixed(digits) : "-");
for (const [title, rows] of Object.entries(wanted)) {
  console.log(`\n${title}`);
  for (const row of rows) {
    const made = kept().find(isOf(row));
    const { second, quality, bytes } = made ?? {};
    const first = second?.outputs[0] as { iou?: { mean: number } | null; absolute?: number } | undefined;
    const cells = [
      `${row.name} ${row.budget.join(" ")}`.padEnd(48),
      (made?.outcome ?? "not run").padEnd(12),
      `${figure(second?.milliseconds.original, 1)} -> ${figure(second?.milliseconds.written, 1)} ms`,
      `${figure(second?.milliseconds.ratio, 2)} x`,
      `loss ${figure(second?.loss.mean, 4)} (${second?.loss.kind ?? "-"}, n ${second?.inputs ?? 0})`,
      `IoU ${figure(first?.iou?.mean, 3)}, off by ${figure(first?.absolute, 4)}`,
      `PSNR ${figure(quality?.original, 2)} -> ${figure(quality?.written, 2)} dB`,
      `bytes ${figure(bytes && bytes.written / bytes.original, 2)}`,
      `${made?.seconds ?? "-"} s, ${made?.peakMiB ?? "-"} MiB`,
    ];
    console.log(cells.join("  "));
  }
}

console.log("\nFirst predictions, before any scaling, beside what was measured");
for (const made of kept().filter(({ outcome }) => outcome === "written")) {
  const { predicted, predictedLoss, loss } = made.told as Told;
  const { first } = predicted ?? {};
  const times = first && `${figure(first.predicted, 2)} ms, measured ${figure(first.written, 2)} ms`;
  const told = `loss ${figure(predictedLoss, 4)}, measured ${figure(loss?.mean, 4)}`;
  console.log(`${`${made.name} ${made.budget.join(" ")}`.padEnd(48)}  ${times ?? "-"}  ${told}`);
}
