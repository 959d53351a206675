// A small version of a table of the paper whose rows are trainings: run folders of `train` gathered into
// results/tableN-small.json (with --name NAME: results/tableN-small-NAME.json), which `tables N --small` shows. Models
// of finished runs are evaluated in ONNX Runtime on each --data, as `evaluate --data` takes it; --kept names a file
// with what was measured before. --original is the model that the runs began with, where none of them is a baseline.
// With --earlier trainings that the file holds and no folder has stay in it.
//   tsx scripts/gather-small-trainings.ts --table 2 --title TEXT [--note TEXT] --data set5 --data set14 RUN ...
import { parseArgs } from "node:util";
import { type SmallTrainings, smallTrainingCells } from "../src/report/small-trainings.js";
import { writeAside } from "../src/runtime/write.js";
import { readJson } from "../src/train/run-folder.js";
import { evaluator } from "./small/evaluations.js";
import { gatherTrainings } from "./small/trainings.js";

const text = { type: "string" } as const;
const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ table: text, title: text, note: text, name: text, original: text, kept: text },
    earlier: { type: "boolean" },
    data: { ...text, multiple: true },
  },
});
const { table, title, note, name, original, kept, data = [] } = values;
if (!table || !title || data.length === 0 || folders.length === 0)
  throw new Error("usage: gather-small-trainings --table N --title TEXT --data DATA ... RUN ...");
const suffix = name === undefined ? "" : `-${name}`;
const file = `table${table}-small${suffix}.json`;
const earlier = values.earlier ? await readJson<SmallTrainings>("results", file) : undefined;
const made = await gatherTrainings({
  ...{ small: Number(table), title, folders, data, evaluate: evaluator(kept) },
  ...(note === undefined ? {} : { note }),
  ...(original === undefined ? {} : { original }),
  ...(earlier === undefined ? {} : { earlier }),
});
await writeAside(`results/${file}`, `${JSON.stringify(made, null, 2)}\n`);
console.log(smallTrainingCells(made).join("\n"));
