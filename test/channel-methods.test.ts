// Network slimming, CaP and AMC on the networks of the zoo: what they keep is what they say, channels that do nothing
// are those that go, and where nothing is to be removed nothing changes.
import { describe, expect, test } from "vitest";
import { writeModel } from "../src/formats/onnx/index.js";
import { indexOf } from "../src/graph/graph-index.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { matrix } from "../src/linalg/matrix.js";
import { Random } from "../src/linalg/random.js";
import { channelEnvironment } from "../src/methods/channel-environment.js";
import { methodPass } from "../src/methods/methods.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { outputsDiffer } from "./same-outputs.js";

/** A network whose norms have scales, shifts and statistics of their own. */
function withNorms(graph: Graph, seed = 1): Graph {
  const random = new Random(seed);
  const initializers = new Map(graph.initializers);
  for (const { op, inputs } of graph.nodes) {
    if (op !== "BatchNormalization") continue;
    for (const [place, name] of inputs.slice(1).entries()) {
      const { dims, type } = initializers.get(name)!;
      const draw = () => (place === 0 || place === 3 ? 0.5 + random.next() : 0.3 * random.normal());
      initializers.set(name, tensorOf(type, dims, Float64Array.from({ length: dims[0]! }, draw)));
    }
  }
  return { ...graph, initializers };
}

/** Every third channel of each norm gets scale and shift 0. */
function withDeadChannels(
  graph: Graph,
  isNorm: (name: string) => boolean,
): { graph: Graph; dead: number; all: number } {
  const initializers = new Map<string, TensorData>(graph.initializers);
  let [dead, all] = [0, 0];
  for (const { op, inputs, name } of graph.nodes) {
    if (op !== "BatchNormalization" || !isNorm(name)) continue;
    for (const input of inputs.slice(1, 3)) {
      const { dims, type } = initializers.get(input)!;
      const values = numbers(initializers.get(input)!).map((value, at) => (at % 3 === 1 ? 0 : value));
      initializers.set(input, tensorOf(type, dims, values));
    }
    const size = initializers.get(inputs[1]!)!.dims[0]!;
    all += size;
    dead += Math.floor((size + 1) / 3);
  }
  return { graph: { ...graph, initializers }, dead, all };
}

const resnet = withNorms(buildNet("resnet", { depth: 14, widths: [8, 16, 16], init: "kaiming" }));
const densenet = withNorms(buildNet("densenet", { depth: 10, growth: 6, init: "kaiming" }));
const inner = (name: string) => name.endsWith("body.1");

