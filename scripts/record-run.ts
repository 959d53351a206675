// Makes a result out of a run: its last model evaluated in ONNX Runtime on the test data, with the conditions, as a
// file of results/; with --weights its model too, as a file that ships. Usage: npm run record -- RUN --data cifar10
// --name NAME [--weights weights/FILE.onnx] [--commit ID]
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { parseMetrics } from "../src/report/run.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { checkOutput } from "../src/runtime/output.js";
import type { Recipe } from "../src/train/recipe.js";
import { readJson, runFiles } from "../src/train/run-folder.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: "string" },
    name: { type: "string" },
    weights: { type: "string" },
    scale: { type: "string" },
    commit: { type: "string" },
  },
});
const [run] = positionals;
const { data, name, weights, scale } = values;
if (run === undefined || data === undefined || name === undefined)
  throw new Error("usage: npm run record -- RUN --data DATA --name NAME");

await mkdir("results", { recursive: true });
await checkOutput(join("results", `${name}.json`));
const recipe = (await readJson<Recipe>(run, runFiles.recipe)) as Recipe;
const about = (await readJson<{ seed: number; versions: Record<string, unknown> }>(run, runFiles.run))!;
/** Of the tree that trained; stated where that was a copy without its repository. */
const commit = values.commit ?? about.versions.commit;
const { epochs } = parseMetrics(await readFile(join(run, runFiles.metrics), "utf8"));
const last = epochs.at(-1)!;
const model = join(run, runFiles.last);
const evaluated = await evaluateModel(model, {
  data,
  latency: false,
  ...(scale === undefined ? {} : { scale: Number(scale) }),
});
const { top1Error, psnr, ssim, images, parameters, macs } = evaluated;
const metrics = Object.fromEntries(
  Object.entries({ top1Error, psnr, ssim }).filter(([, value]) => value !== undefined),
);
const best = epochs.toSorted(
  (a, b) => (a.metrics.top1Error ?? -(a.metrics.psnr ?? 0)) - (b.metrics.top1Error ?? -(b.metrics.psnr ?? 0)),
)[0];
/** Where files lay on the machine that measured says nothing to others: their names stay. */
const withoutPath = (value: unknown) => (typeof value === "string" && /[\\/]/.test(value) ? basename(value) : value);
const result = {
  recipe: recipe.name,
  data: withoutPath(data),
  metrics,
  evaluatedWith: "ONNX Runtime, last epoch",
  images,
  epochs: recipe.epochs,
  epochsOfRecipe: recipe.epochs,
  seed: about.seed,
  changes: [],
  machine: `${about.versions.processor}, ${about.versions.threads} threads`,
  commit: commit ?? null,
  hours: (last.seconds ?? 0) / 3600,
  versions: { ...about.versions, commit: commit ?? null },
  weights: evaluated.weights,
  parameters,
  macs,
  bestOfEpochsOnTestData: best === undefined ? null : { epoch: best.epoch, ...best.metrics },
  settings: JSON.parse(JSON.stringify(recipe, (_, value) => withoutPath(value))) as Recipe,
};
await writeFile(join("results", `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
console.log(JSON.stringify({ metrics, hours: result.hours }));
if (weights !== undefined) {
  await mkdir(dirname(weights), { recursive: true });
  const graph = await loadModel(model);
  const note = `trained by recipe ${recipe.name}, seed ${about.seed}${commit ? `, commit ${commit}` : ""}; see results/${name}.json`;
  await saveModel({ ...graph, metadata: new Map([...graph.metadata, ["filterbasis.trained", note]]) }, weights);
}
