// Plans from a calibration: budgets kept, prices of any kind.
import { describe, expect, test } from "vitest";
import { families, residual, smoothImages } from "../../test/residual-network.js";
import { isUnreachable, solvePlan } from "../plan/solve.js";
import { calibrate, planByMacs, planItems } from "./calibrated.js";
import { torchEngine } from "./torch-engine.js";

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

  test("leaves layers of a small share as they are, and looks at none of their inputs", async () => {
    const [graph, engine, images] = [residual(), torchEngine(), smoothImages(16)];
    const { layers, extents } = await calibrate(graph, images, engine, families);
    const shares = layers.map(({ choices: [own] }) => own!.macs / extents.macs);
    const leastShare = Math.max(...shares);
    const looked: number[] = [];
    const progress = (what: string, _: number, total: number) => void (what === "moments" && looked.push(total));
    const fewer = await calibrate(graph, images, engine, { ...families, leastShare, progress });
    expect(fewer.layers.map(({ choices }) => choices.length > 1)).toEqual(shares.map((share) => share >= leastShare));
    expect(looked.at(-1)).toBe(shares.filter((share) => share >= leastShare).length);
    expect(layers.every(({ choices }) => choices.length > 1)).toBe(true);
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
