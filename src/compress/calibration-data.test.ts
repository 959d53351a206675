import { describe, expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import type { Data } from "../data/dataset.js";
import { inBatches } from "../data/inputs.js";
import { ints, makeNode } from "../graph/attributes.js";
import type { Dim, Graph } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { findInputs } from "../runtime/index.js";
import { calibrationData } from "./calibration-data.js";
import { countsOf } from "./plan-calibrated.js";

const data = (count: number, dims: readonly number[]): Data => ({
  name: "numbers",
  inputs: (options = {}) =>
    Promise.resolve({
      skipped: [],
      ...inBatches(Math.min(count, options.limit ?? count), dims, options, (indices, out) => {
        for (const [at, index] of indices.entries()) out.fill(index / count, (at * out.length) / indices.length);
        return null;
      }),
    }),
});

function network(dims: readonly Dim[], channelsLast = false): Graph {
  const nodes = [
    makeNode("Conv", [channelsLast ? "t" : "x", "w"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "conv" }),
  ];
  if (channelsLast) nodes.unshift(makeNode("Transpose", ["x"], ["t"], { perm: ints([0, 3, 1, 2]) }));
  return smallGraph({
    nodes,
    initializers: { w: randomTensor([8, 3, 3, 3], 1) },
    inputs: [{ name: "x", tensor: { type: "float32", dims } }],
    outputs: ["y"],
  });
}

describe("images of a calibration", () => {
  test("are counted at one image of their size, and timed at their size, whatever the batch and size that were tried", async () => {
    const original = network(["N", 3, "H", "W"]);
    const inputs = await findInputs(original, { shapes: new Map([["x", [4, 3, 8, 8]]]) });
    const images = await calibrationData(original, data(8, [3, 16, 12]), inputs, { size: { width: 12, height: 16 } });
    expect(images.inputs.shapes.get("x")).toEqual([4, 3, 16, 12]);
    const before = cost(original, images.inputs.shapes);
    expect(before.macs).toBe(4 * 16 * 12 * 8 * 27);
    expect((await countsOf({ original, before, data: images })).macs).toBe(16 * 12 * 8 * 27);
  });

  test("are no more than --limit allows, held-out ones among them", async () => {
    const graph = network(["N", 3, 8, 8]);
    const images = await calibrationData(graph, data(12, [3, 8, 8]), await findInputs(graph), { limit: 6 });
    expect([images.images.count, images.heldOut?.count]).toEqual([4, 2]);
  });

  test("are few where they are large, also with channels at the end", async () => {
    const graph = network(["N", 400, 400, 3], true);
    const asked: number[] = [];
    const spied: Data = {
      name: "large",
      inputs: (options = {}) => {
        asked.push(options.limit ?? 0);
        return data(1, [3, 400, 400]).inputs!(options);
      },
    };
    await calibrationData(graph, spied, await findInputs(graph));
    expect(asked).toEqual([24]);
  });

  test("are refused by a network with a fixed batch before they are read, and go in one by one where it is 1", async () => {
    const eight = network([8, 3, 8, 8]);
    const refused = calibrationData(eight, data(2, [3, 8, 8]), await findInputs(eight), { images: 1 });
    await expect(refused).rejects.toMatchObject({ code: "unsupported", got: "8" });
    const one = network([1, 3, 8, 8]);
    expect((await calibrationData(one, data(4, [3, 8, 8]), await findInputs(one))).batch).toBe(1);
  });

  test("stop when that is asked for", async () => {
    const graph = network(["N", 3, 8, 8]);
    const signal = AbortSignal.abort();
    const stopped = calibrationData(graph, data(4, [3, 8, 8]), await findInputs(graph), { signal });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
  });
});
