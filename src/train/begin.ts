// How a run begins: in a folder that holds none, or one whose only try failed before its first step; or it goes on.
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { parseRecipe, type Recipe } from "./recipe.js";
import { appendLog, readJson, runFiles, writeJson } from "./run-folder.js";

/** What only a run that has begun writes. */
const trained = [runFiles.metrics, runFiles.checkpoints, runFiles.best, runFiles.last];
/** What it writes before its first step. */
const prepared = [runFiles.run, runFiles.original, runFiles.originalMetrics, runFiles.start, runFiles.startMetrics];

/**
 * The recipe by which the run in `folder` is trained; written there when it begins.
 * @throws FilterBasisError `not-found`, `usage`, `invalid-recipe`
 */
export async function beginRun(folder: string, recipe: Recipe | "resume"): Promise<Recipe> {
  const there = await readJson<unknown>(folder, runFiles.recipe);
  if (recipe === "resume") {
    if (there !== undefined) return parseRecipe(there, join(folder, runFiles.recipe));
    throw new FilterBasisError("not-found", "there is no run to resume", { file: folder, expected: runFiles.recipe });
  }
  const cures = ["choose another folder: -o"];
  if (there !== undefined) {
    if ((await present(folder, trained)).length > 0 || !(await wasBegun(folder))) {
      throw new FilterBasisError("usage", "the folder holds a run already", {
        file: folder,
        cures: ["resume it: --resume", ...cures],
      });
    }
    // The recipe there is of a try that never came to a step: so are these files, of which the new one may write fewer.
    for (const name of prepared) await rm(join(folder, name), { force: true });
  } else {
    const got = await present(folder, [...trained, ...prepared]);
    if (got.length > 0)
      throw new FilterBasisError("usage", "a run would write over files of this folder", {
        file: folder,
        got: got.join(", "),
        cures,
      });
  }
  appendLog(folder, `begun: ${recipe.name}, seed ${recipe.seed}`);
  await writeJson(folder, runFiles.recipe, recipe);
  return recipe;
}

/** Whether a run folder holds anything that was trained, so that a run can go on from it or its model be taken. */
export async function holdsTrained(folder: string): Promise<boolean> {
  return (await present(folder, [runFiles.checkpoints, runFiles.best, runFiles.last])).length > 0;
}

/** True where the recipe is a run's, not somebody's own file of that name: a run opens its log before. */
async function wasBegun(folder: string): Promise<boolean> {
  const log = await readFile(join(folder, runFiles.log), "utf8").catch(() => "");
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z begun: /.test(log);
}

/**
 * Those of the names that are there; not counted are empty files, and folders without a file that has a name of its
 * own.
 */
async function present(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined) continue;
    const own = status.isDirectory() ? (await readdir(path)).some((entry) => !entry.startsWith(".")) : status.size > 0;
    if (own) found.push(name);
  }
  return found;
}
