// A budget in multiply-accumulates in a small network: where layers seem slower in factors, though their network is
// not, a plan with these too is tried, and taken where it loses less on images.
import { expect, test, vi } from "vitest";
import { calibrate } from "../src/calibrate/calibrated.js";
import { ortEngine } from "../src/calibrate/ort-engine.js";
import { surelyTimedPlan } from "../src/compress/calibrated-in-time.js";
import type { CalibratedJob } from "../src/compress/plan-calibrated.js";
import type { TimedLayer } from "../src/methods/latencies.js";
import { cost } from "../src/ops/cost/cost.js";
import type { LatencyTable } from "../src/runtime/known-times.js";
import { layerGraph } from "../src/runtime/layer-graph.js";
import { photoNetwork } from "./photo-network.js";
import { randomTensor } from "./small-graphs.js";

vi.mock("../src/runtime/compare-times.js", async (original) =>
  (await import("./counted-times.js")).countedNetworks(original),
);

const graph = photoNetwork(16, 24);
const images = {
  count: 16,
  feeds: (first: number, count: number) => ({ x: randomTensor([count, 3, 32, 32], first) }),
};
const inputs = { shapes: new Map([["x", [1, 3, 32, 32]]]), values: new Map(), chosen: [], guessed: false };
const engine = ortEngine({ threads: 1 });

const macsOf = (layer: TimedLayer): number => cost(layerGraph(layer), new Map([["x", layer.input]])).macs;
/** Factors of the third layer seem slower than the layer. */
const clock = (layer: TimedLayer): number => {
  const seemsSlow = layer.chain !== undefined && layer.chain.length > 0 && layer.shape[1] === 24;
  return 1e-6 * macsOf(layer) + (seemsSlow ? 100 : 0);
};
const tableOf = (slower: boolean): LatencyTable => {
  let asked = 0;
  const table: LatencyTable = {
    clock,
    measure: async () => undefined,
    // The original comes first, then the plan of what is no slower, then the other.
    networks: async (_, time) => (++asked === 3 && slower ? { original: 1, written: 2 } : time()),
    confirmed: () => table,
  };
  return table;
};

test("layers that only seem slower are cut where that loses less", async () => {
  const calibration = await calibrate(graph, images, engine);
  const counts = { weights: calibration.extents.weights, macs: calibration.extents.macs };
  const third = async (losses: readonly number[], slower = false): Promise<string> => {
    const answers = [...losses];
    const place = { inputs, threads: 1 };
    const lossOf = async () => answers.shift() ?? 0;
    const job = { original: graph, prepared: graph, engine, hooks: {}, place, lossOf } as unknown as CalibratedJob;
    const choices = { all: calibration, onBlocks: calibration };
    const { plan } = await surelyTimedPlan(job, choices, tableOf(slower), { keepMacs: 0.7, whole: counts });
    return plan.chosen.find(({ layer }) => layer.shape.c === 24 && layer.kind === "conv")!.candidate.family;
  };
  expect(await third([1, 0])).not.toBe("dense");
  expect(await third([0, 1])).toBe("dense");
  expect(await third([1, 0], true)).toBe("dense"); // the network is slower than the original
});
