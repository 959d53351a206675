// A run folder as the report page wants it: metrics, the models before and after, what was asked.
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { layerRows } from "../report/layers.js";
import type { RunReport } from "../report/page.js";
import { chainRows } from "../report/recorded-layers.js";
import { type Metrics, parseMetrics } from "../report/run.js";
import type { StateMetrics } from "../report/states.js";
import { loadModel } from "../runtime/files.js";
import { type Recipe, recipeSchema } from "../train/recipe.js";
import { readJson, runFiles } from "../train/run-folder.js";

/** The models of a run; those that it has not written are not there. */
export interface RunModels {
  /** As it was before anything was done to it. */
  readonly original?: Graph;
  /** Compressed, nothing trained yet. */
  readonly start?: Graph;
  readonly last?: Graph;
}

export interface RunContents {
  readonly report: RunReport;
  readonly models: RunModels;
  /** Absent where the folder holds none, or one of another version. */
  readonly recipe?: Recipe;
}

/**
 * Everything of a run folder that the page shows, apart from what is measured and drawn when it is written.
 * @throws FilterBasisError `not-found`, `malformed`
 */
export async function readRun(folder: string): Promise<RunContents> {
  const metricsFile = join(folder, runFiles.metrics);
  const text = await readFile(metricsFile, "utf8").catch(() => {
    throw new FilterBasisError("not-found", "this is not a run folder, or nothing was measured in it yet", {
      file: metricsFile,
      cures: ["give the folder that `train` wrote"],
    });
  });
  const metrics = parseMetrics(text, metricsFile);
  const { recipe: recipeFile, run: runFile, summary: summaryFile, originalMetrics, startMetrics } = runFiles;
  const [recipe, run, summary, before, compressed] = await Promise.all(
    [recipeFile, runFile, summaryFile, originalMetrics, startMetrics].map((name) =>
      readJson<Record<string, unknown>>(folder, name),
    ),
  );
  const models = await readModels(folder);
  const { original, last } = models;
  const report: RunReport = {
    title: typeof recipe?.name === "string" ? recipe.name : basename(resolve(folder)),
    about: [...about(run, metrics.epochs.at(-1)?.seconds), ...(original ? [countedAt(original)] : [])],
    metrics,
    states: summary
      ? statedMetrics(summary)
      : states(models, numbersOf(before ?? {}), numbersOf(compressed ?? {}), metrics),
    layers: last ? layerRows(last, original) : [],
    chains: last ? chainRows(last) : [],
    pictures: await pictures(folder),
    recipe: recipe ? JSON.stringify(recipe, null, 2) : "",
  };
  const checked = recipeSchema.safeParse(recipe);
  return { report, models, ...(checked.success ? { recipe: checked.data } : {}) };
}

async function readModels(folder: string): Promise<RunModels> {
  const read = async (key: keyof RunModels, name: string): Promise<RunModels> => {
    try {
      return { [key]: await loadModel(join(folder, name)) };
    } catch (error) {
      if (error instanceof FilterBasisError && error.code === "not-found") return {};
      throw error;
    }
  };
  return {
    ...(await read("original", runFiles.original)),
    ...(await read("start", runFiles.start)),
    ...(await read("last", runFiles.last)),
  };
}

/** A summary that the run wrote itself. */
function statedMetrics(summary: Record<string, unknown>): RunReport["states"] {
  return ["before", "compressed", "trained"].flatMap((name) => {
    const metrics = record(summary[name]);
    return metrics ? [{ name, metrics: numbersOf(metrics) }] : [];
  });
}

/** Without a summary: what can be counted in the models, with the metrics that the run measured of them. */
function states(
  { original, start, last }: RunModels,
  before: StateMetrics,
  compressed: StateMetrics,
  { epochs }: Metrics,
): RunReport["states"] {
  const counted = (name: string, graph: Graph | undefined, metrics: StateMetrics) => {
    if (graph === undefined) return [];
    const { weights, parameters, macs, bytes } = cost(graph);
    return [{ name, metrics: { ...metrics, weights, parameters, macs, bytes } }];
  };
  return [
    ...counted(start ? "before" : "at the start", original, before),
    ...counted("compressed", start, compressed),
    ...counted("trained", last, epochs.at(-1)?.metrics ?? {}),
  ];
}

/** The size at which MACs are counted, and times measured. */
function countedAt(graph: Graph): string {
  const shapes = [...cost(graph).inputs.values()].map((dims) => dims.join(" × "));
  return `MACs are for an input of ${shapes.join(", ")}`;
}

function about(run: Record<string, unknown> | undefined, seconds: number | undefined): string[] {
  const flat = { ...(record(run?.versions) ?? {}), ...run };
  const parts = Object.entries(flat).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  const time = seconds === undefined ? [] : [`fine-tuned for ${(seconds / 60).toFixed(1)} minutes`];
  return [...time, parts.map(([name, value]) => `${name} ${value}`).join(" · ")].filter(Boolean);
}

function numbersOf(values: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

const record = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

/** PNG and JPEG pictures that the run left in its folder or in `pictures/`. */
async function pictures(folder: string): Promise<RunReport["pictures"]> {
  const found: { caption: string; url: string }[] = [];
  for (const place of [folder, join(folder, "pictures")]) {
    const names = await readdir(place).catch(() => []);
    for (const name of names.filter((one) => /\.(png|jpe?g)$/i.test(one)).sort()) {
      const type = /\.png$/i.test(name) ? "image/png" : "image/jpeg";
      const bytes = await readFile(join(place, name));
      found.push({
        caption: name.replace(/\.[a-z]+$/i, "").replaceAll(/[-_]/g, " "),
        url: `data:${type};base64,${bytes.toString("base64")}`,
      });
    }
  }
  return found;
}
