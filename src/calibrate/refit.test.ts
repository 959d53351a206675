// The sequential refit on small networks: what it promises on the images that it was fitted to, and what it leaves
// alone.
import { describe, expect, test } from "vitest";
import { distance, families, outputOf, residual, smoothImages } from "../../test/residual-network.js";
import type { Candidate } from "../basis/factors.js";
import { fitCandidate } from "../basis/fit.js";
import { makeNode } from "../graph/attributes.js";
import { matrix } from "../linalg/matrix.js";
import { calibrate, compressCalibrated, fitPlan, planByMacs } from "./calibrated.js";
import { withChains } from "./chain.js";
import type { Engine } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import { ortEngine } from "./ort-engine.js";
import { refit } from "./refit.js";
import { unchanged, withReplacements } from "./replacement.js";
import { torchEngine } from "./torch-engine.js";

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

  test("asks for images only where a layer's inputs are computed from them", async () => {
    const [graph, engine, all] = [residual(), torchEngine(), smoothImages(64)];
    const calibration = await calibrate(graph, all, engine, families);
    const symmetric = await fitPlan(calibration, planByMacs(calibration, 0.3).chosen, engine.algebra);
    let asked = 0;
    const feeds = (first: number, count: number) => {
      asked++;
      return all.feeds(first, count);
    };
    await refit(graph, symmetric, { count: all.count, feeds }, engine, { batch: 8 });
    expect(asked).toBeLessThanOrEqual(2 + 2 * 8); // sizes, then both walks of the first layer behind a replaced one
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
    const { chosen } = planByMacs(calibration, 0.3);
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
        ? [makeNode("GlobalAveragePool", ["r0"], ["g0"]), makeNode("Add", ["c2", "g0"], ["a2"])]
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