describe("network slimming", () => {
  test("removes the channels within blocks whose scales are zero, and the network computes the same", async () => {
    const { graph, dead, all } = withDeadChannels(resnet, inner);
    const { graph: slim, outcomes } = methodPass("slimming", { rate: (dead - 1) / all, only: "*.body.0" })(graph);
    expect((await outputsDiffer(writeModel(graph), slim)).relative).toBeLessThan(1e-5);
    const kept = outcomes.filter(({ applied }) => applied).length;
    expect(kept).toBe(12); // both convolutions of six blocks
    const sizes = slim.nodes
      .filter(({ name }) => inner(name))
      .map(({ inputs }) => slim.initializers.get(inputs[1]!)!.dims[0]);
    expect(sizes).toEqual([5, 5, 11, 11, 11, 11]);
  });

  test("selects for each norm of a DenseNet by itself, and removes weights and entries of norms", async () => {
    const { graph, dead, all } = withDeadChannels(densenet, () => true);
    const { graph: slim } = methodPass("slimming", { rate: (dead - 1) / all })(graph);
    expect((await outputsDiffer(writeModel(graph), slim)).relative).toBeLessThan(1e-5);
    const { constant } = indexOf(slim);
    let weights = 0;
    for (const { op, inputs } of slim.nodes)
      if (op === "Conv" || op === "Gemm") weights += numbers(constant(inputs[1]!)!).length;
    expect(cost(slim).weights).toBe(weights);
    const keeps = slim.nodes
      .filter(({ op }) => op === "BatchNormalization")
      .map(({ inputs }) => constant(inputs[1]!)!.dims[0]!);
    expect(keeps.reduce((sum, size) => sum + size, 0)).toBe(all - dead);
    const selections = slim.nodes.filter(({ op }) => op === "Gather");
    expect(selections).toHaveLength(keeps.length);
    const growth = slim.nodes.filter(({ op, inputs }) => op === "Conv" && constant(inputs[1]!)!.dims[2] === 3);
    expect(new Set(growth.slice(1).map(({ inputs }) => constant(inputs[1]!)!.dims[0]))).toEqual(new Set([6]));
  });

  test("keeps a budget, and leaves one channel of every class at least", () => {
    for (const options of [{ keepParams: 0.5 }, { keepMacs: 0.5 }, { keepMacs: 0.3, score: "norm" }]) {
      const after = cost(methodPass("slimming", options)(resnet).graph);
      const before = cost(resnet);
      const [kind, keep] = "keepMacs" in options ? ["macs" as const, options.keepMacs!] : ["weights" as const, 0.5];
      expect(after[kind] / before[kind]).toBeLessThanOrEqual(keep);
      expect(after[kind] / before[kind]).toBeGreaterThan(keep - 0.05);
    }
    expect(() => methodPass("slimming", { keepMacs: 1e-6 })(resnet)).toThrow(
      expect.objectContaining({ code: "budget-unreachable" }),
    );
    expect(() => methodPass("slimming", { keepMacs: 0.5, rate: 0.5 })(resnet)).toThrow(
      expect.objectContaining({ code: "usage" }),
    );
  });

  test("goes by the size of filters where norms are folded, and says so", () => {
    const folded = foldBatchNorm(resnet).graph;
    const { outcomes } = methodPass("slimming", { keepParams: 0.6 })(folded);
    expect(outcomes.filter(({ applied }) => applied).every(({ reason }) => reason.includes("no batch norms"))).toBe(
      true,
    );
    expect(() => methodPass("slimming", { keepParams: 0.6, score: "scale" })(folded)).toThrow(
      expect.objectContaining({ code: "budget-unreachable" }),
    );
  });
});

describe("cascaded projection", () => {
  test("with projections that are the identity it changes nothing", async () => {
    const eye = (n: number) =>
      matrix(
        n,
        n,
        Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0)),
      );
    const names = resnet.nodes.filter(({ name }) => name.endsWith("body.0")).map(({ name }) => name);
    const projections = new Map(names.map((name, at) => [name, eye(at < 2 ? 8 : 16)]));
    const { graph } = methodPass("cap", {}, { projections })(resnet);
    expect((await outputsDiffer(writeModel(resnet), graph)).relative).toBeLessThan(1e-5);
  });

  test("with half of the channels of ResNet-56 it has 50.18 % of the multiply-accumulates", () => {
    const graph = buildNet("resnet56", { init: "zeros" });
    const after = cost(methodPass("cap", { keep: 0.5 })(graph).graph);
    expect([after.weights, after.macs]).toEqual([425_008, 62_964_352]);
  });

  test("keeps a budget, and projects channels between plain convolutions alone", () => {
    const { graph, outcomes } = methodPass("cap", { keepMacs: 0.5 })(resnet);
    expect(cost(graph).macs / cost(resnet).macs).toBeLessThanOrEqual(0.5);
    expect(outcomes.find(({ layer }) => layer === "features.0.0")).toMatchObject({
      applied: false,
      reason: expect.stringContaining("more than one convolution"),
    });
  });

  test("a norm behind the projection changes nothing", async () => {
    const { graph } = methodPass("cap", { keep: 0.5 })(resnet);
    const folded = foldBatchNorm(resnet).graph;
    const without = methodPass("cap", { keep: 0.5 })(folded).graph;
    expect((await outputsDiffer(writeModel(without), graph)).relative).toBeLessThan(1e-4);
  });
});

