// Without a budget: plans that lose more on other images than on those that chose them.
import { expect, test } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { slowerPlan } from "./fastest-within.js";
import type { CalibratedPlan } from "./plan-calibrated.js";
import { untilKept } from "./plan-slower.js";

const limit = 0.01;
/** What layers lose by the speed-up of their network. */
const layersAt = (speedup: number): number => (speedup - 1) ** 2;
const speedups = Array.from({ length: 41 }, (_, i) => 1 + i / 20);
const planOf = (speedup: number) => ({ chosen: [{ loss: layersAt(speedup) }], speedup }) as unknown as CalibratedPlan;
const planner = {
  curve: () => speedups.map((speedup) => ({ speedup, milliseconds: 1, loss: layersAt(speedup) })),
  plans: () => speedups.map(planOf),
};
const speedupOf = (plan: CalibratedPlan): number => (plan as unknown as { speedup: number }).speedup;

/** Files that lose by their speed-up; what was written, and how often a file was made. */
async function written(first: number, lossAt: (speedup: number) => number, isNamed: boolean) {
  let made = 0;
  const run = untilKept(planOf(first), {
    carryOut: async (plan, isStrict) => {
      made++;
      const mean = lossAt(speedupOf(plan));
      const facts = { loss: { mean }, most: limit };
      if ((isNamed || isStrict) && mean > limit) throw new FilterBasisError("loses-function", "loses", { facts });
      return speedupOf(plan);
    },
    slower: (plan, { mean }, most) => slowerPlan(planner, plan, mean, most),
    isNamed,
  });
  return { speedup: await run, made };
}

test("a plan that keeps the limit is written at once", async () => {
  expect(await written(2, () => 0.009, false)).toEqual({ speedup: 2, made: 1 });
});

test("a slower plan follows one that loses too much, and is not slower than it need be", async () => {
  const { speedup, made } = await written(2, (s) => 0.0136 * (s - 1) ** 2, true);
  expect(0.0136 * (speedup - 1) ** 2).toBeLessThanOrEqual(limit);
  expect([speedup > 1.6, made]).toEqual([true, 2]);
});

test("a named limit is kept in any case; without one the slowest plan is written with what it loses", async () => {
  await expect(written(2, () => 0.02, true)).rejects.toMatchObject({ code: "loses-function" });
  expect((await written(2, () => 0.02, false)).speedup).toBeLessThan(2);
  await expect(written(1.11, () => 0.02, true)).rejects.toMatchObject({ code: "loses-function" });
  expect(await written(1.11, () => 0.02, false)).toEqual({ speedup: 1.11, made: 2 });
});
