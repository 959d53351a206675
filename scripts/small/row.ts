// One row of `compare --methods` as a table or figure in small has it: what the method leaves counted anew, errors as
// they were measured. A run that was fine-tuned to its end but not evaluated in ONNX Runtime gives what libtorch
// measured behind its last epoch; one that was not says how far it came.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Graph } from "../../src/graph/types.js";
import { countsOf } from "../../src/methods/counts.js";
import { methodPass } from "../../src/methods/methods.js";
import { parseMetrics } from "../../src/report/run.js";
import type { SmallRow } from "../../src/report/small-table.js";
import type { Recipe } from "../../src/train/recipe.js";
import { readJson, runFiles } from "../../src/train/run-folder.js";

interface Row {
  readonly options?: object;
  readonly compressed?: { readonly top1Error?: number };
  readonly calibrated?: { readonly top1Error?: number };
  readonly tuned?: { readonly top1Error?: number };
  readonly reason?: string;
}

/** The row of a method in the folder of a comparison of a network; undefined where it was not begun. */
export async function rowIn(graph: Graph, folder: string, method: string): Promise<SmallRow | undefined> {
  const at = join(folder, method);
  const run = join(at, "run");
  const row = await readJson<Row>(at, "row.json");
  const recipe = await readJson<Recipe>(run, runFiles.recipe);
  if (row === undefined && recipe === undefined) return undefined;
  const { method: _, ...asked } = (recipe?.compress ?? {}) as { readonly method?: string };
  const options = row === undefined ? asked : row.options;
  // a method that did not come to options has a reason alone
  const counts = options === undefined ? {} : countedBy(graph, method, options);
  const start = (await readJson<{ top1Error?: number }>(run, runFiles.startMetrics))?.top1Error;
  const about = await readJson<{ versions: { device: string; libtorch: string } }>(run, runFiles.run);
  const { tuned, ...end } = await ended(run, row, recipe);
  const errors = { compressed: row?.compressed?.top1Error, calibrated: row?.calibrated?.top1Error ?? start, tuned };
  const known = Object.entries(errors).filter(([, error]) => error !== undefined);
  return {
    ...{ method, ...counts, ...Object.fromEntries(known), ...end },
    ...(about === undefined ? {} : { device: about.versions.device, libtorch: about.versions.libtorch }),
  };
}

function countedBy(graph: Graph, method: string, options: object) {
  const { weights, parameters, macs, paperMacs } = countsOf(methodPass(method, options)(graph).graph);
  return { weights, parameters, macs, ...(paperMacs === macs ? {} : { paperMacs }) };
}

/** The error after fine-tuning and what measured it, or why there is none. */
async function ended(
  run: string,
  row: Row | undefined,
  recipe: Recipe | undefined,
): Promise<Pick<SmallRow, "tuned" | "evaluatedBy" | "reason">> {
  if (row?.tuned?.top1Error !== undefined) return { tuned: row.tuned.top1Error, evaluatedBy: "ONNX Runtime" };
  const journal = join(run, runFiles.metrics);
  const { epochs, steps } = existsSync(journal)
    ? parseMetrics(await readFile(journal, "utf8"))
    : { epochs: [], steps: [] };
  const last = epochs.at(-1)?.metrics.top1Error;
  const finished = recipe !== undefined && epochs.length === recipe.epochs;
  if (finished && last !== undefined) return { tuned: last, evaluatedBy: "libtorch" };
  return { reason: row?.reason ?? `stopped after ${steps.length} steps, epoch ${epochs.length}: ${last ?? "-"} %` };
}

/** Of the same method in several folders (made on several machines) the row that was fine-tuned. */
export async function bestRow(graph: Graph, folders: readonly string[], method: string): Promise<SmallRow> {
  const rows = await Promise.all(folders.map((folder) => rowIn(graph, folder, method)));
  const found = rows.filter((row) => row !== undefined);
  return found.find(({ tuned }) => tuned !== undefined) ?? found[0] ?? { method, reason: "not run" };
}

/** What was asked of a comparison, but for what may differ between machines. */
export async function conditionsOf(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const request = await readJson<Record<string, unknown>>(folder, "comparison.json");
  const { model: _, device: __, threads: ___, images: ____, ...conditions } = request ?? {};
  return conditions;
}
