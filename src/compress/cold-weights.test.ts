// Times of layers alone, brought to what they take in their network.
import { expect, test } from "vitest";
import type { Calibration } from "../calibrate/calibrated.js";
import { findCalibratedLayers } from "../calibrate/layers.js";
import type { TimedLayer } from "../methods/latencies.js";
import { edsr } from "../nets/edsr.js";
import type { LatencyTable } from "../runtime/known-times.js";
import { chainClock, layerInputs } from "./chain-times.js";
import { millisecondsPerByte, weightBytes } from "./cold-weights.js";
import type { CalibratedJob } from "./plan-calibrated.js";

const graph = edsr({ blocks: 1, width: 16, scale: 2 });
const place = { threads: 1, inputs: { shapes: new Map([["input", [1, 3, 8, 8]]]), values: new Map() } };
const job = { original: graph, prepared: graph, place, hooks: {} } as unknown as CalibratedJob;
const { layers } = findCalibratedLayers(graph);
const calibration = { layers: layers.map((layer) => ({ layer })) } as unknown as Calibration;
const bytes = layers.reduce((sum, { weight, nodes }) => sum + 4 * weight.data.length * nodes.length, 0);

/** A table by which the network's layers take so long together, and each of them a hundredth of a millisecond alone. */
const tableOf = (inNetwork: number) =>
  ({ networks: async () => ({ original: inNetwork, written: inNetwork }) }) as unknown as LatencyTable;
const alone = 0.01;
const times = ({ chain }: TimedLayer) => (chain?.length === 0 ? 0 : alone);
const clock = chainClock(times, layerInputs(job), 17);
const perByte = (inNetwork: number, whole: number) =>
  millisecondsPerByte(job, calibration, clock, tableOf(inNetwork), whole);

test("what layers take longer in their network is spread over the bytes of their weights", async () => {
  const sum = alone * layers.reduce((count, { nodes }) => count + nodes.length, 0);
  const extra = 5e-8 * bytes;
  const found = await perByte(sum + extra, sum + extra);
  expect(found).toBeCloseTo(5e-8, 12);
  const whole = chainClock(times, layerInputs(job), 17, { perByte: found });
  expect(layers.reduce((all, layer) => all + whole.dense(layer)!, 0)).toBeCloseTo(sum + extra, 9);
});

test("is never less than nothing, and never more than memory is slow", async () => {
  expect(await perByte(1e-3, 1e-3)).toBe(0);
  expect(await perByte(100, 0.1)).toBe(1e-7);
});

test("is not asked for where weights cannot matter, nor where not every layer was timed", async () => {
  expect(await perByte(100, 1000)).toBe(0);
  const some = chainClock(({ shape }) => (shape[0] === 16 ? alone : undefined), layerInputs(job), 17);
  expect(await millisecondsPerByte(job, calibration, some, tableOf(100), 0.1)).toBe(0);
});

test("a chain's weights are those of all its convolutions", () => {
  const layer = { input: [1, 4, 8, 8], shape: [8, 4, 3, 3], attributes: {}, type: "float32", opset: 17 } as const;
  expect(weightBytes(layer)).toBe(4 * 288);
  const chain = [3, 1].map((side) => ({ shape: [2, 2, side, 1], attributes: {} }));
  expect(weightBytes({ ...layer, type: "float16", chain })).toBe(2 * (12 + 4));
});
