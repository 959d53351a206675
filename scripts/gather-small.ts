// A small version of a table or a figure of the paper: rows of `compare --methods` gathered into
// results/tableN-small.json or results/figureN-small.json (with its plot, docs/figure-N-small.svg), which `tables N
// --small` and the README show. Rows may lie in several folders (made on other machines); of a method the row that was
// fine-tuned counts. For a figure the folders are comparisons at several budgets.
//   tsx scripts/gather-small.ts --table 5 --model weights/resnet20.onnx --title TEXT [--note TEXT] FOLDER ...
//   tsx scripts/gather-small.ts --figure 5 --methods basis,kse --model weights/resnet20.onnx --title TEXT FOLDER ...
import { parseArgs } from "node:util";
import { parseHTML } from "linkedom";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import type { Graph } from "../src/graph/types.js";
import { methods } from "../src/methods/methods.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { smallFigureCells, smallFigureSvg } from "../src/report/small-figure.js";
import type { SmallTable } from "../src/report/small-table.js";
import { loadModel } from "../src/runtime/files.js";
import { writeAside } from "../src/runtime/write.js";
import { gatherFigure } from "./small/figure.js";
import { bestRow, conditionsOf } from "./small/row.js";

type Told = Pick<SmallTable, "title" | "note" | "original">;

async function table(number: number, graph: Graph, folders: readonly string[], told: Told): Promise<void> {
  const rows = await Promise.all(Object.keys(methods).map((method) => bestRow(graph, folders, method)));
  const { title, original, ...note } = told;
  const made: SmallTable = {
    ...{ small: number, title, ...note, conditions: await conditionsOf(folders[0]!), original },
    rows: rows.toSorted((a, b) => (a.tuned ?? 1e3) - (b.tuned ?? 1e3)),
  };
  await writeAside(`results/table${number}-small.json`, encoded(JSON.stringify(made, null, 2)));
  console.log(rows.map(({ method, tuned, reason }) => `${method}: ${tuned ?? reason}`).join("\n"));
}

async function figure(number: number, graph: Graph, folders: readonly string[], names: string, told: Told) {
  const made = await gatherFigure(graph, { ...told, figure: number, folders, methods: names.split(",") });
  await writeAside(`results/figure${number}-small.json`, encoded(JSON.stringify(made, null, 2)));
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  await writeAside(`docs/figure-${number}-small.svg`, encoded(smallFigureSvg(made, document as unknown as Document)));
  console.log(smallFigureCells(made).join("\n"));
}

const encoded = (text: string) => new TextEncoder().encode(`${text.trimEnd()}\n`);

const text = { type: "string" } as const;
const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: { table: text, figure: text, methods: text, model: text, title: text, note: text },
});
const { model, title, note } = values;
if ((values.table === undefined) === (values.figure === undefined) || !model || !title || folders.length === 0)
  throw new Error(
    "usage: gather-small (--table N | --figure N [--methods NAMES]) --model FILE --title TEXT FOLDER ...",
  );
const graph = prepareForPlanning(await loadModel(model)).graph;
const { top1Error, weights, parameters, macs } = await evaluateModel(model, { data: "cifar10", latency: false });
const told: Told = {
  title,
  ...(note === undefined ? {} : { note }),
  original: { top1Error: top1Error!, weights, parameters, macs },
};
if (values.table !== undefined) await table(Number(values.table), graph, folders, told);
else await figure(Number(values.figure), graph, folders, values.methods ?? "basis,kse", told);
