// A table in small of trainings: one row a run folder of `train`, its last model evaluated if the run was finished, and
// how far it came if not.
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { countsOf } from "../../src/methods/counts.js";
import { parseMetrics } from "../../src/report/run.js";
import type { SmallTraining, SmallTrainings } from "../../src/report/small-trainings.js";
import { loadModel } from "../../src/runtime/files.js";
import type { Recipe } from "../../src/train/recipe.js";
import { loadRecipe } from "../../src/train/recipe-files.js";
import { readJson, runFiles } from "../../src/train/run-folder.js";
import type { Evaluate, Evaluated } from "./evaluations.js";
import { type Versions, versionsIn } from "./row.js";

export interface TrainingsOptions extends Pick<SmallTrainings, "small" | "title" | "note"> {
  readonly folders: readonly string[];
  /** What finished models are evaluated on. */
  readonly data: readonly string[];
  /** A model that rows begin with: a row of its own, and what percents refer to. */
  readonly original?: string;
  readonly evaluate: Evaluate;
  /** The table as it was made before, from folders that are gone: trainings that these folders lack stay. */
  readonly earlier?: SmallTrainings;
}

/** @throws Error where no run is a baseline and no original is given, or a folder holds no run */
export async function gatherTrainings(options: TrainingsOptions): Promise<SmallTrainings> {
  const { folders, data, original, evaluate, earlier, ...told } = options;
  const trainings: SmallTraining[] = [];
  for (const folder of folders) trainings.push(await trainingIn(folder, data, evaluate));
  if (earlier !== undefined) return { ...earlier, ...told, trainings: replaced(earlier.trainings, trainings) };
  const baseline = folders[trainings.findIndex(({ layers }) => layers === "baseline")];
  const model = original ?? (baseline === undefined ? undefined : join(baseline, runFiles.last));
  if (model === undefined) throw new Error("no run is a baseline: give one, or the model that runs began with");
  const measured: [string, Evaluated][] = [];
  for (const set of data) measured.push([setName(set), await evaluate(model, set)]);
  const { weights, macs } = measured[0]![1];
  const bySet = (of: (evaluated: Evaluated) => number | undefined): Readonly<Record<string, number>> =>
    Object.fromEntries(measured.flatMap(([set, one]) => (of(one) === undefined ? [] : [[set, of(one)!]])));
  const references = [
    { name: "bicubic", psnr: bySet(({ bicubic }) => bicubic) },
    ...(original === undefined ? [] : [{ name: basename(original), psnr: bySet(({ psnr }) => psnr) }]),
  ].filter(({ psnr }) => Object.keys(psnr).length > 0);
  return { ...told, baseline: { weights, macs }, references, trainings };
}

/** In the order they had; what is new stands last. */
function replaced(before: readonly SmallTraining[], made: readonly SmallTraining[]): readonly SmallTraining[] {
  const same = (a: SmallTraining) => (b: SmallTraining) =>
    a.recipe === b.recipe && a.seed === b.seed && a.changes.join() === b.changes.join();
  return [
    ...before.map((training) => made.find(same(training)) ?? training),
    ...made.filter((training) => !before.some(same(training))),
  ];
}

async function trainingIn(folder: string, data: readonly string[], evaluate: Evaluate): Promise<SmallTraining> {
  const recipe = await readJson<Recipe>(folder, runFiles.recipe);
  const about = await readJson<{ readonly seed: number; readonly versions: Versions }>(folder, runFiles.run);
  if (recipe === undefined || about === undefined) throw new Error(`${folder} holds no run`);
  const { steps, epochs } = parseMetrics(await readFile(join(folder, runFiles.metrics), "utf8"));
  const model = join(folder, runFiles.last);
  const { weights, parameters, macs } = countsOf(await loadModel(model));
  const finished = epochs.length === recipe.epochs;
  const end = finished
    ? await quality(model, data, evaluate)
    : { reason: `stopped after ${steps.length} steps, ${epochs.length} of ${recipe.epochs} epochs` };
  return {
    ...{ recipe: recipe.name, layers: layersOf(recipe), changes: await changesIn(recipe) },
    ...{ weights, parameters, macs, steps: steps.at(-1)?.step ?? 0, ...end },
    ...{ seed: about.seed, ...versionsIn(about.versions) },
  };
}

async function quality(model: string, data: readonly string[], evaluate: Evaluate) {
  const psnrs: Record<string, number> = {};
  let error: number | undefined;
  for (const set of data) {
    const { psnr, top1Error } = await evaluate(model, set);
    if (psnr !== undefined) psnrs[setName(set)] = psnr;
    error ??= top1Error;
  }
  return {
    ...(Object.keys(psnrs).length === 0 ? {} : { psnr: psnrs }),
    ...(error === undefined ? {} : { top1Error: error }),
    evaluatedBy: "ONNX Runtime",
  };
}

/** .../set5 -> Set5 */
const setName = (data: string): string => basename(data).replace(/^./, (first) => first.toUpperCase());

/** The method with its options; gamma of Eq. 12 where there is a trained network to come near to. */
function layersOf({ network, compress, loss }: Recipe): string {
  if (compress === undefined) return "baseline";
  const { method, preset: _, ...options } = compress as Readonly<Record<string, unknown>>;
  const told = Object.entries(network.file === undefined ? options : { ...options, gamma: loss.gamma });
  return `${method}: ${told.map(([name, value]) => `${name} ${value}`).join(", ")}`;
}

/** What has to do with the machine is no change of a recipe. */
const ofMachine = ["device", "threads", "data.folder", "data.loaders", "network.file", "checkpoint.keep"];

/** In what a run differs from the recipe of its name, as --set takes it. */
async function changesIn(recipe: Recipe): Promise<readonly string[]> {
  const [asked, ran] = [flat(await loadRecipe(recipe.name)), flat(JSON.parse(JSON.stringify(recipe)))];
  return [...ran]
    .filter(([field, value]) => !ofMachine.includes(field) && asked.get(field) !== value)
    .map(([field, value]) => `${field}=${value}`);
}

/** Fields by their path, with values as text. */
function flat(fields: object, path = ""): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(fields).flatMap(([name, value]): [string, string][] =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? [...flat(value, `${path}${name}.`)]
        : [[`${path}${name}`, typeof value === "string" ? value : JSON.stringify(value)]],
    ),
  );
}
