// Whole networks of a plan by time: what is near the aim is timed twice.
import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { makeNode } from "../graph/attributes.js";
import type { LatencyTable } from "../runtime/known-times.js";
import type { ChainClock } from "./chain-times.js";
import { plannedTime } from "./network-times.js";
import type { CalibratedJob } from "./plan-calibrated.js";

const graph = smallGraph({
  nodes: [makeNode("Conv", ["x", "a"], ["y"])],
  initializers: { a: randomTensor([4, 3, 3, 3], 1) },
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 8, 8] } }],
  outputs: ["y"],
});
const job = { original: graph, place: { inputs: { shapes: new Map() } }, hooks: {} } as unknown as CalibratedJob;

/** Asked one after another, networks take so long where the original takes 10 ms. */
async function planned(times: readonly number[], aim?: number, whole = 10) {
  const keys = new Set<string>();
  const table = {
    networks: async (key: string) => ({ original: 10, written: times[keys.add(key).size - 1]! }),
  } as unknown as LatencyTable;
  const timing = { table, clock: {} as ChainClock, whole, ...(aim !== undefined && { aim }) };
  return { milliseconds: await plannedTime(job, { graph, chosen: [] }, timing), timed: keys.size };
}

test("a network that is near the aim is timed twice, and the mean counts", async () => {
  expect(await planned([6.5, 7], 6.6)).toEqual({ milliseconds: 6.75, timed: 2 });
  expect(await planned([7, 6.5], 6.6)).toEqual({ milliseconds: 6.75, timed: 2 });
});

test("one that is far from it, one that takes long, and one without an aim once", async () => {
  expect(await planned([5], 6.6)).toEqual({ milliseconds: 5, timed: 1 });
  expect(await planned([6.5], 660, 1000)).toEqual({ milliseconds: 650, timed: 1 });
  expect(await planned([6.5])).toEqual({ milliseconds: 6.5, timed: 1 });
});
