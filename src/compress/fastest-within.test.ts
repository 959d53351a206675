import { expect, test } from "vitest";
import { smallGraph } from "../../test/small-graphs.js";
import type { Calibration } from "../calibrate/calibrated.js";
import { FilterBasisError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";
import { type FittedPlan, fastestWithin } from "./fastest-within.js";
import type { CalibratedBudget, CalibratedPlan, Planner } from "./plan-calibrated.js";

const graph = smallGraph({ nodes: [], initializers: {}, outputs: [] });
const calibration = { graph, layers: [], skipped: [] } as unknown as Calibration;

/** Reaches every speed-up up to a limit, and remembers the last one. */
function plannerTo(most: number) {
  let last = 0;
  const planner: Planner = {
    calibration,
    images: { count: 1, feeds: () => ({}) },
    plan({ speedup = 1 }: CalibratedBudget) {
      if (speedup > most)
        return Promise.reject(new FilterBasisError("does-not-pay", "no", { facts: { reachable: most } }));
      last = speedup;
      return Promise.resolve({ calibration, chosen: [] });
    },
    times: () => [],
    layerTimes: () => [],
    curve: () => [],
    measure: async () => undefined,
    plans: () => [],
  };
  return { planner, last: () => last };
}

const curve = Array.from({ length: 13 }, (_, i) => ({ speedup: 1 + i / 4, milliseconds: 1, loss: (i / 4) ** 2 }));

interface Made {
  /** What plans lose before and after the refit, by their speed-up. */
  readonly before: (speedup: number) => number;
  readonly after?: (speedup: number) => number;
  readonly most?: number;
  readonly constant?: boolean;
}

/** A search on a network of a given curve: what was tried, and what came of it. */
async function search({ before, after = before, most = 10, constant = false }: Made) {
  const { planner, last } = plannerTo(most);
  let [speedup, refits, isRefitted] = [0, 0, false];
  const of = (refit: boolean) => (plan: CalibratedPlan) => {
    speedup = curve[(plan as { point?: number }).point ?? -1]?.speedup ?? last();
    isRefitted = refit;
    if (refit) refits++;
    return Promise.resolve({ replacements: [], layers: [], refit } as FittedPlan);
  };
  const trial = {
    ...{ fitted: of(false), refitted: of(true), limitOf: () => 0.01 },
    lossOf: () => {
      const mean = (isRefitted ? after : before)(speedup);
      return Promise.resolve({ output: "y", kind: "relative", constant, mean, interval: 0 } as Loss);
    },
  };
  const plans = curve.map((_, point) => ({ calibration, chosen: [], point }));
  const made = await fastestWithin({ ...planner, curve: () => curve, plans: () => plans }, trial, {});
  const within = made.tried.filter(({ loss = 1 }) => loss <= 0.01).map((one) => one.speedup);
  return { ...made, best: Math.max(...within), refits };
}

test("the fastest plan is within a few percent of the last one within the limit, after few refits", async () => {
  for (const bend of [-0.5, 0, 0.5])
    for (const edge of [1.13, 1.29, 1.6, 2.2, 3.3]) {
      const { best, refits, tried } = await search({ before: (s) => 0.01 * ((s - 1) / (edge - 1)) ** (2 + bend) });
      expect(best, `${edge} ${bend}`).toBeGreaterThan(0.86 * edge);
      expect(best).toBeLessThanOrEqual(edge);
      expect(refits, JSON.stringify(tried)).toBeLessThanOrEqual(3);
    }
});

test("what the refit gains is gone after, and factors that lose less without it stay", async () => {
  const gains = await search({ before: (s) => 0.02 * (s - 1), after: (s) => 0.01 * (s - 1) }); // 1.5 without, 2 with
  expect(gains.best).toBeGreaterThan(1.7);
  expect(gains.fitted).toMatchObject({ refit: true });
  const harms = await search({ before: (s) => 0.02 * (s - 1), after: (s) => 0.05 * (s - 1) });
  expect(harms.best).toBeGreaterThan(1.35);
  expect(harms.fitted).toMatchObject({ refit: false });
});

test("a speed-up that is out of reach is followed by what can be reached", async () => {
  expect((await search({ before: () => 0, most: 1.36 })).best).toBeCloseTo(0.98 * 1.36, 9);
  await expect(search({ before: () => 0, most: 1.05 })).rejects.toMatchObject({ code: "does-not-pay" });
});

test("what loses too much at the least speed-up does not pay, and nothing hopeless is refitted", async () => {
  await expect(search({ before: () => 1 })).rejects.toMatchObject({ code: "does-not-pay" });
  const { refits } = await search({ before: (s) => (s > 1.12 ? 1 : 0.009) });
  expect(refits).toBe(1);
});

test("an output that is the same on every image decides nothing", async () => {
  await expect(search({ before: () => 0, constant: true })).rejects.toThrow(/"y".*same on every image/);
});
