// The sequential refit on small networks: what it promises on the images that it was fitted to, and what it leaves
// alone.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { composed } from "../basis/composed.js";
import type { Candidate } from "../basis/factors.js";
import { fitCandidate } from "../basis/fit.js";
import { float32Tensor, ints, makeNode } from "../graph/attributes.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { matrix } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import { Random } from "../linalg/random.js";
import { isUnreachable, solvePlan } from "../plan/solve.js";
import { blockSteps } from "./block-steps.js";
import { calibrate, compressCalibrated, fitPlan, planByMacs, planItems } from "./calibrated.js";
import { withChains } from "./chain.js";
import type { CalibrationImages, Engine, Values } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import { ortEngine, pureProducts } from "./ort-engine.js";
import { refit } from "./refit.js";
import { outputErrorOf, refitted, withNewBias } from "./regression.js";
import { unchanged, withReplacements } from "./replacement.js";
import { addSamples, finishCross, newSums } from "./sums.js";
import { torchEngine } from "./torch-engine.js";

const random = new Random("refit");
const weight = (...dims: number[]): TensorData => {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const fan = size / dims[0]!;
  return float32Tensor(
    dims,
    Float32Array.from({ length: size }, () => random.normal() / Math.sqrt(fan)),
  );
};

const conv = (x: string, w: string, y: string, stride = 1) => {
  const attributes = { pads: ints([1, 1, 1, 1]), strides: ints([stride, stride]) };
  return makeNode("Conv", [x, w, `${w}.bias`], [y], attributes, { name: y });
};
const relu = (x: string, y: string) => makeNode("Relu", [x], [y]);
const one = (op: string, inputs: readonly string[], y: string): Node => makeNode(op, inputs, [y]);

