// A small version of a table of the paper: rows of `compare --methods` gathered into results/tableN-small.json, which
// `tables N --small` and the README show. Rows may lie in several folders (made on other machines); of a method the row
// that was fine-tuned counts. A run that was fine-tuned to its end but not evaluated in ONNX Runtime gives what
// libtorch measured behind its last epoch; one that was not is listed with how far it came.
//   tsx scripts/gather-small.ts --table 5 --model weights/resnet20.onnx --title TEXT [--note TEXT] FOLDER ...
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { countsOf } from "../src/methods/counts.js";
import { methodPass, methods } from "../src/methods/methods.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { parseMetrics } from "../src/report/run.js";
import type { SmallRow, SmallTable } from "../src/report/small-table.js";
import { loadModel } from "../src/runtime/files.js";
import { writeAside } from "../src/runtime/write.js";
import type { Recipe } from "../src/train/recipe.js";
import { readJson, runFiles } from "../src/train/run-folder.js";

const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    table: { type: "string" },
    model: { type: "string" },
    title: { type: "string" },
    note: { type: "string" },
  },
});
const { table, model, title, note } = values;
if (table === undefined || model === undefined || title === undefined || folders.length === 0)
  throw new Error("usage: gather-small --table N --model FILE --title TEXT FOLDER ...");

const graph = prepareForPlanning(await loadModel(model)).graph;

interface Row {
  readonly options?: object;
  readonly compressed?: { readonly top1Error?: number };
  readonly calibrated?: { readonly top1Error?: number };
  readonly tuned?: { readonly top1Error?: number };
  readonly reason?: string;
}

async function rowIn(folder: string, method: string): Promise<SmallRow | undefined> {
  const at = join(folder, method);
  const run = join(at, "run");
  const row = await readJson<Row>(at, "row.json");
  const recipe = await readJson<Recipe>(run, runFiles.recipe);
  if (row === undefined && recipe === undefined) return undefined;
  const { method: _, ...asked } = (recipe?.compress ?? {}) as { readonly method?: string };
  const { weights, parameters, macs } = countsOf(methodPass(method, row?.options ?? asked)(graph).graph);
  const start = (await readJson<{ top1Error?: number }>(run, runFiles.startMetrics))?.top1Error;
  const about = await readJson<{ versions: { device: string; libtorch: string; processor: string } }>(
    run,
    runFiles.run,
  );
  const journal = join(run, runFiles.metrics);
  const { epochs, steps } = existsSync(journal)
    ? parseMetrics(await readFile(journal, "utf8"))
    : { epochs: [], steps: [] };
  const finished = recipe !== undefined && epochs.length === recipe.epochs;
  const last = epochs.at(-1)?.metrics.top1Error;
  const tuned = row?.tuned?.top1Error ?? (finished ? last : undefined);
  return {
    ...{ method, weights, parameters, macs },
    ...(row?.compressed?.top1Error === undefined ? {} : { compressed: row.compressed.top1Error }),
    ...((row?.calibrated?.top1Error ?? start) === undefined
      ? {}
      : { calibrated: row?.calibrated?.top1Error ?? start! }),
    ...(tuned === undefined ? {} : { tuned }),
    ...(tuned === undefined
      ? { reason: row?.reason ?? `stopped after ${steps.length} steps, epoch ${epochs.length}: ${last ?? "-"} %` }
      : { evaluatedBy: row?.tuned === undefined ? "libtorch" : "ONNX Runtime" }),
    ...(about === undefined ? {} : { device: about.versions.device, libtorch: about.versions.libtorch }),
  };
}

async function best(method: string): Promise<SmallRow> {
  const found = (await Promise.all(folders.map((folder) => rowIn(folder, method)))).filter((row) => row !== undefined);
  return found.find(({ tuned }) => tuned !== undefined) ?? found[0] ?? { method, reason: "not run" };
}

const rows = await Promise.all(Object.keys(methods).map(best));
const { top1Error, weights, parameters, macs } = await evaluateModel(model, { data: "cifar10", latency: false });
const request = await readJson<Record<string, unknown>>(folders[0]!, "comparison.json");
const { model: _, device: __, threads: ___, images: ____, ...conditions } = request ?? {};
const made: SmallTable = {
  small: Number(table),
  title,
  ...(note === undefined ? {} : { note }),
  ...{ conditions, original: { top1Error: top1Error!, weights, parameters, macs } },
  rows: rows.toSorted((a, b) => (a.tuned ?? 1e3) - (b.tuned ?? 1e3)),
};
await writeAside(`results/table${table}-small.json`, new TextEncoder().encode(`${JSON.stringify(made, null, 2)}\n`));
console.log(rows.map(({ method, tuned, reason }) => `${method}: ${tuned ?? reason}`).join("\n"));
