import { expect, test } from "vitest";
import { smallGraph } from "../../test/small-graphs.js";
import type { Calibration } from "../calibrate/calibrated.js";
import { FilterBasisError } from "../errors/error.js";
import type { Loss } from "../evaluate/compare-on-data.js";
import { fastestWithin } from "./fastest-within.js";
import type { CalibratedBudget, Planner } from "./plan-calibrated.js";

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
        return Promise.reject(new FilterBasisError("budget-unreachable", "no", { facts: { reachable: most } }));
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

const found = async (most: number, lossAt: (speedup: number) => Partial<Loss>) => {
  const { planner, last } = plannerTo(most);
  let best = 0;
  const fitted = { replacements: [], layers: [] };
  await fastestWithin(
    planner,
    () => Promise.resolve(fitted),
    () => {
      const loss = { output: "y", kind: "relative", constant: false, mean: 0, interval: 0, ...lossAt(last()) } as Loss;
      if (loss.mean <= 0.01) best = Math.max(best, last());
      return Promise.resolve(loss);
    },
    () => 0.01,
    {},
  );
  return best;
};

test("the fastest plan is the last one within the limit that can be reached", async () => {
  expect(await found(10, (speedup) => ({ mean: speedup > 2 ? 1 : 0 }))).toBe(2);
  expect(await found(1.36, () => ({}))).toBe(1.35);
  await expect(found(10, () => ({ mean: 1 }))).rejects.toMatchObject({ code: "does-not-pay" });
});

test("between two speed-ups one more is tried: by their losses, or what can be reached", async () => {
  const even = await found(10, (speedup) => ({ mean: 0.01 * ((speedup - 1) / 0.44) ** 2 })); // 1.44 loses the limit
  expect(even).toBeGreaterThan(1.37);
  expect(even).toBeLessThanOrEqual(1.44);
  expect(await found(1.48, () => ({}))).toBeCloseTo(0.98 * 1.48, 9);
});

test("an output that is the same on every image decides nothing", async () => {
  await expect(found(10, () => ({ constant: true }))).rejects.toThrow(/"y".*same on every image/);
});

test("where layers promise losses, fewer plans are tried", async () => {
  const curve = Array.from({ length: 12 }, (_, i) => ({ speedup: 1 + i / 3, milliseconds: 1, loss: (i / 3) ** 2 }));
  /** Losses of the network go by those of the layers, but for a share that grows with them. */
  const search = async (scale: number, bend: number) => {
    const { planner, last } = plannerTo(10);
    const tried: number[] = [];
    const lossOf = () => {
      tried.push(last());
      const mean = scale * (last() - 1) ** (2 + bend);
      return Promise.resolve({ output: "y", kind: "relative", constant: false, mean, interval: 0 } as Loss);
    };
    const fit = () => Promise.resolve({ replacements: [], layers: [] });
    const { plan: _, ...found } = await fastestWithin({ ...planner, curve: () => curve }, fit, lossOf, () => 0.01, {});
    const within = found.tried.filter(({ loss = 1 }) => loss <= 0.01).map(({ speedup }) => speedup);
    return { tried, best: Math.max(...within) };
  };
  for (const bend of [-0.5, 0, 0.5])
    for (const edge of [1.13, 1.29, 1.6, 2.2, 3.3]) {
      const { tried, best } = await search(0.01 / (edge - 1) ** (2 + bend), bend);
      expect(best, `${edge} ${bend}`).toBeGreaterThan(0.88 * edge);
      expect(best).toBeLessThanOrEqual(edge);
      expect(tried.length, tried.join()).toBeLessThanOrEqual(4);
    }
});
