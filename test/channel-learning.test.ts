// What methods learn from batches: projections stay orthonormal and come nearer to the original, the agent keeps its
// budget, ENC-Inf validates its ranks, and sparsity training makes the scales of batch norms small.
import { afterAll, expect, test } from "vitest";
import { int, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { floats, tensorOf } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { Random } from "../src/linalg/random.js";
import { methodPass } from "../src/methods/methods.js";
import { sparseScales } from "../src/methods/slimming.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { knowledgeOf } from "../src/train/knowledge.js";
import { optimizer } from "../src/train/optimizers.js";
import { parseRecipe } from "../src/train/recipe.js";
import type { BatchSource } from "../src/train/sources.js";
import { trainStep } from "../src/train/step.js";
import { describeEngine, liveTensorsAfterCollection } from "./engine.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

const graph = buildNet("resnet", { depth: 8, widths: [4, 8, 8], init: "kaiming", seed: 3 });
const source: BatchSource = {
  stepsPerEpoch: 4,
  batchSize: 8,
  batch(epoch, step) {
    const random = new Random(`${epoch} ${step}`);
    return {
      input: Float32Array.from({ length: 8 * 3 * 32 * 32 }, () => random.normal()),
      inputDims: [8, 3, 32, 32],
      target: BigInt64Array.from({ length: 8 }, () => BigInt(random.int(10))),
      targetDims: [8],
    };
  },
};

/** Two convolutions, one with a norm and one with a bias, and a classifier. */
function chained(): Graph {
  const padded = { pads: ints([1, 1, 1, 1]), strides: ints([4, 4]) };
  return smallGraph({
    nodes: [
      makeNode("Conv", ["input", "w1"], ["a"], padded, { name: "a" }),
      makeNode("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], {}, { name: "n" }),
      makeNode("Relu", ["n"], ["r"]),
      makeNode("Conv", ["r", "w2", "b2"], ["c"], padded, { name: "c" }),
      makeNode("Relu", ["c"], ["d"]),
      makeNode("GlobalAveragePool", ["d"], ["e"]),
      makeNode("Flatten", ["e"], ["f"]),
      makeNode("Gemm", ["f", "w3"], ["output"], { transB: int(1) }, { name: "end" }),
    ],
    initializers: {
      w1: randomTensor([6, 3, 3, 3], 1),
      s: randomTensor([6], 2),
      b: randomTensor([6], 3),
      m: randomTensor([6], 4),
      v: tensorOf("float32", [6], [1, 2, 3, 1, 2, 3]),
      w2: randomTensor([8, 6, 3, 3], 5),
      b2: randomTensor([8], 6),
      w3: randomTensor([10, 8], 7),
    },
    inputs: [{ name: "input", tensor: { type: "float32", dims: ["N", 3, 32, 32] } }],
    outputs: ["output"],
  });
}

const usual = { source, batches: 2, seed: 1 };

describeEngine("learning of methods over channels", () => {
  const before = liveTensorsAfterCollection();
  afterAll(() => expect(liveTensorsAfterCollection()).toBeLessThanOrEqual(before));

  test("projections stay orthonormal, come nearer to the original and are written as they were learned", async () => {
    using network = new Network(graph);
    const notes: string[] = [];
    const options = { keep: 0.5, steps: 12 };
    const task = { ...usual, graph, network, options, note: (text: string) => void notes.push(text) };
    const known = await knowledgeOf("cap", task);
    const { projections } = known;
    expect([...projections!.values()].map(({ rows, cols }) => [rows, cols])).toEqual([
      [4, 2],
      [8, 4],
      [8, 4],
    ]);
    for (const { rows, cols, data } of projections!.values())
      for (let a = 0; a < cols; a++)
        for (let b = 0; b < cols; b++) {
          let product = 0;
          for (let row = 0; row < rows; row++) product += data[row * cols + a]! * data[row * cols + b]!;
          expect(product).toBeCloseTo(a === b ? 1 : 0, 9);
        }
    const [from, to] = /loss (\S+) -> (\S+)$/.exec(notes.at(-1)!)!.slice(1).map(Number) as [number, number];
    expect(to).toBeLessThan(from);
    const { graph: made, outcomes } = methodPass("cap", { keep: 0.5 }, known)(graph);
    expect(outcomes.filter(({ reason }) => reason.includes("by a learned projection")).length).toBe(6);
    expect(cost(made).weights).toBe(cost(methodPass("cap", { keep: 0.5 })(graph).graph).weights);
  });

  test("projections follow each other where layers do, as in VGG", async () => {
    const chain = chained();
    using network = new Network(chain);
    const notes: string[] = [];
    const task = {
      ...{ graph: chain, network, source, batches: 1, seed: 1 },
      note: (text: string) => void notes.push(text),
    };
    const known = await knowledgeOf("cap", { ...task, options: { keep: 0.5, steps: 15 } });
    expect([...known.projections!.values()].map(({ cols }) => cols)).toEqual([3, 4]);
    const [from, to] = /loss (\S+) -> (\S+)$/.exec(notes.at(-1)!)!.slice(1).map(Number) as [number, number];
    expect(to).toBeLessThan(from);
    expect(cost(methodPass("cap", { keep: 0.5 }, known)(chain).graph).weights).toBe(3 * 3 * 9 + 3 * 4 * 9 + 4 * 10);
  });

  test("the agent keeps its budget, and decides the same with the same seed", async () => {
    using network = new Network(graph);
    const task = {
      graph,
      network,
      source,
      batches: 2,
      options: { keepMacs: 0.6, episodes: 8, warmup: 3 },
      seed: 1,
      note: () => undefined,
    };
    const [once, again] = [await knowledgeOf("amc", task), await knowledgeOf("amc", task)];
    expect(once.kept).toEqual(again.kept);
    const { graph: made, outcomes } = methodPass("amc", { keepMacs: 0.6 }, once)(graph);
    expect(cost(made).macs).toBeLessThanOrEqual(0.6 * cost(graph).macs);
    expect(outcomes.some(({ applied, reason }) => applied && reason.endsWith("decided by the agent"))).toBe(true);
  });

  test("ENC-Inf takes the ranks that get most of the batches right, and the same ones again", async () => {
    const wide = buildNet("resnet", { depth: 8, widths: [8, 16, 32], init: "kaiming", seed: 3 });
    using network = new Network(wide);
    const options = { search: "inf", keepMacs: 0.5 };
    const notes: string[] = [];
    const task = { ...usual, graph: wide, network, options, note: (text: string) => void notes.push(text) };
    const known = await knowledgeOf("enc", task);
    const scores: number[] = [];
    const counting = {
      ...known,
      validate: (candidate: Graph) => {
        const score = known.validate!(candidate);
        scores.push(score);
        return score;
      },
    };
    const made = methodPass("enc", options, counting)(wide).graph;
    expect(scores.length).toBeGreaterThan(3);
    expect(known.validate!(made)).toBe(Math.max(...scores));
    expect(notes[0]).toMatch(/^ENC-Inf: candidate 1 has an error of /);
    expect(cost(made).macs).toBeLessThanOrEqual(0.5 * cost(wide).macs);
    expect(await knowledgeOf("enc", { ...task, options: { keepMacs: 0.5 } })).not.toHaveProperty("validate");
  });

  test("sparsity training makes scales smaller, and a network without batch norms has none", async () => {
    using network = new Network(graph);
    const { loss } = parseRecipe({ name: "a", network: { name: "resnet20" }, loss: { sparsity: 10 } });
    const names = [...sparseScales(graph)];
    const scales = names.map((name) => network.parameters.get(name)!);
    using sgd = optimizer(network.parameters, { name: "sgd", momentum: 0, nesterov: false, weightDecay: 0 });
    const trainer = { graph, network, input: "input", outputs: ["output"], optimizer: sgd, loss, layers: [], scales };
    const size = () =>
      names.reduce(
        (sum, name) => sum + floats(network.toGraph().initializers.get(name)!).reduce((a, b) => a + Math.abs(b), 0),
        0,
      );
    const start = size();
    for (let step = 0; step < 3; step++) trainStep(trainer, await source.batch(0, step), 0.01, 0);
    expect(size()).toBeLessThan(0.9 * start);
    expect(sparseScales(buildNet("edsr-8-128", { scale: 2, init: "zeros" })).size).toBe(0);
  });
});
