// Responses at sampled positions: the same positions whatever the network has become.
import { expect, test } from "vitest";
import { oneConv, randomValues } from "../../test/small-graphs.js";
import { tensorOf } from "../graph/values.js";
import { defaultDevice } from "../torch/device.js";
import { unloadableReason } from "../torch/index.js";
import { sampledResponses } from "./responses.js";
import type { BatchSource } from "./sources.js";

const dims = [3, 4, 6, 5];

/** One array for all batches, as sources may. */
function source(): BatchSource {
  const input = new Float32Array(3 * 4 * 6 * 5);
  return {
    stepsPerEpoch: 2,
    batchSize: 3,
    batch: (epoch, step) => {
      input.set(randomValues(input.length, 10 * epoch + step));
      return { input, inputDims: dims, target: null, targetDims: [] };
    },
  };
}

test.skipIf(unloadableReason() !== undefined)("responses scale with the filters, position by position", async () => {
  const graph = oneConv({ outChannels: 2, inChannels: 4, kernel: [1, 1], bias: false });
  const responses = await sampledResponses(source(), { batches: 2, seed: 1, device: defaultDevice });
  const one = responses(graph, "y");
  expect([one.rows, one.cols]).toEqual([2 * 3 * 10, 2]);
  expect(responses(graph, "y")).toEqual(one);
  const weight = graph.initializers.get("conv.weight")!;
  const doubled = tensorOf(
    "float32",
    weight.dims,
    Float32Array.from(randomValues(8, 1), (value) => 2 * value),
  );
  const twice = responses({ ...graph, initializers: new Map([["conv.weight", doubled]]) }, "y");
  for (const [i, value] of twice.data.entries()) expect(value).toBeCloseTo(2 * one.data[i]!, 5);
  expect(one.data.slice(0, 20)).not.toEqual(one.data.slice(60, 80));
});
