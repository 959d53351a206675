// The cards as text: one network a page, and one row of the table for each result.
import type { Made } from "../../bench/compress/made.js";
import type { Wanted } from "../../bench/compress/rows.js";
import type { Machine } from "../../src/runtime/machine.js";

export interface CardTable {
  readonly command: string;
  readonly date: string;
  readonly machine: Machine;
  readonly onnxruntime: string;
  readonly rows: readonly Made[];
}

type About = Pick<Wanted, "name" | "about" | "origin" | "input" | "budget" | "without">;

const fixed = (value: number | null | undefined, digits: number, unit = ""): string =>
  typeof value === "number" && Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : "–";
const share = (after: number | undefined, before: number | undefined): string =>
  after === undefined || before === undefined ? "–" : `${((100 * after) / before).toFixed(0)} %`;
const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

interface Output {
  readonly iou?: { readonly mean: number; readonly interval: number } | null;
  readonly absolute?: number;
  readonly top1Error?: { readonly original: number; readonly other: number } | null;
}

/** What the result is worth: errors or PSNR where truths are there, else how far the outputs agree. */
function quality({ second, quality: truths }: Made): string {
  if (truths !== undefined)
    return `${fixed(truths.original, 2)} -> ${fixed(truths.written, 2, " dB")} (${truths.data}, luma)`;
  if (second === undefined) return "–";
  const { iou, absolute, top1Error } = (second.outputs[0] ?? {}) as Output;
  if (top1Error) return `top-1 error ${fixed(top1Error.original, 2)} -> ${fixed(top1Error.other, 2, " %")}`;
  if (second.loss.kind === "mask" && iou)
    return `IoU ${fixed(iou.mean, 3)} ± ${fixed(iou.interval, 3)}, off by ${fixed(absolute, 4)}`;
  const loss = `loss ${fixed(second.loss.mean, 4)} ± ${fixed(second.loss.interval, 4)} (${second.loss.kind})`;
  return `${loss} on ${second.inputs} inputs`;
}

const budgetOf = ({ budget, without }: Pick<Made, "budget" | "without">): string =>
  `\`${budget.join(" ")}\`${without === undefined ? "" : `, without ${without}`}`;

const faster = ({ ratio, interval = [] }: Partial<NonNullable<Made["web"]>>): string =>
  `${fixed(ratio, 2)} x (${interval.map((one) => one.toFixed(2)).join(" to ")})`;

function cells(made: Made): readonly string[] {
  const { second, counts, bytes, outcome, message = "", eightBits, web } = made;
  if (outcome !== "written") return [budgetOf(made), outcome, message.replaceAll("|", "/"), "", "", "", "", "", ""];
  const { original, written } = second?.milliseconds ?? {};
  return [
    budgetOf(made),
    `${fixed(original, 1)} -> ${fixed(written, 1)} ms`,
    faster(second?.milliseconds ?? {}),
    web === undefined ? "–" : `${fixed(web.original, 1)} -> ${fixed(web.written, 1)} ms, ${faster(web)}`,
    eightBits === undefined ? "floats" : `${eightBits} layers in eight bits`,
    quality(made),
    share(bytes?.written, bytes?.original),
    share(counts?.after.macs, counts?.before.macs),
    share(counts?.after.weights, counts?.before.weights),
  ];
}

const columns = [
  "asked",
  "milliseconds",
  "faster",
  "in WebAssembly",
  "precision",
  "quality",
  "file",
  "MACs",
  "weights",
];
/** Those of the README's table; what was not timed in WebAssembly has no column. */
const shownOf = (rows: readonly Made[]): readonly string[] => [
  ...["asked", "milliseconds", "faster"],
  ...(rows.some(({ web }) => web !== undefined) ? ["in WebAssembly"] : []),
  ...["quality", "file"],
];

function conditions({ command, date, machine, onnxruntime }: CardTable, rows: readonly Made[]): string {
  const threads = [...new Set(rows.map((row) => row.threads))].join(" and ");
  return (
    `${date.slice(0, 10)}, ${machine.processor} (${machine.instructions.join(", ")}), ${threads} threads, Node ` +
    `${machine.node}, ONNX Runtime ${onnxruntime}; both files in turns, a second time in a process of their own, ` +
    `on pictures that nothing was fitted to; \`${command}\`.`
  );
}

/** The pages, by the network's name; networks that were not here have none. */
export function cardPages(table: CardTable, known: readonly About[]): ReadonlyMap<string, string> {
  const names = [...new Set(known.map(({ name }) => name))];
  const pages = names.flatMap((name): [string, string][] => {
    const rows = table.rows.filter((row) => row.name === name && row.outcome !== "skipped");
    const about = known.find((one) => one.name === name);
    return rows.length === 0 || about === undefined ? [] : [[name, page(table, rows, about)]];
  });
  return new Map(pages);
}

function page(table: CardTable, rows: readonly Made[], { name, about, origin, input }: About): string {
  const commands = rows.map(({ budget, threads }) => {
    const words = [...budget, ...input, "--threads", `${threads}`].join(" ");
    return `    npx filterbasis compress ${name}.onnx -o small.onnx --data pictures/ ${words}`;
  });
  const skipped = new Map(rows.flatMap((row) => row.skipped ?? []).map(({ name: layer, reason }) => [layer, reason]));
  const spent = rows.map((made) => `${budgetOf(made)}: ${made.seconds ?? 0} s, ${made.peakMiB ?? 0} MiB`);
  return `${[
    `# ${name}`,
    "",
    `${about}. From: ${origin}.`,
    "",
    ...commands,
    "",
    line(columns),
    line(columns.map((_, at) => (at === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(cells(row))),
    "",
    `Time and memory of the commands: ${spent.join("; ")}.`,
    "",
    ...(skipped.size === 0
      ? ["No layer was skipped."]
      : ["Layers that were skipped:", "", ...[...skipped].map(([layer, reason]) => `- ${layer}: ${reason}`)]),
    "",
    `<sub>${conditions(table, rows)}</sub>`,
  ].join("\n")}\n`;
}

/** The README's table, in the form of scripts/readme-tables.mjs. */
export function overview(table: CardTable, known: readonly About[]) {
  const pages = cardPages(table, known);
  const shown = shownOf(table.rows);
  // Other draws of the calibration images, and what lacks libtorch, stand on the network's page.
  const first = known.filter(({ budget, without }) => !budget.includes("--seed") && without === undefined);
  const rows = first.flatMap(({ name, about, budget }) => {
    const made = table.rows.find((row) => row.name === name && `${row.budget}` === `${budget}`);
    if (made === undefined || !pages.has(name)) return [];
    const own = cells(made);
    return [[`[${name}](docs/cards/${name}.md)`, about, ...shown.map((column) => own[columns.indexOf(column)]!)]];
  });
  return {
    title: "Real networks, the file given against the file written",
    columns: ["network", "what it does", ...shown],
    rows,
    date: table.date.slice(0, 10),
    machine: `${table.machine.processor}, ${table.rows[0]?.threads ?? 2} threads`,
    versions: { Node: table.machine.node, "ONNX Runtime": table.onnxruntime },
    seed: 0,
    command: table.command,
  };
}
