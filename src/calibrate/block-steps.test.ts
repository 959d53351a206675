// Block steps behind a refit: nearer to the original on images that were not seen, and the same every time.
import { describe, expect, test } from "vitest";
import { distance, families, outputOf, residual, smoothImages } from "../../test/residual-network.js";
import { blockSteps } from "./block-steps.js";
import { calibrate, compressCalibrated, planByMacs } from "./calibrated.js";
import { withChains } from "./chain.js";
import { withReplacements } from "./replacement.js";
import { torchEngine } from "./torch-engine.js";

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
