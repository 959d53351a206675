// Milliseconds by multiply-accumulates instead of by a clock, for tests of what a plan does with its times: networks of
// a tenth of a millisecond take now longer, now less than their bases, by what else the machine does.
import type { Dim, Graph, TensorData } from "../src/graph/types.js";
import { cost } from "../src/ops/cost/cost.js";
import type { timeInTurns } from "../src/runtime/compare-times.js";
import { loadModel } from "../src/runtime/files.js";
import { layerGraph } from "../src/runtime/layer-graph.js";
import { pairedRatio, spreadOf } from "../src/runtime/paired.js";
import type { measureAll } from "../src/runtime/time-layers.js";

/** A millisecond for a million, for two in eight bits, and a little for every network. */
function millisecondsOf(graph: Graph, shapes: ReadonlyMap<string, readonly Dim[]>): number {
  const inEightBits = graph.nodes.some(({ op }) => op === "QuantizeLinear");
  return 1e-3 + (inEightBits ? 5e-7 : 1e-6) * cost(graph, shapes).macs;
}

const measureByCount: typeof measureAll = async (layers, _place, { progress }, keep) => {
  await keep(
    layers.map((layer) => {
      const { precision: _, ...floats } = layer;
      const milliseconds = millisecondsOf(layerGraph(floats), new Map([["x", layer.input]]));
      return { layer, milliseconds: layer.precision === "int8" ? milliseconds / 2 : milliseconds };
    }),
  );
  progress?.(layers.length, layers.length);
};

/** Opens and runs the networks as `timed` does, but once. */
const timeByCount =
  (timed: typeof timeInTurns): typeof timeInTurns =>
  async (models, feeds, options = {}) => {
    let fed: Readonly<Record<string, TensorData>> = {};
    const seen: typeof feeds = (ports) => {
      fed = typeof feeds === "function" ? feeds(ports) : feeds;
      return fed;
    };
    const run = await timed(models, seen, { ...options, rounds: 1, settle: 0 });
    const shapes = new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims]));
    const graphs = await Promise.all(models.map(({ model }) => (typeof model === "string" ? loadModel(model) : model)));
    const samples = graphs.map((graph) => new Array<number>(5).fill(millisecondsOf(graph, shapes)));
    const spreads = samples.map(spreadOf);
    return {
      ...run,
      models: models.map(({ name }, i) => ({ name, milliseconds: spreads[i]!, processorMilliseconds: spreads[i]! })),
      ratios: models.slice(1).map(({ name }, i) => {
        const ratio = pairedRatio(samples[0]!, samples[i + 1]!);
        return { name, wall: ratio, processor: ratio };
      }),
      rounds: 5,
      samples,
    };
  };

/** For `vi.mock` of src/runtime/time-layers.js. */
export const countedLayers = async (original: () => Promise<object>) => ({
  ...(await original()),
  measureAll: measureByCount,
});

/** For `vi.mock` of src/runtime/compare-times.js. */
export const countedNetworks = async (original: () => Promise<object>) => {
  const module = (await original()) as { readonly timeInTurns: typeof timeInTurns };
  return { ...module, timeInTurns: timeByCount(module.timeInTurns) };
};
