// How many steps of a recipe fit into a time: a short trial of the real thing tells.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "../runtime/index.js";
import type { Recipe } from "../train/recipe.js";
import { trainInWorker } from "../train/worker-client.js";
import type { Context } from "./frame.js";

const trial = 12;
/** The first steps pay for memory and code that later ones find ready. */
const warmup = 4;

/** At least one step. The trial is thrown away. */
export async function stepsFor(recipe: Recipe, seconds: number, { signal }: Context): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-trial-"));
  const times: number[] = [];
  try {
    const { test: _, ...data } = recipe.data;
    const short: Recipe = { ...recipe, steps: trial, calibrate: 0, recalibrate: 0, data: { ...data, testSubset: 10 } };
    await trainInWorker(folder, short, { onStep: () => void times.push(performance.now()) }, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const intervals = times
    .slice(1)
    .map((time, i) => time - times[i]!)
    .slice(warmup);
  return Math.max(1, Math.floor((1000 * seconds) / median(intervals)));
}