/** Two residual blocks; the second one halves the size, with a convolution in its shortcut. */
function residual(): Graph {
  const nodes = [
    conv("x", "w0", "c0"),
    relu("c0", "r0"),
    conv("r0", "w1", "c1"),
    relu("c1", "r1"),
    conv("r1", "w2", "c2"),
    one("Add", ["c2", "r0"], "a2"),
    relu("a2", "r2"),
    conv("r2", "w3", "c3", 2),
    relu("c3", "r3"),
    conv("r3", "w4", "c4"),
    conv("r2", "w5", "c5", 2),
    one("Add", ["c4", "c5"], "a5"),
    relu("a5", "r5"),
    one("GlobalAveragePool", ["r5"], "pooled"),
    makeNode("Flatten", ["pooled"], ["flat"]),
    makeNode("Gemm", ["flat", "w6", "w6.bias"], ["y"], {}, { name: "y" }),
  ];
  const weights: Record<string, TensorData> = {
    w0: weight(8, 3, 3, 3),
    w1: weight(8, 8, 3, 3),
    w2: weight(8, 8, 3, 3),
    w3: weight(12, 8, 3, 3),
    w4: weight(12, 12, 3, 3),
    w5: weight(12, 8, 3, 3),
    w6: weight(12, 5),
  };
  for (const [name, { dims }] of Object.entries(weights))
    weights[`${name}.bias`] = weight(name === "w6" ? 5 : dims[0]!);
  return {
    name: "residual",
    nodes,
    initializers: new Map(Object.entries(weights)),
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 12, 12] } }],
    outputs: [{ name: "y", tensor: { type: "float32", dims: ["N", 5] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

/** Smooth images: sums of waves. */
function smoothImages(count: number, size = 12, seed = 1): CalibrationImages {
  const draw = new Random(seed);
  const data = new Float32Array(count * 3 * size * size);
  for (let n = 0, at = 0; n < count; n++)
    for (let c = 0; c < 3; c++) {
      const [fy, fx, phase] = [draw.normal() * 0.5, draw.normal() * 0.5, draw.normal() * 3];
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++, at++) data[at] = Math.cos(fy * y + fx * x + phase) + 0.1 * draw.normal();
    }
  const each = 3 * size * size;
  return {
    count,
    feeds: (first, number): Values => ({
      x: float32Tensor([number, 3, size, size], data.slice(first * each, (first + number) * each)),
    }),
  };
}

async function outputOf(graph: Graph, images: CalibrationImages, engine: Engine): Promise<Float32Array> {
  const session = await engine.open(graph);
  const values = await session.run(await images.feeds(0, images.count));
  await session.close();
  return floats(values[graph.outputs[0]!.name]!);
}

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / b.reduce((sum, value) => sum + value ** 2, 0));

const families = { candidates: { families: ["one-split", "low-rank"] as const } };

describe("the sequential refit", () => {
  test("brings the outputs of the network nearer to the original's, on images that it has not seen too", async () => {
    const graph = { ...residual(), outputs: [{ name: "r5" }] };
    const [engine, images] = [torchEngine(), smoothImages(64)];
    const calibration = await calibrate(graph, images, engine, families);
    const plan = planByMacs(calibration, 0.3);
    const symmetric = await fitPlan(calibration, plan.chosen, engine.algebra);
    const { replacements, outcomes } = await refit(graph, symmetric, images, engine, { batch: 8 });
    const unseen = smoothImages(32, 12, 2);
    const original = await outputOf(graph, unseen, engine);
    const before = distance(await outputOf(withChains(graph, symmetric), unseen, engine), original);
    const after = distance(await outputOf(withChains(graph, replacements.values()), unseen, engine), original);
    expect(after).toBeLessThan(before);
    expect(outcomes.filter(({ took }) => took === "refit").length).toBeGreaterThan(1);
    for (const { took, errors } of outcomes) {
      if (Object.keys(errors).length === 0) continue;
      expect(errors[took]).toBeLessThanOrEqual(errors.symmetric!);
      if (errors.refit !== undefined) expect(took === "refit").toBe(errors.refit < errors.symmetric!);
    }
  });

  test("through the ReLU is no further away than without it, and is kept per layer by what is held out", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(64)];
    const calibration = await calibrate(graph, images, engine, families);
    const plan = planByMacs(calibration, 0.4);
    const plain = await compressCalibrated(calibration, plan.chosen, images, engine, { refit: { batch: 8 } });
    const through = await compressCalibrated(calibration, plan.chosen, images, engine, {
      refit: { batch: 8, activation: true },
    });
    expect(through.layers.some(({ refit: own }) => own?.took === "activation")).toBe(true);
    const original = await outputOf(graph, images, engine);
    const [a, b] = await Promise.all(
      [plain, through].map(async ({ replacements }) =>
        distance(await outputOf(withChains(graph, replacements), images, engine), original),
      ),
    );
    expect(b).toBeLessThan(a! * 1.05);
  });

  test("gives the same whether activations are kept between layers or computed again, and by ONNX Runtime as by libtorch", async () => {
    const [graph, images] = [residual(), smoothImages(24)];
    const run = async (engine: Engine, memory?: number) => {
      const calibration = await calibrate(graph, images, engine, families);
      const { chosen } = planByMacs(calibration, 0.5);
      const options = { batch: 8, holdEvery: 3, ...(memory === undefined ? {} : { memory }) };
      const { replacements } = await compressCalibrated(calibration, chosen, images, engine, { refit: options });
      return outputOf(withChains(graph, replacements), images, engine);
    };
    const kept = await run(torchEngine());
    expect(distance(await run(torchEngine(), 0), kept)).toBeLessThan(1e-5);
    expect(distance(await run(torchEngine(), 60_000), kept)).toBeLessThan(1e-5);
    expect(distance(await run(ortEngine()), kept)).toBeLessThan(2e-3);
  });

  test("at full rank gives the original to 1e-5", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(48)];
    const calibration = await calibrate(graph, images, engine, families);
    const full = calibration.layers.map(({ layer }) => {
      const { n, c, kernel } = layer.shape;
      const family = kernel[0] * kernel[1] === 1 ? "low-rank" : "one-split";
      const candidate: Candidate = { family, ranks: [Math.min(n, c * kernel[0] * kernel[1])] };
      return { layer, candidate, error: 0, weights: 0, macs: 0, price: 0, loss: 0 };
    });
    const { replacements } = await compressCalibrated(calibration, full, images, engine, { refit: { batch: 8 } });
    const original = await outputOf(graph, images, engine);
    const chained = withChains(graph, replacements);
    expect(chained.nodes.filter(({ op }) => op === "Conv").length).toBe(2 * 6);
    expect(distance(await outputOf(chained, images, engine), original)).toBeLessThan(1e-5);
    expect(distance(await outputOf(withReplacements(graph, replacements), images, engine), original)).toBeLessThan(
      1e-5,
    );
  });

  test("leaves a layer as it is whose weight serves several nodes, and says so", async () => {
    const graph = residual();
    const shared = {
      ...graph,
      nodes: graph.nodes.map((node) =>
        node.inputs[1] === "w2" ? { ...node, inputs: [node.inputs[0]!, "w1", "w1.bias"] } : node,
      ),
    };
    const [engine, images] = [torchEngine(), smoothImages(16)];
    const calibration = await calibrate(shared, images, engine, families);
    const { chosen } = planByMacs(calibration, 0.5);
    const { layers, replacements } = await compressCalibrated(calibration, chosen, images, engine, {
      refit: { batch: 4 },
    });
    const reason = layers.find(({ layer }) => layer === "c1")?.refit?.reason;
    expect(reason).toMatch(/several nodes/);
    const output = await outputOf(withChains(shared, replacements), images, engine);
    expect(output.every(Number.isFinite)).toBe(true);
  });

  test("of dense layers makes good what they lack, by their outputs where what is added is broadcast", async () => {
    const whole = residual();
    const nodes = whole.nodes.flatMap((node) =>
      node.outputs[0] === "a2"
        ? [one("GlobalAveragePool", ["r0"], "g0"), one("Add", ["c2", "g0"], "a2")]
        : node.outputs[0] === "c3"
          ? []
          : [node],
    );
    const graph = { ...whole, nodes: nodes.slice(0, nodes.findIndex(({ outputs: [y] }) => y === "r2") + 1) };
    const cut = { ...graph, outputs: [{ name: "r2" }] };
    const [engine, images] = [torchEngine(), smoothImages(32)];
    const calibration = await calibrate(cut, images, engine, families);
    const chosen = calibration.layers.map(({ layer, choices }, i) => {
      const choice = i === 0 ? choices.find(({ candidate }) => candidate.ranks[0] === 2)! : choices[0]!;
      return { ...choice, layer, price: 0, loss: 0 };
    });
    const symmetric = await fitPlan(calibration, chosen, engine.algebra);
    const { replacements, outcomes } = await refit(cut, symmetric, images, engine, { batch: 4 });
    expect(outcomes[1]).toMatchObject({ layer: "c1", took: "bias" });
    // Behind its ReLU nobody can look: the error is by the variance of what the output lacks.
    expect(outcomes[2]!.errors.symmetric).toBeGreaterThan(0.9);
    const original = await outputOf(cut, images, engine);
    const [before, after] = await Promise.all(
      [symmetric, [...replacements.values()]].map(async (some) =>
        distance(await outputOf(withReplacements(cut, some), images, engine), original),
      ),
    );
    expect(after).toBeLessThan(before!);
  });

  test("stops when it is told to", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(8)];
    const stop = new AbortController();
    stop.abort();
    await expect(calibrate(graph, images, engine, { ...families, signal: stop.signal })).rejects.toThrow(/stopped/);
    const given = findCalibratedLayers(graph).layers.map(unchanged);
    const factors = fitCandidate(
      given[0]!.layer.weight,
      matrix(
        27,
        27,
        Float64Array.from({ length: 27 * 27 }, (_, i) => (i % 28 === 0 ? 1 : 0)),
      ),
      given[0]!.layer.shape,
      { family: "one-split", ranks: [2] },
    );
    const replaced = [{ ...given[0]!, factors }, ...given.slice(1)];
    await expect(refit(graph, replaced, images, engine, { signal: stop.signal })).rejects.toThrow(/stopped/);
  });
});

