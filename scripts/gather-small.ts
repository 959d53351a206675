// A small version of a table or a figure of the paper: rows of `compare --methods` gathered into
// results/tableN-small.json or results/figureN-small.json (with its plot, docs/figure-N-small.svg), which `tables N
// --small` shows. Rows may lie in several folders (made on other machines); of a method the row that was fine-tuned
// counts. --seeds names the same comparison from another seed, --name NAME makes results/tableN-small-NAME.json. With
// --earlier what that file holds and no folder has stays in it. For a figure the folders are comparisons at several
// budgets.
//   tsx scripts/gather-small.ts --table 5 --model weights/resnet20.onnx --title TEXT [--note TEXT] [--name NAME]
//     [--seeds FOLDER ...] [--earlier] FOLDER ...
//   tsx scripts/gather-small.ts --figure 5 --methods basis,kse --model weights/resnet20.onnx --title TEXT FOLDER ...
import { parseArgs } from "node:util";
import { parseHTML } from "linkedom";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { smallFigureCells, smallFigureSvg } from "../src/report/small-figure.js";
import { type SmallTable, smallTableCells } from "../src/report/small-table.js";
import { loadModel } from "../src/runtime/files.js";
import { writeAside } from "../src/runtime/write.js";
import { readJson } from "../src/train/run-folder.js";
import { gatherFigure } from "./small/figure.js";
import { gatherTable, originalIn } from "./small/table.js";

const text = { type: "string" } as const;
const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ table: text, figure: text, methods: text, model: text, title: text, note: text, name: text },
    earlier: { type: "boolean" },
    seeds: { ...text, multiple: true },
  },
});
const { table, figure, model, title, note } = values;
if ((table === undefined) === (figure === undefined) || !model || !title || (folders.length === 0 && !values.earlier))
  throw new Error(
    "usage: gather-small (--table N | --figure N [--methods NAMES]) --model FILE --title TEXT FOLDER ...",
  );
const { graph } = prepareForPlanning(await loadModel(model));
const suffix = values.name === undefined ? "" : `-${values.name}`;
const file = `table${table}-small${suffix}.json`;
const earlier = values.earlier ? await readJson<SmallTable>("results", file) : undefined;
const original = earlier?.original ?? (await originalIn(folders));
const told = { title, ...(note === undefined ? {} : { note }), original, folders };
if (table !== undefined) {
  const made = await gatherTable(graph, {
    ...{ small: Number(table), ...told, seeds: values.seeds ?? [] },
    ...(earlier === undefined ? {} : { earlier }),
  });
  await writeAside(`results/${file}`, `${JSON.stringify(made, null, 2)}\n`);
  console.log(smallTableCells(made).join("\n"));
} else {
  const methods = (values.methods ?? "basis,kse").split(",");
  const made = await gatherFigure(graph, { figure: Number(figure), ...told, methods });
  await writeAside(`results/figure${figure}-small${suffix}.json`, `${JSON.stringify(made, null, 2)}\n`);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg = smallFigureSvg(made, document as unknown as Document);
  await writeAside(`docs/figure-${figure}-small${suffix}.svg`, `${svg.trimEnd()}\n`);
  console.log(smallFigureCells(made).join("\n"));
}
