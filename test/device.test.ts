// A device named once reaches every tensor that is made: networks, batches, targets, originals, checkpoints.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Network } from "../src/interpreter/network.js";
import {
  arange,
  call,
  empty,
  fromArray,
  full,
  ones,
  parseDevice,
  randn,
  requireDevice,
  scalar,
  TensorScope,
  zeros,
  zerosLike,
} from "../src/torch/index.js";
import { parseRecipe } from "../src/train/recipe.js";
import { runTraining } from "../src/train/run.js";
import { describeEngine } from "./engine.js";
import { type GradientCase, gradientCases, graphOf } from "./gradient-cases.js";
import { someImage, writePng } from "./images.js";
import { graph, node, weights } from "./network-graphs.js";

vi.mock("../src/torch/native.js", async (original) => {
  const native = await original<typeof import("../src/torch/native.js")>();
  const { withFakeDevices } = await import("./fake-device.js");
  let faked: ReturnType<typeof withFakeDevices> | undefined;
  return { ...native, loadEngine: () => (faked ??= withFakeDevices(native.loadEngine())) };
});

const device = "cuda:1";

describe("a device", () => {
  it.each([
    ["cpu", "cpu"],
    ["cuda", "cuda:0"],
    ["cuda:3", "cuda:3"],
  ])("%s is read as %s", (text, expected) => expect(parseDevice(text)).toBe(expected));

  it.each(["", "gpu", "cuda:", "cuda:-1", "cuda:1000", "cpu:0", "CUDA", "cuda:0 "])("%j is none", (text) => {
    expect(() => parseDevice(text)).toThrow(
      expect.objectContaining({ code: "usage", expected: "cpu, cuda, cuda:N or auto" }),
    );
  });

  it("that is not here is refused, with cures", () => {
    const none = { cpu: () => 1, cuda: () => 0 };
    expect(requireDevice("cpu", none)).toBe("cpu");
    expect(() => requireDevice("cuda", none)).toThrow(expect.objectContaining({ code: "unsupported", got: "cuda:0" }));
    expect(requireDevice("cuda", { ...none, cuda: () => 1 })).toBe("cuda:0");
    expect(requireDevice("auto", none)).toBe("cpu");
    expect(requireDevice("auto", { ...none, cuda: () => 2 })).toBe("cuda:0");
    expect(requireDevice("cuda:1", { ...none, cuda: () => 2 })).toBe("cuda:1");
    expect(() => requireDevice("cuda:2", { ...none, cuda: () => 2 })).toThrow(
      expect.objectContaining({ code: "unsupported", expected: "cuda:0 to cuda:1", got: "cuda:2" }),
    );
  });
});

describeEngine("a tensor", () => {
  it("is made on the device that is asked for, in every way there is", () => {
    const like = zeros([2], { device });
    const made = [
      ...[like, ones([2], { device }), full([2], 3, { device }), empty([2], { device }), randn([2], { device })],
      ...[arange(2, { device }), scalar(1, { device }), fromArray(Float32Array.of(1, 2), [2], undefined, device)],
      ...[zerosLike(like), call("add.Tensor", like, like)],
    ];
    expect(made.map((tensor) => tensor.device)).toEqual(made.map(() => device));
    expect(zeros([2]).device).toBe("cpu");
  });

  it("of another device is not mixed in unseen", () => {
    expect(() => call("add.Tensor", zeros([2]), zeros([2], { device }))).toThrow(/tensors on cpu and cuda:1/);
  });
});

