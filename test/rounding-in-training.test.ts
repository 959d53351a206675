// Training a network in eight bits: weights learn as floats that are rounded in every step.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { rangeOf } from "../src/calibrate/histogram.js";
import { ortEngine } from "../src/calibrate/ort-engine.js";
import { activationRanges } from "../src/calibrate/ranges.js";
import type { Graph } from "../src/graph/types.js";
import { floats, numbers, tensorOf } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { resnet } from "../src/nets/resnet.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { floatWeights } from "../src/passes/quantize/float-weights.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { regionsOf } from "../src/passes/quantize/regions.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { openSession } from "../src/runtime/open.js";
import { backward, call, fromArray, noGrad, type Tensor, TensorScope } from "../src/torch/index.js";
import { parseRecipe } from "../src/train/recipe.js";
import { runTraining } from "../src/train/run.js";
import { describeEngine } from "./engine.js";
import { writeImages } from "./groups.js";
import { inputsFor } from "./quantized-graphs.js";

const dims = [3, 32, 32];
const feeds = inputsFor(dims, 4);
let root: string;
let eight: Graph;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-rounding-"));
  await writeImages(root);
  const { graph } = foldBatchNorm(resnet(8, { widths: [4, 8, 8], classes: 2, init: "kaiming" }));
  const images = { count: 4, feeds: (first: number) => ({ input: feeds[first]! }) };
  const values = [...new Set(regionsOf(graph).rounded.values())];
  const seen = await activationRanges(graph, values, images, ortEngine({ threads: 1 }));
  const ranges = new Map([...seen].map(([value, { histogram }]) => [value, rangeOf(histogram, "all")]));
  eight = quantize({ ranges, weights: "int7" })(graph).graph;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** As plain numbers; none where there is no gradient. */
const plain = (tensor: Tensor | null): readonly number[] => (tensor === null ? [] : Array.from(tensor.data(), Number));

const gradientOf = (network: Network, name: string): readonly number[] => plain(network.parameters.get(name)!.grad);

const integersOf = (graph: Graph) =>
  new Map([...graph.initializers].filter(([, { type }]) => type === "int8" || type === "int32"));

describeEngine("a network in eight bits that is trained", () => {
  it("is the same network with float weights, and comes back from them as it was", () => {
    const { graph, learned, restored } = floatWeights(eight);
    expect(learned.size).toBeGreaterThan(8);
    expect(integersOf(restored(graph))).toEqual(integersOf(eight));
    const input = feeds[0]!;
    const outputs = [eight, graph].map((one) => {
      using network = new Network(one);
      using _scope = new TensorScope();
      const x = fromArray(floats(input), input.dims);
      return noGrad(() => [...network.forward(new Map([["input", x]])).values()][0]!.data());
    });
    expect(outputs[1]).toEqual(outputs[0]);
  });

  it("passes gradients through rounding, and none through what is cut off", () => {
    const { graph, learned } = floatWeights(eight);
    const input = feeds[0]!;
    const gradients = (straightThrough: boolean) => {
      using network = new Network(graph, { straightThrough, trainable: (name) => learned.has(name) });
      using _scope = new TensorScope();
      const x = fromArray(floats(input), input.dims);
      backward(call("sum", [...network.forward(new Map([["input", x]]), { training: true }).values()][0]!));
      return [...learned].map((name) => gradientOf(network, name));
    };
    for (const own of gradients(true)) expect(Math.max(...own.map(Math.abs))).toBeGreaterThan(0);
    const name = [...learned].find((one) => graph.initializers.get(one)!.dims.length === 4)!;
    const weight = graph.initializers.get(name)!;
    const far = tensorOf(
      "float32",
      weight.dims,
      numbers(weight).map((value) => 10 * value),
    );
    using network = new Network(
      { ...graph, initializers: new Map([...graph.initializers, [name, far]]) },
      {
        ...{ straightThrough: true, trainable: (one: string) => one === name },
      },
    );
    using _scope = new TensorScope();
    const x = fromArray(floats(input), input.dims);
    backward(call("sum", [...network.forward(new Map([["input", x]]), { training: true }).values()][0]!));
    const own = gradientOf(network, name);
    const largest = Math.max(...Array.from(numbers(far), Math.abs));
    numbers(far).forEach((value, i) => {
      if (Math.abs(value) > 0.5 * largest) expect(own[i] === 0).toBe(true);
    });
  });

  it("learns, stays in eight bits, and is in ONNX Runtime what it was in training", { timeout: 120_000 }, async () => {
    const [file, folder] = [join(root, "eight.onnx"), join(root, "run")];
    await saveModel(eight, file);
    const recipe = parseRecipe({
      ...{ name: "rounded", network: { file }, rounding: "straight-through", epochs: 4, seed: 2, threads: 2 },
      data: { name: "folder", folder: root, batch: 10, augment: false },
      optimizer: { name: "sgd", lr: 0.01 },
    });
    const told: number[] = [];
    const result = await runTraining(folder, recipe, { onEpoch: ({ trainLoss }) => told.push(trainLoss) });
    expect(told.at(-1)!).toBeLessThan(0.9 * told[0]!);
    const trained = await loadModel(join(folder, "last.onnx"));
    const operators = (graph: Graph) => graph.nodes.map(({ op }) => op).join();
    expect(operators(trained)).toBe(operators(eight));
    const [before, after] = [integersOf(eight), integersOf(trained)];
    expect([...after.keys()]).toEqual([...before.keys()]);
    expect([...after].some(([name, { data }]) => !Buffer.from(data).equals(before.get(name)!.data))).toBe(true);
    for (const [name, tensor] of after)
      if (tensor.type === "int8") expect(Math.max(...numbers(tensor).map(Math.abs)), name).toBeLessThanOrEqual(63);
    const session = await openSession(trained, { threads: 1 });
    using network = new Network(trained);
    for (const input of feeds) {
      using _scope = new TensorScope();
      const [got] = Object.values(await session.run({ input }));
      const x = fromArray(floats(input), input.dims);
      const expected = plain(noGrad(() => [...network.forward(new Map([["input", x]])).values()][0]!));
      const size = Math.max(...expected.map(Math.abs));
      floats(got!).forEach((value, i) => {
        expect(Math.abs(value - expected[i]!) / size).toBeLessThan(0.1);
      });
    }
    await session.release();
    expect(Object.keys(result.metrics ?? {})).toContain("top1Error");
  });

  it("is a wrong recipe where nothing is rounded, or it compresses too", async () => {
    const file = join(root, "float.onnx");
    await saveModel(resnet(8, { widths: [4, 4, 4], classes: 2 }), file);
    const recipe = (fields: object) =>
      parseRecipe({
        ...{ name: "wrong", network: { file }, rounding: "straight-through", ...fields },
        data: { name: "folder", folder: root, batch: 10 },
      });
    for (const fields of [{}, { compress: { keepParams: 0.5 } }])
      await expect(runTraining(join(root, "wrong"), recipe(fields))).rejects.toMatchObject({ code: "invalid-recipe" });
  });
});
