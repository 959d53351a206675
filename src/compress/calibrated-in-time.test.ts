// What a plan by time begins with, on a made-up machine.
import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import type { Calibration } from "../calibrate/calibrated.js";
import { findCalibratedLayers } from "../calibrate/layers.js";
import { ints, makeNode } from "../graph/attributes.js";
import type { TimedLayer } from "../methods/latencies.js";
import type { LatencyTable } from "../runtime/known-times.js";
import { firstTimes } from "./calibrated-in-time.js";
import type { CalibratedJob } from "./plan-calibrated.js";

const same = { pads: ints([1, 1, 1, 1]) };
const graph = smallGraph({
  nodes: [makeNode("Conv", ["x", "a"], ["b"], same), makeNode("Conv", ["b", "c"], ["y"], same)],
  initializers: { a: randomTensor([4, 3, 3, 3], 1), c: randomTensor([4, 4, 3, 3], 2) },
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 8, 8] } }],
  outputs: ["y"],
});
const { layers } = findCalibratedLayers(graph);
const choices = [{ candidate: { family: "dense", ranks: [] }, error: 0, macs: 1, weights: 1 }] as const;
const calibration = {
  graph,
  layers: layers.map((layer) => ({ layer, choices })),
  skipped: [],
} as unknown as Calibration;
const inputs = { shapes: new Map([["x", [1, 3, 8, 8]]]), values: new Map(), chosen: [], guessed: false };
const job = { original: graph, prepared: graph, place: { inputs }, hooks: {} } as unknown as CalibratedJob;

/** Every layer takes so long by itself, between neighbours that take so long, and the network so long. */
const machine = (each: number, whole: number, neighbours = 0): LatencyTable =>
  ({
    clock: ({ chain }: TimedLayer) => (chain?.length === 0 ? 0 : each) + neighbours,
    measure: async () => undefined,
    networks: async () => ({ original: whole, written: whole }),
    confirmed: () => machine(each, whole, neighbours),
  }) as unknown as LatencyTable;

test("layers together take no longer than their network", async () => {
  const sum = async (...times: Parameters<typeof machine>) => {
    const { clock } = await firstTimes(job, calibration, machine(...times));
    return layers.reduce((total, layer) => total + clock.dense(layer)!, 0);
  };
  expect(await sum(2, 3)).toBeCloseTo(3, 9);
  expect(await sum(1, 3)).toBeCloseTo(2, 9); // the rest is other operators
  expect(await sum(1, 3, 5)).toBeCloseTo(2, 9); // what a run and the neighbours take is not theirs
});

test("a layer that seems to take longer than its network is timed again, and the lesser time counts", async () => {
  const known = new Map<string, number>();
  let disturbed = true;
  const measure = async (asked: readonly TimedLayer[]): Promise<void> => {
    for (const { shape, chain } of asked) {
      const time = chain?.length === 0 ? 0 : shape[1] === 3 && disturbed ? 50 : 1;
      known.set(`${shape} ${chain?.length}`, Math.min(time, known.get(`${shape} ${chain?.length}`) ?? time));
    }
  };
  const table: LatencyTable = {
    clock: ({ shape, chain }: TimedLayer) => known.get(`${shape} ${chain?.length}`),
    measure,
    networks: async () => ({ original: 3, written: 3 }),
    confirmed() {
      disturbed = false;
      return this;
    },
  };
  const { clock } = await firstTimes(job, calibration, table);
  expect(layers.map((layer) => clock.dense(layer))).toEqual([1, 1]);
});
