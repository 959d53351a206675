// Weights that others trained load into our networks by anyone's names; what does not fit is said.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadCifar10 } from "../src/data/cifar10.js";
import { normalizations } from "../src/data/image-set.js";
import { topOne } from "../src/evaluate/classify.js";
import { writeModel } from "../src/formats/onnx/index.js";
import { elements, float32Tensor } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { densenet } from "../src/nets/densenet.js";
import { loadWeights } from "../src/nets/load-weights.js";
import { parameterNames } from "../src/nets/names.js";
import { resnet } from "../src/nets/resnet.js";
import { vgg16 } from "../src/nets/vgg.js";
import { openSession } from "../src/runtime/index.js";
import { readWeights, writeWeights } from "../src/runtime/weights.js";
import { noShared, shared } from "./shared.js";

const checkpoints = [
  ["resnet20-12fca82f.th", "resnet20.onnx", 20, 8.27],
  ["resnet56-4bfd9763.th", "resnet56.onnx", 56, 6.61],
] as const;
const here = shared("data/models/resnet20-12fca82f.th") !== undefined;

async function fromCheckpoint(file: string, depth: number): Promise<Graph> {
  const { tensors } = await readWeights(shared(`data/models/${file}`)!);
  return loadWeights(resnet(depth, { shortcut: "stride", stemBias: false, init: "zeros" }), tensors, { file }).graph;
}

async function scores(model: Uint8Array | string, data: Float32Array): Promise<Float32Array> {
  const session = await openSession(model);
  const out = await session.run({ [session.inputs[0]!.name]: float32Tensor([8, 3, 32, 32], data) });
  await session.release();
  return floats(Object.values(out)[0]!);
}

describe.skipIf(!here)(`published checkpoints${here ? "" : ` (${noShared})`}`, () => {
  it.each(checkpoints)("%s in our network gives the scores of its authors' export %s", async (file, onnx, depth) => {
    const random = new Random(1);
    const data = Float32Array.from({ length: 8 * 3 * 32 * 32 }, () => random.normal());
    const ours = await scores(writeModel(await fromCheckpoint(file, depth)), data);
    const theirs = await scores(shared(`data/models/${onnx}`)!, data);
    const largest = Math.max(...theirs.map(Math.abs));
    // Theirs has batch norm folded into the convolutions, in float32.
    expect(Math.max(...ours.map((value, i) => Math.abs(value - theirs[i]!)))).toBeLessThan(1e-4 * largest);
  });

  // 10,000 images: with npm run test:nets.
  it.skipIf(process.env.FILTERBASIS_FULL !== "1").each(checkpoints)(
    "%s (%s, %d layers) errs in %f %% of CIFAR-10's test images",
    async (file, _, depth, error) => {
      const { test } = await loadCifar10();
      const session = await openSession(writeModel(await fromCheckpoint(file, depth)));
      const { top1Error } = await topOne(session, test, normalizations.imagenet);
      await session.release();
      expect(Math.abs(top1Error - error)).toBeLessThanOrEqual(0.02);
    },
    600_000,
  );
});

/** The graph's parameters under other names. */
function renamed(graph: Graph, rename: (name: string) => string): ReadonlyMap<string, TensorData> {
  return new Map(parameterNames(graph).map((name) => [rename(name), graph.initializers.get(name)!]));
}

function expectLoads(graph: Graph, blank: Graph, tensors: ReadonlyMap<string, TensorData>, scheme: string): void {
  const loaded = loadWeights(blank, tensors);
  expect(loaded.scheme).toBe(scheme);
  for (const name of parameterNames(graph))
    expect(Buffer.compare(loaded.graph.initializers.get(name)!.data, graph.initializers.get(name)!.data), name).toBe(0);
}

describe("names of others", () => {
  it.each([
    ["batch", [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]],
    ["none", [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]],
  ] as const)("torchvision's VGG-16, norm %s", (norm, convolutions) => {
    const modules = [0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16];
    const flat = (name: string) =>
      name
        .replace(
          /^features\.(\d+)\.(\d)\./,
          (_, module, part) => `features.${convolutions[modules.indexOf(Number(module))]! + Number(part)}.`,
        )
        .replace("classifier.", "classifier.0.");
    const options = { norm, widthDivisor: 16 };
    const graph = vgg16(options);
    expectLoads(graph, vgg16({ ...options, init: "zeros" }), renamed(graph, flat), "torchvision VGG");
  });

  it("torchvision's DenseNet with bottlenecks", () => {
    const options = { depth: 16, bottleneck: true, reduction: 0.5, growth: 4 };
    const modules: Readonly<Record<string, string>> = { "0": "norm1", "2": "conv1", "3": "norm2", "5": "conv2" };
    const theirs = (name: string) =>
      name
        .replace(/^features\.0\./, "features.conv0.")
        .replace(
          /^features\.([135])\.(\d+)\.body\.(\d)\./,
          (_, block, layer, part) =>
            `features.denseblock${(Number(block) + 1) / 2}.denselayer${Number(layer) + 1}.${modules[part]}.`,
        )
        .replace(
          /^features\.([24])\.([02])\./,
          (_, at, part) => `features.transition${Number(at) / 2}.${part === "0" ? "norm" : "conv"}.`,
        )
        .replace(/^features\.6\./, "features.norm5.");
    const graph = densenet(options);
    expectLoads(graph, densenet({ ...options, init: "zeros" }), renamed(graph, theirs), "torchvision DenseNet");
  });

  it("says which parameters a file lacks, which tensors have no place, and which have another shape", () => {
    const graph = resnet(8);
    const tensors = new Map(renamed(graph, (name) => `module.${name}`));
    tensors.delete("module.classifier.bias");
    tensors.set("module.extra.weight", float32Tensor([1], Float32Array.of(1)));
    expect(() => loadWeights(graph, tensors)).toThrow(/missing classifier\.bias.*without a place: extra\.weight/);
    const other = renamed(resnet(8, { classes: 100 }), (name) => name);
    expect(() => loadWeights(graph, other)).toThrow(/classifier\.weight.*expected \[10, 64\].*got \[100, 64\]/);
    const { kept } = loadWeights(graph, other, { keep: "classifier.*" });
    expect(kept).toEqual(["classifier.weight", "classifier.bias"]);
  });

  it("comes back from safetensors as it was written, aliases included", async () => {
    const folder = await mkdtemp(join(tmpdir(), "filterbasis-weights-"));
    try {
      const graph = resnet(8);
      const file = join(folder, "weights.safetensors");
      const all = renamed(graph, (name) => name);
      const first = parameterNames(graph)[0]!;
      const metadata = new Map([["aliases", JSON.stringify({ "another.name": first })]]);
      await writeWeights(file, all, metadata);
      const { tensors, aliases } = await readWeights(file);
      expect(aliases).toEqual({ "another.name": first });
      expect([...tensors.keys()]).toEqual([...all.keys()]);
      expect([...tensors.values()].reduce((sum, { dims }) => sum + elements(dims), 0)).toBeGreaterThan(70_000);
      const blank = resnet(8, { init: "zeros" });
      expect(loadWeights(blank, tensors).graph.initializers.get(first)!.data).toEqual(
        graph.initializers.get(first)!.data,
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("names a file that is not there, and one that is no weight file", async () => {
    await expect(readWeights("/nowhere/weights.pt")).rejects.toThrow(/no such file/);
    await expect(readWeights(new URL(import.meta.url).pathname)).rejects.toThrow(
      /this is a text file, not a file of weights/,
    );
  });
});