describe("AMC", () => {
  test("with everything kept it changes nothing, without an agent it keeps the same share of every layer", async () => {
    const { graph: same } = methodPass("amc", { keepMacs: 1 })(resnet);
    expect((await outputsDiffer(writeModel(resnet), same)).relative).toBe(0);
    const { graph, outcomes } = methodPass("amc", { keepMacs: 0.5 })(resnet);
    expect(cost(graph).macs / cost(resnet).macs).toBeLessThanOrEqual(0.5);
    expect(outcomes.filter(({ applied }) => applied)[0]!.reason).toContain("no agent has searched");
  });

  test("the wall keeps every walk within the budget, and states are ten numbers", () => {
    for (const keepMacs of [0.35, 0.5, 0.8]) {
      const environment = channelEnvironment(resnet, { keepMacs });
      const random = new Random(7);
      for (const policy of [() => 1, () => 0.001, () => random.next()]) {
        const kept: number[] = [];
        for (const { of } of environment.classes) {
          const state = environment.state(kept);
          expect(state).toHaveLength(10);
          for (const value of state) expect(value >= 0 && value <= 1).toBe(true);
          kept.push(environment.channels(policy(), kept));
          expect(kept.at(-1)).toBeGreaterThanOrEqual(Math.ceil(0.2 * of.channels.length));
        }
        const { graph } = methodPass("amc", { keepMacs }, { kept })(resnet);
        expect(cost(graph).macs / cost(resnet).macs).toBeCloseTo(environment.share(kept), 9);
        expect(environment.share(kept)).toBeLessThanOrEqual(keepMacs);
      }
    }
    expect(() => methodPass("amc", { keepMacs: 0.01 })(resnet)).toThrow(
      expect.objectContaining({ code: "budget-unreachable" }),
    );
  });

  test("weights that are fitted again lose less than those that are cut", async () => {
    const random = new Random(3);
    const moments = new Map(
      resnet.nodes
        .filter(({ name }) => /body\.3$/.test(name))
        .map(({ name, inputs }) => {
          const [, c = 0, h = 1, w = 1] = resnet.initializers.get(inputs[1]!)!.dims;
          const side = c * h * w;
          // a few directions carry nearly everything, as activations have it
          const factors = Float64Array.from({ length: side * 6 }, () => random.normal());
          const second = new Float64Array(side * side);
          for (let i = 0; i < side; i++)
            for (let j = 0; j < side; j++) {
              let sum = i === j ? 0.01 : 0;
              for (let k = 0; k < 6; k++) sum += factors[i * 6 + k]! * factors[j * 6 + k]!;
              second[i * side + j] = sum;
            }
          return [name, { channels: c, second: matrix(side, side, second), mean: undefined }] as const;
        }),
    );
    const fitted = methodPass("amc", { keepMacs: 0.6 }, { moments })(resnet).graph;
    const cut = methodPass("amc", { keepMacs: 0.6 })(resnet).graph;
    const changed = [...fitted.initializers].filter(
      ([name, { data }]) => Buffer.compare(data, cut.initializers.get(name)!.data) !== 0,
    );
    expect(changed.length).toBe(6);
    for (const [name] of changed) expect(name).toContain("body.3");
  });
});

test("AMC leaves the weights that stay as they were where the images say nothing of them", () => {
  const weightsOf = (graph: Graph): readonly (readonly number[])[] => {
    const { constant } = indexOf(graph);
    return graph.nodes.filter(({ op }) => op === "Conv").map(({ inputs }) => [...numbers(constant(inputs[1]!)!)]);
  };
  const { constant } = indexOf(resnet);
  // of every channel one position was seen, by itself: the channels that go say nothing of those that stay
  const moments = new Map(
    resnet.nodes.flatMap(({ op, name, inputs }) => {
      if (op !== "Conv") return [];
      const [, channels = 0, height = 0, width = 0] = constant(inputs[1]!)!.dims;
      const side = channels * height * width;
      const second = matrix(side, side, new Float64Array(side * side));
      for (let at = 0; at < side; at += height * width) second.data[at * side + at] = 1;
      return [[name, { channels, second, mean: undefined }] as const];
    }),
  );
  const plain = methodPass("amc", { keepParams: 0.5 })(resnet).graph;
  expect(weightsOf(methodPass("amc", { keepParams: 0.5 }, { moments })(resnet).graph)).toEqual(weightsOf(plain));
});