describe("block steps", () => {
  test("bring the outputs nearer to the original's, block by block, on images that were not seen too", async () => {
    const graph = { ...residual(), outputs: [{ name: "r5" }] };
    const [engine, images] = [torchEngine(), smoothImages(64)];
    const calibration = await calibrate(graph, images, engine, families);
    const plan = planByMacs(calibration, 0.3);
    const { replacements } = await compressCalibrated(calibration, plan.chosen, images, engine, {
      refit: { batch: 8 },
    });
    const learned = await blockSteps(graph, replacements, images, engine, { batch: 8, steps: 60 });
    // No output depends on the last layer here: it learns nothing.
    expect(learned.outcomes.map(({ layers }) => layers.join(" "))).toEqual(["c0", "c1 c2", "c3 c4 c5"]);
    expect(learned.outcomes.filter(({ kept }) => kept).length).toBeGreaterThan(1);
    for (const { before, after, kept } of learned.outcomes) expect(kept).toBe(after < before);
    const unseen = smoothImages(32, 12, 2);
    const original = await outputOf(graph, unseen, engine);
    const before = distance(await outputOf(withChains(graph, replacements), unseen, engine), original);
    const chained = await outputOf(withChains(graph, learned.replacements), unseen, engine);
    expect(distance(chained, original)).toBeLessThan(before);
    const dense = await outputOf(withReplacements(graph, learned.replacements), unseen, engine);
    expect(distance(dense, chained)).toBeLessThan(1e-5);
  });

  test("learn fully connected layers too, and give the same every time", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(32)];
    const calibration = await calibrate(graph, images, engine, families);
    const plan = planByMacs(calibration, 0.3);
    const { replacements } = await compressCalibrated(calibration, plan.chosen, images, engine);
    const run = async () => {
      const learned = await blockSteps(graph, replacements, images, engine, { batch: 8, steps: 20 });
      return outputOf(withChains(graph, learned.replacements), images, engine);
    };
    const [first, again] = [await run(), await run()];
    expect([...first]).toEqual([...again]);
    const original = await outputOf(graph, images, engine);
    expect(distance(first, original)).toBeLessThan(
      distance(await outputOf(withChains(graph, replacements), images, engine), original),
    );
  });
});

