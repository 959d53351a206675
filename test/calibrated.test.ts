// A calibrated compression: activation moments of the layers, what becomes of the outputs, and that a stopped run
// resumes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ActivationMoments } from "../src/basis/moments.js";
import { int, ints, makeNode, string } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { resnet } from "../src/nets/resnet.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { loadModel } from "../src/runtime/files.js";
import { fromArray, noGrad, TensorScope } from "../src/torch/index.js";
import { activationMoments } from "../src/train/moments.js";
import { parseRecipe } from "../src/train/recipe.js";
import { runTraining } from "../src/train/run.js";
import type { BatchSource } from "../src/train/sources.js";
import { describeEngine } from "./engine.js";
import { someImage, writePng } from "./images.js";
import { oneConv, randomTensor, randomValues, smallGraph } from "./small-graphs.js";

/** Batches [images, channels, height, width] of seeded numbers around `mean`. */
function batches(dims: readonly number[], mean = 0): BatchSource {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return {
    stepsPerEpoch: 100,
    batchSize: dims[0]!,
    batch: (_, step) => ({
      input: randomValues(count, step + 1).map((value) => value + mean),
      inputDims: dims,
      target: null,
      targetDims: [],
    }),
  };
}

async function seen(graph: Graph, source: BatchSource, count = 4) {
  const notes: string[] = [];
  const moments = await activationMoments(graph, source, {
    batches: count,
    seed: 1,
    note: (text) => void notes.push(text),
  });
  return { moments, notes };
}

const outputs = (graph: Graph, source: BatchSource, step: number): Float32Array => {
  using network = new Network(graph);
  const batch = source.batch(0, step) as { input: Float32Array; inputDims: readonly number[] };
  const name = graph.inputs.find((input) => !graph.initializers.has(input.name))!.name;
  using _scope = new TensorScope();
  const values = noGrad(() => network.forward(new Map([[name, fromArray(batch.input, batch.inputDims)]])));
  return Float32Array.from(values.get(graph.outputs[0]!.name)!.data() as Float32Array);
};

const squared = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);

/** Mean and variance of each output that filters [n, c h w] would give by the moments. */
function predicted(weight: Float32Array, n: number, { mean, second }: ActivationMoments) {
  const width = second.rows;
  const row = weight.subarray(n * width, (n + 1) * width);
  let variance = 0;
  for (let i = 0; i < width; i++)
    for (let j = 0; j < width; j++) variance += row[i]! * row[j]! * second.data[i * width + j]!;
  return { mean: row.reduce((sum, value, k) => sum + value * mean![k]!, 0), variance };
}

describeEngine("what a layer sees", () => {
  it.each([
    ["plain", {}],
    ["with a stride and pads that differ", { strides: ints([2, 1]), pads: ints([0, 1, 2, 1]) }],
    ["dilated", { dilations: ints([2, 1]), pads: ints([1, 0, 1, 0]) }],
    ["padded to the same size", { auto_pad: string("SAME_LOWER") }],
  ])("predicts mean and variance of its outputs: %s", async (_, attributes) => {
    const graph = oneConv({ outChannels: 4, inChannels: 3, kernel: [3, 2], attributes });
    const source = batches([8, 3, 9, 8], 0.5);
    const { moments } = await seen(graph, source);
    const found = [...moments.values()][0]!;
    const bias = floats(graph.initializers.get("conv.bias")!);
    const values = Array.from({ length: 4 }, (__, step) => outputs(graph, source, step));
    const places = values[0]!.length / 8 / 4;
    for (let n = 0; n < 4; n++) {
      const own = values
        .flatMap((all) => [...all].filter((___, i) => Math.floor(i / places) % 4 === n))
        .map((v) => v - bias[n]!);
      const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length;
      const expected = predicted(floats(graph.initializers.get("conv.weight")!), n, found);
      expect(Math.abs(expected.mean - mean)).toBeLessThan(0.1 * Math.sqrt(variance));
      expect(Math.abs(expected.variance / variance - 1)).toBeLessThan(0.1);
    }
  });

  it("goes by blocks of channels where a patch is too wide, and is not centred where nothing takes a constant up", async () => {
    const wide = oneConv({ outChannels: 2, inChannels: 160, kernel: [3, 3], bias: false });
    const found = [...(await seen(wide, batches([1, 160, 6, 6]), 1)).moments.values()][0]!;
    expect(found).toMatchObject({ channels: 80, second: { rows: 720, cols: 720 }, mean: undefined });
  });

  it("is told apart for every layer of a network with batch norm; other kernels are named", async () => {
    const { moments, notes } = await seen(resnet(8, { widths: [4, 4, 8], classes: 2 }), batches([2, 3, 32, 32]), 2);
    expect(moments.size).toBe(7);
    for (const { mean } of moments.values()) expect(mean).toBeDefined();
    expect(notes).toEqual([]);
    const line = smallGraph({
      nodes: [makeNode("Conv", ["x", "w"], ["y"], { group: int(1) })],
      initializers: { w: randomTensor([4, 3, 3], 1) },
      inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, "L"] } }],
      outputs: ["y"],
    });
    const alone = await seen(line, batches([2, 3, 16]), 1);
    expect(alone.moments.size).toBe(0);
    expect(alone.notes).toEqual([expect.stringContaining("its kernel is not two-dimensional")]);
  });
});

