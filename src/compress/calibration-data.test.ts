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

  test("are groups of as many as a network with a fixed batch takes, and go in one by one where that is 1", async () => {
    const eight = network([8, 3, 8, 8]);
    const inputs = await findInputs(eight);
    const groups = await calibrationData(eight, data(50, [3, 8, 8]), inputs, { images: 30 });
    expect([groups.all.count, groups.images.count, groups.heldOut?.count]).toEqual([6, 4, 2]);
    expect(groups).toMatchObject({ batch: 1, images: { each: 8 }, all: { each: 8, oneByOne: true } });
    expect((await groups.images.feeds(1, 1)).x!.dims).toEqual([8, 3, 8, 8]);
    const held = groups.heldOut!.part(1, 1);
    expect([held.count, held.batches]).toEqual([1, 1]);
    expect((await held.feeds(0)).x).toEqual((await groups.all.at(5, 1)).x);
    expect((await countsOf({ original: eight, before: cost(eight), data: groups })).macs).toBe(cost(eight).macs);
    const few = calibrationData(eight, data(7, [3, 8, 8]), inputs, { images: 1 });
    await expect(few).rejects.toMatchObject({ code: "data-mismatch", expected: "at least 8", got: "7" });
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
