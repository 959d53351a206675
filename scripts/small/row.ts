// One row of `compare --methods` as a table or figure in small has it: what the method leaves as the row counts it,
// else counted anew; errors as they were measured. A run that was fine-tuned to its end but not evaluated in ONNX
// Runtime gives what libtorch measured behind its last epoch; one that was not says how far it came.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isError } from "../../src/errors/error.js";
import type { Graph } from "../../src/graph/types.js";
import { type Counts, countsOf } from "../../src/methods/counts.js";
import { methodPass } from "../../src/methods/methods.js";
import { optionsWithin } from "../../src/methods/within-budget.js";
import { parseMetrics } from "../../src/report/run.js";
import { notRun, type SmallRow } from "../../src/report/small-table.js";
import type { Recipe } from "../../src/train/recipe.js";
import { readJson, runFiles } from "../../src/train/run-folder.js";

interface Row extends Partial<Counts> {
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
  const counts = countedIn(row) ?? (options === undefined ? {} : countedBy(graph, method, options));
  const start = (await readJson<{ top1Error?: number }>(run, runFiles.startMetrics))?.top1Error;
  const about = await readJson<{ versions: Versions }>(run, runFiles.run);
  const { tuned, ...end } = await ended(run, row, recipe);
  const errors = { compressed: row?.compressed?.top1Error, calibrated: row?.calibrated?.top1Error ?? start, tuned };
  const known = Object.entries(errors).filter(([, error]) => error !== undefined);
  return {
    ...{ method, ...counts, ...Object.fromEntries(known), ...end },
    ...versionsIn(about?.versions),
  };
}

export interface Versions {
  readonly device: string;
  readonly libtorch: string;
  readonly commit?: string | null;
}

export function versionsIn(versions: Versions | undefined): Partial<Record<keyof Versions, string>> {
  if (versions === undefined) return {};
  const { device, libtorch, commit } = versions;
  return { device, libtorch, ...(commit ? { commit } : {}) };
}

type SmallCounts = Pick<SmallRow, "weights" | "parameters" | "macs" | "paperMacs">;

function countedIn({ weights, parameters, macs, paperMacs }: Row = {}): SmallCounts | undefined {
  if (weights === undefined || parameters === undefined || macs === undefined) return undefined;
  return { weights, parameters, macs, ...(paperMacs === undefined || paperMacs === macs ? {} : { paperMacs }) };
}

/** Methods that choose their sizes on images: without a count of their own nothing is known. */
const sizedByImages: readonly string[] = ["amc", "zhang"];

function countedBy(graph: Graph, method: string, options: object): SmallCounts {
  return sizedByImages.includes(method) ? {} : countedIn(countsOf(methodPass(method, options)(graph).graph))!;
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
  return (
    found.find(({ tuned }) => tuned !== undefined) ??
    found[0] ?? { method, reason: await whyNotRun(graph, folders[0]!, method) }
  );
}

/** What was not run and cannot keep the budget says so. */
async function whyNotRun(graph: Graph, folder: string, method: string): Promise<string> {
  const { kind, value } = budgetIn(await conditionsOf(folder));
  if (kind !== "keepParams" && kind !== "keepMacs") return notRun;
  try {
    optionsWithin(method, graph, { kind, keep: value! }, new Map());
    return notRun;
  } catch (error) {
    if (isError(error, "unsupported")) return "not run: it has no budget";
    if (isError(error, "budget-unreachable")) return "not run: no size of it is within the budget";
    throw error;
  }
}

type Conditions = Readonly<Record<string, unknown>>;

/** What was asked of a comparison, but for what may differ between machines. */
export async function conditionsOf(folder: string): Promise<Conditions> {
  const request = await readJson<Record<string, unknown>>(folder, "comparison.json");
  const { model: _, device: __, threads: ___, images: ____, ...conditions } = request ?? {};
  return conditions;
}

export const budgetIn = ({ budget }: Conditions) =>
  (budget ?? {}) as { readonly kind?: string; readonly value?: number };

/** @throws Error naming the first folder whose conditions are not those of the others */
export function sameConditions(
  all: readonly { readonly folder: string; readonly conditions: Conditions }[],
): Conditions {
  const [first] = all;
  if (first === undefined) throw new Error("no folder of a comparison was given");
  const told = JSON.stringify(first.conditions);
  const other = all.find(({ conditions }) => JSON.stringify(conditions) !== told);
  if (other === undefined) return first.conditions;
  throw new Error(`${other.folder} was compared otherwise: ${JSON.stringify(other.conditions)}, not ${told}`);
}
