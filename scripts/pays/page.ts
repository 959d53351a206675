// docs/pays.md: what paid, what did not and why, and which promises are broken.
import type { Machine } from "../../src/runtime/machine.js";
import type { PaysRow } from "./row.js";

export interface PaysTable {
  readonly command?: string;
  readonly date?: string;
  readonly machine?: Machine;
  readonly onnxruntime?: string;
  readonly threads?: number;
  readonly seed?: number;
  readonly rows: readonly PaysRow[];
}

/** Of a speed-up that was asked for, this share must be found again by the second timing: 1.15 of 1.2. */
const foundAgain = 1.15 / 1.2;
/** These answer the question; any other outcome is a fault. */
const answers = new Set(["written", "does-not-pay", "loses-function", "not-found"]);
/** Networks that have to be written. */
const mustBeWritten =
  /^(vdsr|edsr-8-56-x2|imdn_x2|imdn_x4|vgg16-half|isnet|SINet|candy|prisma_nchw|super_resolution_10)$/;

const gain = ({ second }: PaysRow): number => (second === undefined ? Number.NaN : 1 / second.ratio);

/** One line for each broken promise. */
export function brokenOf({ rows }: PaysTable): readonly string[] {
  return rows.flatMap((row) => {
    const line = `${row.model} at ${row.speedup} x`;
    if (!answers.has(row.outcome)) return [`${line}: ${row.outcome}: ${row.message ?? ""}`];
    if (row.outcome === "written" && gain(row) < foundAgain * row.speedup)
      return [`${line}: the second timing finds ${gain(row).toFixed(2)} x`];
    if (row.outcome !== "written" && mustBeWritten.test(row.model)) return [`${line}: ${row.outcome}`];
    return [];
  });
}

const figure = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? "" : value.toFixed(digits);

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const writtenLine = (row: PaysRow): string =>
  line([
    row.model,
    `${row.speedup} x`,
    figure(row.second?.original.cpu, 2),
    figure(row.second?.written.cpu, 2),
    `${figure(gain(row), 2)} x`,
    `${figure(row.told?.loss.mean, 4)} (${row.told?.loss.kind})`,
    `${((100 * (row.bytes?.written ?? 0)) / (row.bytes?.original ?? 1)).toFixed(0)} %`,
    row.data,
    figure(row.seconds, 0),
    `${row.peakMiB}`,
  ]);

/** The page. */
export function paysPage(table: PaysTable): string {
  const { rows, machine, onnxruntime, threads, date, command } = table;
  const written = rows.filter(({ outcome }) => outcome === "written");
  const others = rows.filter(({ outcome }) => outcome !== "written");
  return `${[
    "# What pays",
    "",
    `\`compress --speedup X --data D\` on real networks (\`${command}\`, ${date?.slice(0, 10)}, ${machine?.processor}, ONNX Runtime ${onnxruntime}, ` +
      `${threads} thread). "Second" is a timing in processes of its own, in turns, by processor time.`,
    "",
    line([
      "network",
      "asked",
      "original ms",
      "written ms",
      "second",
      "loss",
      "bytes",
      "calibrated on",
      "seconds",
      "MiB",
    ]),
    line(Array(10).fill("---")),
    ...written.map(writtenLine),
    "",
    "## Not written",
    "",
    line(["network", "asked", "outcome", "why", "seconds"]),
    line(Array(5).fill("---")),
    ...others.map((row) =>
      line([
        row.model,
        `${row.speedup} x`,
        row.outcome,
        (row.message ?? "").replaceAll("|", "/"),
        figure(row.seconds, 0),
      ]),
    ),
  ].join("\n")}\n`;
}
