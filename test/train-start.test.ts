// Training that begins from a file made of the network before: the network is its original, and teaches.
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rangeOf } from "../src/calibrate/histogram.js";
import { ortEngine } from "../src/calibrate/ort-engine.js";
import { activationRanges } from "../src/calibrate/ranges.js";
import type { Graph } from "../src/graph/types.js";
import { methodPass } from "../src/methods/methods.js";
import { resnet } from "../src/nets/resnet.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { regionsOf } from "../src/passes/quantize/regions.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { parseRecipe } from "../src/train/recipe.js";
import { runTraining } from "../src/train/run.js";
import { describeEngine } from "./engine.js";
import { writeImages } from "./groups.js";
import { inputsFor } from "./quantized-graphs.js";

let root: string;
let original: Graph;
const at = (name: string): string => join(root, name);
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-start-"));
  await writeImages(root);
  original = foldBatchNorm(resnet(8, { widths: [4, 8, 8], classes: 2, init: "kaiming" })).graph;
  await saveModel(original, at("model.onnx"));
  await saveModel(methodPass("basis", { keepParams: 0.5 }, {})(original).graph, at("small.onnx"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const recipeOf = (more: object) =>
  parseRecipe({
    ...{ name: "begun", network: { file: at("model.onnx") }, start: at("small.onnx"), epochs: 4, seed: 2, threads: 2 },
    data: { name: "folder", folder: root, batch: 10, augment: false },
    loss: { task: "none", distill: {} },
    optimizer: { name: "sgd", lr: 0.02 },
    ...more,
  });

const operators = ({ nodes }: Graph): string => nodes.map(({ op }) => op).join();

describeEngine("a training that begins from a file", () => {
  it("learns from the network's outputs, keeps the file's structure, and goes on", { timeout: 60_000 }, async () => {
    const [whole, parted] = [at("whole"), at("parted")];
    const told: number[] = [];
    await runTraining(whole, recipeOf({}), { onEpoch: ({ trainLoss }) => told.push(trainLoss) });
    expect(told.at(-1)!).toBeLessThan(0.9 * told[0]!);
    const last = await loadModel(join(whole, "last.onnx"));
    const start = await loadModel(join(whole, "start.onnx"));
    expect(operators(last)).toBe(operators(await loadModel(at("small.onnx"))));
    expect(operators(start)).toBe(operators(last));
    expect(operators(await loadModel(join(whole, "original.onnx")))).toBe(operators(original));
    let steps = 0;
    const stopping = () => steps >= 7;
    await runTraining(parted, recipeOf({}), { onStep: () => (steps += 1), stopping });
    rmSync(at("small.onnx")); // a run that has begun holds its start itself
    await runTraining(parted, "resume");
    expect(await readFile(join(parted, "last.onnx"))).toEqual(await readFile(join(whole, "last.onnx")));
    await saveModel(start, at("small.onnx"));
  });

  it("keeps a start in eight bits so, and learns from the floats", { timeout: 60_000 }, async () => {
    const feeds = inputsFor([3, 32, 32], 4);
    const images = { count: 4, feeds: (first: number) => ({ input: feeds[first]! }) };
    const values = [...new Set(regionsOf(original).rounded.values())];
    const seen = await activationRanges(original, values, images, ortEngine({ threads: 1 }));
    const ranges = new Map([...seen].map(([value, { histogram }]) => [value, rangeOf(histogram, "all")]));
    const eight = quantize({ ranges, weights: "int7" })(original).graph;
    await saveModel(eight, at("eight.onnx"));
    const told: number[] = [];
    const recipe = recipeOf({ start: at("eight.onnx"), rounding: "straight-through" });
    await runTraining(at("rounded"), recipe, { onEpoch: ({ trainLoss }) => told.push(trainLoss) });
    expect(told.at(-1)!).toBeLessThan(told[0]!);
    expect(operators(await loadModel(at("rounded/last.onnx")))).toBe(operators(eight));
  });

  it("names what a start may not be", async () => {
    const other = resnet(8, { widths: [4, 8, 8], classes: 3, init: "kaiming" });
    const renamed = { ...other, outputs: other.outputs.map((value) => ({ ...value, name: "elsewhere" })) };
    await saveModel({ ...renamed, nodes: renamed.nodes.map((node) => renamedOutput(node, other)) }, at("other.onnx"));
    const begun = (more: object) => runTraining(at(`wrong-${Math.random()}`), recipeOf(more));
    await expect(begun({ start: at("other.onnx") })).rejects.toMatchObject({ code: "data-mismatch" });
    await expect(begun({ start: at("absent.onnx") })).rejects.toMatchObject({ code: "not-found" });
    await expect(begun({ compress: { keepParams: 0.5 } })).rejects.toMatchObject({ code: "invalid-recipe" });
    await expect(begun({ rounding: "straight-through" })).rejects.toMatchObject({ code: "invalid-recipe" });
  });
});

function renamedOutput(node: Graph["nodes"][number], { outputs }: Graph): Graph["nodes"][number] {
  return { ...node, outputs: node.outputs.map((name) => (name === outputs[0]!.name ? "elsewhere" : name)) };
}
