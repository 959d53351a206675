// A budget by time is not given up for timings that something else disturbed.
import { expect, test } from "vitest";
import { pureLinearAlgebra } from "../linalg/pure.js";
import type { TimedLayer } from "../methods/latencies.js";
import { edsr } from "../nets/edsr.js";
import { cost } from "../ops/cost/cost.js";
import type { LatencyTable, NetworkTimes } from "../runtime/known-times.js";
import { type Job, planInTime } from "./plan-in-time.js";
import { quietest, type Times, timeTillSure } from "./time.js";

const graph = edsr({ blocks: 1, width: 16, scale: 2 });
const inputs = new Map([["input", [1, 3, 12, 12]]]);

/** A machine on which a layer takes as long as it has weights, and a layer over a basis `times` as long. */
const tableOf = (times: number, network: NetworkTimes, confirmed?: LatencyTable): LatencyTable => {
  const table: LatencyTable = {
    clock: ({ shape, basis }: TimedLayer) => {
      const [n = 0, c = 0, h = 0, w = 0] = shape;
      const { splits = 1, basisSize = 0 } = basis ?? {};
      return basis === undefined ? n * c * h * w : times * (basisSize * c * h * w + n * splits * basisSize);
    },
    measure: async () => undefined,
    networks: async () => network,
    confirmed: () => confirmed ?? table,
  };
  return table;
};
const fast = tableOf(1, { original: 20_000, written: 12_000 });

const job = (table: LatencyTable): Job => ({
  ...{ original: graph, prepared: graph, table, hooks: {}, place: { inputs: { shapes: inputs, values: new Map() } } },
  planOptions: { keepMacs: 0.5, inputs, original: cost(graph, inputs), linear: pureLinearAlgebra },
  apply: () => ({ graph }),
});

test("is found although layers' times were disturbed when they were measured", async () => {
  const { plan } = await planInTime(job(tableOf(10, { original: 20_000, written: 20_000 }, fast)));
  expect(plan.after.macs).toBeLessThanOrEqual(0.5 * cost(graph, inputs).macs);
});

test("is found although the whole network's time was", async () => {
  const { times } = await planInTime(job(tableOf(1, { original: 20_000, written: 30_000 }, fast)));
  expect(times.written).toBeLessThan(times.original);
});

test("is out of reach where a second timing says so too", async () => {
  const slow = tableOf(10, { original: 20_000, written: 20_000 });
  await expect(planInTime(job(slow))).rejects.toMatchObject({ code: "budget-unreachable" });
});

test("a 'no' is timed again, twice at most; a 'yes' is not", async () => {
  const times = (ratio: number): Times => ({
    ...{ original: 1, written: 1 / ratio, ratio, interval: [ratio, ratio], verdict: "within noise" },
  });
  const from =
    (...ratios: number[]) =>
    async () =>
      times(ratios.shift()!);
  const isNo = ({ ratio }: Times) => ratio < 1;
  expect((await timeTillSure(from(0.5, 1.5), isNo)).ratio).toBe(1.5);
  expect((await timeTillSure(from(1.5, 0.5), isNo)).ratio).toBe(1.5);
  expect((await timeTillSure(from(0.7, 0.5, 0.6, 1.5), isNo)).ratio).toBe(0.6);
});

test("the timing counts in which the original was fastest; it ends where two agree, or one is as known", async () => {
  const from = (...originals: number[]) => {
    const all = originals.map((original) => ({ original, written: original / 2 }));
    return { all, time: async () => all.shift()! };
  };
  const left = async (originals: number[], known?: number) => {
    const { all, time } = from(...originals);
    return [(await quietest(time, known)).original, all.length];
  };
  expect(await left([10, 10.1, 9])).toEqual([10, 1]);
  expect(await left([20, 10, 10.1, 9])).toEqual([10, 1]);
  expect(await left([30, 20, 10, 5])).toEqual([10, 1]);
  expect(await left([10.2, 9], 10)).toEqual([10.2, 1]);
  expect(await left([14, 10.2, 9], 10)).toEqual([10.2, 1]);
  expect(await left([600, 500])).toEqual([600, 1]);
});

test("a quotient of which nothing is sure is timed again, and counts only where no other is surer", async () => {
  const timed = async (...intervals: readonly (readonly [number, number, number])[]) => {
    const all = intervals.map(([original, low, high]) => ({ original, interval: [low, high] as const }));
    const found = await quietest(async () => all.shift()!, 10);
    return [found.original, all.length];
  };
  expect(await timed([10, 1.4, 1.6], [9, 1, 1])).toEqual([10, 1]);
  expect(await timed([10, 1.1, 2], [10.1, 1.4, 1.5], [9, 1, 1])).toEqual([10.1, 1]);
  expect(await timed([10.2, 1.1, 2], [10.1, 1.1, 1.8], [10, 1.1, 1.7], [9, 1, 1])).toEqual([10, 1]);
});