describeEngine("compressing for what layers see", () => {
  const source = batches([6, 3, 32, 32], 1);

  it("keeps the outputs nearer on data that it was not calibrated on, biases corrected; --undo gives the same network dense", async () => {
    const graph = foldBatchNorm(resnet(8, { widths: [8, 8, 8], classes: 4, seed: 3 })).graph;
    const { moments } = await seen(graph, source);
    const original = outputs(graph, source, 50);
    const plain = basis({ keepParams: 0.5 })(graph).graph;
    const calibrated = basis({ keepParams: 0.5, moments })(graph).graph;
    expect(squared(outputs(calibrated, source, 50), original)).toBeLessThan(
      0.8 * squared(outputs(plain, source, 50), original),
    );
    const undone = expand(calibrated).graph;
    expect(squared(outputs(undone, source, 50), outputs(calibrated, source, 50))).toBeLessThan(
      1e-6 * squared(original, new Float32Array(original.length)),
    );
  });

  it("with a shared basis, and with one convolution's mean put into its bias", async () => {
    const graph = foldBatchNorm(resnet(8, { widths: [8, 8, 8], classes: 4, seed: 3 })).graph;
    const { moments } = await seen(graph, source);
    const original = outputs(graph, source, 50);
    const [plain, calibrated] = [undefined, moments].map((known) =>
      outputs(basis({ keepParams: 0.5, share: "group", ...(known && { moments: known }) })(graph).graph, source, 50),
    );
    expect(squared(calibrated!, original)).toBeLessThan(squared(plain!, original));
    const one = oneConv({ outChannels: 6, inChannels: 3, kernel: [3, 3] });
    const far = batches([8, 3, 12, 12], 20);
    const { moments: known } = await seen(one, far);
    const lost = squared(outputs(basis({ basis: 2, moments: known })(one).graph, far, 50), outputs(one, far, 50));
    const without = new Map([...known].map(([name, { mean: _, ...rest }]) => [name, { ...rest, mean: undefined }]));
    const shifted = squared(outputs(basis({ basis: 2, moments: without })(one).graph, far, 50), outputs(one, far, 50));
    expect(lost).toBeLessThan(0.1 * shifted);
  });
});

describeEngine("a run that calibrated before it compressed", () => {
  let root: string;
  const cache = process.env.FILTERBASIS_CACHE;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "filterbasis-calibrated-"));
    process.env.FILTERBASIS_CACHE = join(root, "cache");
    for (const label of [0, 1])
      for (const [part, count] of [["train", 6] as const, ["test", 1] as const])
        for (let i = 0; i < count; i++)
          await writePng(join(root, `classes/${part}/c${label}/${i}.png`), someImage(32, 32, { seed: 10 * label + i }));
  });
  afterAll(() => {
    if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
    else process.env.FILTERBASIS_CACHE = cache;
    rmSync(root, { recursive: true, force: true });
  });

  const recipe = (more: object = {}) =>
    parseRecipe({
      name: "calibrated",
      network: { name: "resnet", depth: 8, widths: [8, 8, 8], classes: 2, init: "kaiming" },
      compress: { method: "basis", keepParams: 0.5 },
      calibrate: 2,
      recalibrate: 3,
      data: { name: "folder", folder: join(root, "classes"), batch: 4 },
      optimizer: { name: "sgd", lr: 0.02 },
      epochs: 2,
      threads: 1,
      ...more,
    });

  it("is resumed where it was stopped, with the network that it was started with", async () => {
    const whole = await runTraining(join(root, "whole"), recipe());
    let steps = 0;
    const stopping = () => steps === 4;
    const parts = join(root, "parts");
    expect(await runTraining(parts, recipe(), { onStep: () => void steps++, stopping })).toMatchObject({
      finished: false,
    });
    expect(await runTraining(parts, "resume")).toMatchObject({ finished: true, globalStep: whole.globalStep });
    const [once, twice] = await Promise.all(["whole", "parts"].map((run) => loadModel(join(root, run, "last.onnx"))));
    expect(twice!.initializers).toEqual(once!.initializers);
    const losses = { whole: [] as number[], plain: [] as number[] };
    await runTraining(join(root, "again"), recipe(), { onStep: ({ loss }) => void losses.whole.push(loss) });
    await runTraining(join(root, "plain"), recipe({ calibrate: 0 }), {
      onStep: ({ loss }) => void losses.plain.push(loss),
    });
    expect(losses.whole[0]).not.toBeCloseTo(losses.plain[0]!, 6);
  });

  // Asked for each batch that calibrates (2) or sets batch norms anew (3), then before the metrics of the original and
  // of the start.
  it.each([1, 4, 6])("stopped before its first step, at question %i, begins anew", async (when) => {
    const few = recipe({ steps: 1 });
    await runTraining(join(root, `once ${when}`), few);
    let asked = 0;
    const early = join(root, `early ${when}`);
    await expect(runTraining(early, few, { stopping: () => ++asked === when })).rejects.toMatchObject({
      code: "interrupted",
    });
    expect(asked).toBe(when);
    expect(await runTraining(early, few)).toMatchObject({ finished: true });
    const [once, anew] = await Promise.all(
      ["once", "early"].map((run) => loadModel(join(root, `${run} ${when}`, "last.onnx"))),
    );
    expect(anew!.initializers).toEqual(once!.initializers);
  });
});
