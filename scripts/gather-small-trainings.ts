// A small version of a table of the paper whose rows are trainings: run folders of `train` gathered into
// results/tableN-small.json (with --name NAME: results/tableN-small-NAME.json), which `tables N --small` shows. Models
// of finished runs are evaluated in ONNX Runtime on each --data, as `evaluate --data` takes it; --kept names a file
// with what was measured before. --original is the model that the runs began with, where none of them is a baseline.
//   tsx scripts/gather-small-trainings.ts --table 2 --title TEXT [--note TEXT] --data set5 --data set14 RUN ...
import { parseArgs } from "node:util";
import { smallTrainingCells } from "../src/report/small-trainings.js";
import { writeAside } from "../src/runtime/write.js";
import { evaluator } from "./small/evaluations.js";
import { gatherTrainings } from "./small/trainings.js";

const text = { type: "string" } as const;
const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ table: text, title: text, note: text, name: text, original: text, kept: text },
    data: { ...text, multiple: true },
  },
});
const { table, title, note, name, original, kept, data = [] } = values;
if (!table || !title || data.length === 0 || folders.length === 0)
  throw new Error("usage: gather-small-trainings --table N --title TEXT --data DATA ... RUN ...");
const made = await gatherTrainings({
  ...{ small: Number(table), title, folders, data, evaluate: evaluator(kept) },
  ...(note === undefined ? {} : { note }),
  ...(original === undefined ? {} : { original }),
});
const suffix = name === undefined ? "" : `-${name}`;
await writeAside(`results/table${table}-small${suffix}.json`, `${JSON.stringify(made, null, 2)}\n`);
console.log(smallTrainingCells(made).join("\n"));
