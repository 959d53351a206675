// Responses at sampled positions: the same positions whatever the network has become; and what they are for.
import { expect, test } from "vitest";
import { oneConv, randomTensor, randomValues, smallGraph } from "../../test/small-graphs.js";
import { ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { methodPass } from "../methods/methods.js";
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

test.skipIf(unloadableReason() !== undefined)(
  "kh x 1, 1 x kw and 1 x 1 by Zhang lose less of the output the more they see",
  async () => {
    const pads = { pads: ints([1, 1, 1, 1]) };
    const graph = smallGraph({
      nodes: [
        makeNode("Conv", ["x", "a", "c"], ["y"], pads, { name: "a" }),
        makeNode("Relu", ["y"], ["r"], {}, { name: "r" }),
        makeNode("Conv", ["r", "b"], ["z"], pads, { name: "b" }),
        makeNode("Relu", ["z"], ["out"], {}, { name: "out" }),
      ],
      initializers: { a: randomTensor([8, 4, 3, 3], 1), c: randomTensor([8], 2), b: randomTensor([6, 8, 3, 3], 3) },
      inputs: [{ name: "x", tensor: { type: "float32", dims } }],
      outputs: ["out"],
    });
    const responses = await sampledResponses(source(), { batches: 2, seed: 1, device: defaultDevice });
    const lostBy = (made: Graph, value: string) => {
      const original = responses(graph, value).data;
      return responses(made, value).data.reduce((sum, one, i) => sum + (one - original[i]!) ** 2, 0);
    };
    const by = (mode: "filters" | "linear" | "asymmetric" | "nonlinear") =>
      methodPass("zhang", { form: "3d", rank: 5, keepFirst: 0, mode }, { responses })(graph).graph;
    const [filters, linear, asymmetric, nonlinear] = [by("filters"), by("linear"), by("asymmetric"), by("nonlinear")];
    expect(asymmetric.nodes.map(({ op }) => op).join(" ")).toBe("Conv Conv Conv Relu Conv Conv Conv Relu");
    expect(lostBy(linear, "z")).toBeLessThan(lostBy(filters, "z"));
    expect(lostBy(asymmetric, "z")).toBeLessThan(lostBy(linear, "z"));
    expect(lostBy(nonlinear, "out")).toBeLessThan(lostBy(asymmetric, "out"));
  },
);