describe("least squares over what a layer reads", () => {
  test("never has a larger error on the calibration data than the symmetric factors", () => {
    const shape = { n: 5, c: 2, kernel: [3, 1], stride: [1, 1] } as const;
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (seed, rank, noise) => {
          const draw = new Random(seed);
          const normal = (count: number) => Float32Array.from({ length: count }, () => draw.normal());
          const [rows, d, n] = [60, 6, 5];
          const filters = matrix(n, d, Float64Array.from(normal(n * d)));
          const x = normal(rows * d); // what the original reads
          const other = x.map((value) => value + noise * draw.normal()); // what the compressed network reads
          const y = Float32Array.from({ length: rows * n }, (_, at) => {
            let sum = 1;
            for (let i = 0; i < d; i++) sum += filters.data[(at % n) * d + i]! * x[Math.floor(at / n) * d + i]!;
            return sum;
          });
          const sums = newSums(d, n);
          addSamples(sums, rows, other.slice(), pureProducts, y.slice());
          const moments = finishCross(sums, "layer");
          const original = newSums(d, n);
          addSamples(original, rows, x.slice(), pureProducts, y.slice());
          const { covariance } = finishCross(original, "layer");
          const factors = fitCandidate(filters, covariance, shape, { family: "one-split", ranks: [rank] });
          const layer = {
            ...findCalibratedLayers(residual()).layers[0]!,
            shape,
            weight: filters,
          };
          const symmetric = withNewBias(
            { layer, filters: composed(factors), biases: [new Float64Array(n)], factors },
            moments,
          );
          const made = refitted(symmetric, moments, 0, pureLinearAlgebra);
          const [before, after] = [symmetric, made].map((replacement) =>
            outputErrorOf(replacement, moments, pureLinearAlgebra),
          );
          expect(after).toBeLessThanOrEqual(before! + 1e-6);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a calibrated plan", () => {
  test("keeps at most what was asked for, and loses less with a larger budget", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(16)];
    const calibration = await calibrate(graph, images, engine, families);
    const losses = [0.3, 0.5, 0.7, 1].map((keep) => {
      const plan = planByMacs(calibration, keep);
      expect(plan.chosen.length).toBe(calibration.layers.length);
      return plan.loss;
    });
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThanOrEqual(losses[i - 1]!);
    expect(losses.at(-1)).toBe(0);
    expect(() => planByMacs(calibration, 0.001)).toThrow(/budget-unreachable|no plan keeps/);
  });

  test("takes any price, and leaves out what has none", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(16)];
    const calibration = await calibrate(graph, images, engine, families);
    const items = planItems(calibration, {
      price: (_, { candidate, weights }) => (candidate.ranks[0] === 2 ? undefined : weights),
    });
    const whole = items.reduce((sum, [dense]) => sum + dense!.price, 0);
    const found = solvePlan(items, whole * 0.6);
    if (isUnreachable(found)) throw new Error(found.reason);
    expect(found.price).toBeLessThanOrEqual(whole * 0.6);
    expect(found.chosen.some(({ candidate }) => candidate.ranks[0] === 2)).toBe(false);
  });
});
