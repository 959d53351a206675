// Tables in small of trainings from run folders: what was finished is evaluated, what was stopped says how far it came.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { evaluator } from "../scripts/small/evaluations.js";
import { gatherTrainings } from "../scripts/small/trainings.js";
import tables from "../src/cli/tables.js";
import { countsOf } from "../src/methods/counts.js";
import { methodPass } from "../src/methods/methods.js";
import { buildNet } from "../src/nets/table.js";
import { smallTrainingCells } from "../src/report/small-trainings.js";
import { saveModel } from "../src/runtime/files.js";
import { loadRecipe } from "../src/train/recipe-files.js";

const root = mkdtempSync(join(tmpdir(), "filterbasis-trainings-"));
afterAll(() => rmSync(root, { recursive: true }));

const plain = buildNet("edsr", { scale: 2, blocks: 1, width: 8, init: "kaiming", seed: 3 });
const small = methodPass("basis-scratch", { basis: 3, channels: 8 })(plain).graph;

/** A run folder of a recipe of the project's, changed by `set`, with so many epochs of two steps done. */
async function run(name: string, epochs: number, set: readonly string[] = []): Promise<string> {
  const recipe = await loadRecipe(name, set);
  const folder = join(root, [name, ...set].join("-"));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "recipe.json"), JSON.stringify({ ...recipe, device: "cuda:0", threads: 1 }));
  const versions = { device: "cuda:0", libtorch: "2.11.0", commit: "abc" };
  writeFileSync(join(folder, "run.json"), JSON.stringify({ seed: 1, versions }));
  const lines = Array.from({ length: epochs }, (_, i) => [
    ...[1, 2].map((step) => ({ kind: "step", globalStep: 2 * i + step, loss: 1 })),
    { kind: "epoch", epoch: i + 1, globalStep: 2 * i + 2, metrics: {} },
  ]);
  writeFileSync(
    join(folder, "metrics.jsonl"),
    lines
      .flat()
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(""),
  );
  await saveModel(recipe.compress === undefined ? plain : small, join(folder, "last.onnx"));
  return folder;
}

/** Decibels by how long the model's folder is called: every model has its own. */
const evaluate = async (model: string, data: string) => {
  const { weights, parameters, macs } = countsOf(model.includes("baseline") ? plain : small);
  return { weights, parameters, macs, psnr: dirname(model).length + (data.endsWith("5") ? 1 : 0), bicubic: 30.5 };
};

const baseline = await run("small-sr-baseline", 2, ["epochs=2"]);
const finished = await run("small-table2-basis", 2, ["epochs=2"]);
const stopped = await run("small-table2-factor", 1);
const data = ["sets/set5", "sets/set14"];
const told = { small: 2, title: "a title", note: "a note", data, evaluate };

test("a row has what its recipe makes, what was changed in it, and PSNR by data set", async () => {
  const table = await gatherTrainings({ ...told, folders: [baseline, finished, stopped] });
  const { weights, parameters, macs } = countsOf(small);
  expect(table.trainings[1]).toEqual({
    ...{ recipe: "small-table2-basis", layers: "basis-scratch: basis 13, channels 56", changes: ["epochs=2"] },
    ...{ weights, parameters, macs, steps: 4, seed: 1, evaluatedBy: "ONNX Runtime" },
    psnr: { Set5: finished.length + 1, Set14: finished.length },
    ...{ device: "cuda:0", libtorch: "2.11.0", commit: "abc" },
  });
  expect(table.references).toEqual([{ name: "bicubic", psnr: { Set5: 30.5, Set14: 30.5 } }]);
  expect(table.baseline).toEqual({ weights: countsOf(plain).weights, macs: countsOf(plain).macs });
});

test("a training that was stopped says how far it came, and has no result", async () => {
  const table = await gatherTrainings({ ...told, folders: [baseline, stopped] });
  expect(table.trainings[1]).toMatchObject({ reason: "stopped after 2 steps, 1 of 6 epochs", steps: 2, changes: [] });
  expect(table.trainings[1]).not.toHaveProperty("psnr");
  expect(smallTrainingCells(table).at(-1)?.slice(4)).toEqual([
    "-",
    "-",
    "2",
    "1",
    "stopped after 2 steps, 1 of 6 epochs",
  ]);
});

test("rows may begin with a trained model, which stands beside them; gamma is among what they are", async () => {
  const gamma = await run("small-sr-gamma", 2, ["loss.gamma=100"]);
  const original = join(baseline, "last.onnx");
  const table = await gatherTrainings({ ...told, folders: [gamma], original });
  expect(table.trainings[0]).toMatchObject({
    layers: "basis: keepParams 0.25, gamma 100",
    changes: ["loss.gamma=100"],
  });
  expect(table.references.map(({ name }) => name)).toEqual(["bicubic", "last.onnx"]);
  await expect(gatherTrainings({ ...told, folders: [gamma] })).rejects.toThrow("no run is a baseline");
  await expect(gatherTrainings({ ...told, folders: [root] })).rejects.toThrow("holds no run");
});

test("trainings of a table that was made before stay where no folder has them", async () => {
  const earlier = await gatherTrainings({ ...told, folders: [baseline, stopped] });
  const table = await gatherTrainings({ ...told, folders: [finished, stopped], earlier });
  expect(table.trainings).toEqual([...earlier.trainings, expect.objectContaining({ recipe: "small-table2-basis" })]);
  expect(table.baseline).toEqual(earlier.baseline);
});

test("what was measured before is not measured again", async () => {
  const model = join(finished, "last.onnx");
  const kept = join(root, "evaluated.json");
  const known = { weights: 1, parameters: 2, macs: 3, top1Error: 14.5 };
  const key = `${createHash("md5").update(readFileSync(model)).digest("hex")} nowhere`;
  writeFileSync(kept, JSON.stringify({ [key]: known }));
  expect(await evaluator(kept)(model, "no/such/folder/nowhere")).toEqual(known);
  await expect(evaluator(kept)(model, "no/such/folder/elsewhere")).rejects.toThrow();
});

test("`tables N --small` shows trainings, and what has a name behind what has none", async () => {
  const results = join(root, "results");
  mkdirSync(results);
  const table = await gatherTrainings({ ...told, folders: [baseline, finished] });
  writeFileSync(join(results, "table2-small.json"), JSON.stringify(table));
  writeFileSync(join(results, "table2-small-other.json"), JSON.stringify({ ...table, title: "another" }));
  let [stdout, stderr] = ["", ""];
  const code = await tables.run(["2", "--small", "--results", results], {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^Table 2 in small\. a title\nrecipe.*Set5.*Set14/);
  expect(stdout).toMatch(/a note\n\nTable 2 in small\. another\n/);
  expect(stdout).toMatch(/small-table2-basis +basis-scratch: basis 13, channels 56 .* epochs=2\n/);
});