describeEngine("a network", () => {
  it("lies and computes on its device, constants and helpers of its operators included", () => {
    const nodes = [
      node("Conv", "x w b", "c"),
      node("Relu", "c", "r"),
      node("Resize", "r  scales", "u", { mode: { kind: "string", value: Buffer.from("linear") } }),
      node("Gather", "u indices", "g", { axis: { kind: "int", value: 1n } }),
      node("Add", "g one", "a"),
      node("Shape", "a", "s"),
      node("Cast", "s", "f", { to: { kind: "int", value: 1n } }),
      node("ReduceSum", "f", "t", { keepdims: { kind: "int", value: 0n } }),
      node("Mul", "a t", "y"),
    ];
    const floats = (...values: number[]) => ({
      type: "float32" as const,
      dims: [values.length],
      data: new Uint8Array(Float32Array.from(values).buffer),
    });
    const indices = { type: "int64" as const, dims: [2], data: new Uint8Array(BigInt64Array.of(2n, 0n).buffer) };
    const constants = { w: weights(3, 2, 3, 3), b: weights(3), scales: floats(1, 1, 2, 2), indices, one: floats(1) };
    const parts = graph({ nodes, constants, inputs: [{ name: "x", tensor: { type: "float32" } }] });
    const run = (on: typeof device | "cpu") => {
      const network = new Network(parts, { device: on });
      const input = fromArray(
        Float32Array.from({ length: 50 }, (_, i) => Math.sin(i)),
        [1, 2, 5, 5],
        undefined,
        on,
      );
      const output = network.forward(new Map([["x", input]])).get("y")!;
      return { devices: [network.parameters.get("w")!.device, output.device], values: output.floats() };
    };
    const [here, there] = [run("cpu"), run(device)];
    expect([here.devices, there.devices]).toEqual([
      ["cpu", "cpu"],
      [device, device],
    ]);
    expect(there.values).toEqual(here.values);
  });
});

describeEngine("every operator", () => {
  const cases = Object.entries<string | readonly GradientCase[]>(gradientCases).flatMap(([op, list]) =>
    typeof list === "string" ? [] : list.map((one) => [op, one] as const),
  );

  it.each(cases)("%s makes what it needs on its network's device", (op, one) => {
    using _scope = new TensorScope();
    using network = new Network(graphOf(op, one), { device });
    const feeds = one.inputs.flatMap((input, i) =>
      input !== undefined && "dims" in input
        ? [[`x${i}`, full(input.dims, 0.7, { dtype: "float64", device })] as const]
        : [],
    );
    for (const training of [false, one.training ?? false])
      for (const output of network.forward(new Map(feeds), { training }).values()) expect(output.device).toBe(device);
  });
});

describeEngine("a training", () => {
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "filterbasis-device-"));
    for (const [part, count] of [
      ["train", 4],
      ["test", 1],
    ] as const)
      for (let label = 0; label < 2; label++)
        for (let i = 0; i < count; i++)
          await writePng(
            join(root, "classes", part, `c${label}`, `${i}.png`),
            someImage(32, 32, { seed: 10 * label + i }),
          );
    for (let i = 0; i < 2; i++) await writePng(join(root, "pictures", `${i}.png`), someImage(48, 40, { seed: i }));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const common = { calibrate: 1, recalibrate: 1, epochs: 2, checkpoint: { everySteps: 1 }, threads: 1 };
  const recipes = {
    classification: () => ({
      network: { name: "resnet", depth: 8, widths: [4, 4, 4], classes: 2, init: "kaiming" },
      compress: { method: "basis", splits: 1, basis: 4 },
      data: { name: "folder", folder: join(root, "classes"), batch: 4 },
      loss: { gamma: 0.01, labelSmoothing: 0.1, distill: { weight: 0.5 } },
      optimizer: { name: "sgd", lr: 0.02, clip: 1 },
    }),
    "super-resolution": () => ({
      network: { name: "edsr", scale: 2, blocks: 1, width: 8 },
      compress: { method: "basis", splits: 1, basis: 4 },
      data: {
        name: "pairs",
        folder: join(root, "pictures"),
        test: join(root, "pictures"),
        scale: 2,
        patch: 16,
        batch: 2,
        stepsPerEpoch: 2,
      },
      loss: { task: "l1", gamma: 0.01, distill: { kind: "l1" } },
      optimizer: { name: "adam" },
    }),
  };

  it.each(["classification", "super-resolution"] as const)(
    "runs on its device from start to end, and is resumed there: %s",
    async (kind) => {
      const steps: number[] = [];
      const losses = async (on: string, name: string) => {
        const recipe = parseRecipe({ name: "device", ...common, ...recipes[kind](), device: on });
        const seen: number[] = [];
        const folder = join(root, `${kind}-${name}`);
        const onStep = ({ loss, globalStep }: { loss: number; globalStep: number }) => {
          seen.push(loss);
          steps.push(globalStep);
        };
        const first = await runTraining(folder, recipe, { onStep, stopping: () => seen.length === 2 });
        expect(first.finished).toBe(false);
        expect((await runTraining(folder, "resume", { onStep })).finished).toBe(true);
        return seen;
      };
      expect(await losses(device, "there")).toEqual(await losses("cpu", "here"));
      expect(steps.slice(0, 4)).toEqual([1, 2, 3, 4]);
    },
  );
});
