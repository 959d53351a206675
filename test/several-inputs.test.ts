// Networks of several inputs and of a fixed batch on arrays: which array goes into which input, what does not fit is
// told, and both can be calibrated, compared and brought to eight bits.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { calibrationData } from "../src/compress/calibration-data.js";
import { compressOnData } from "../src/compress/compress-calibrated.js";
import { quantizeOnData } from "../src/compress/quantize-on-data.js";
import { openData } from "../src/data/table.js";
import { compareOnData } from "../src/evaluate/compare-on-data.js";
import { type FeedOptions, modelFeeds } from "../src/evaluate/model-feeds.js";
import { writeSafetensors } from "../src/formats/safetensors.js";
import { float32Tensor, int, ints, makeNode } from "../src/graph/attributes.js";
import type { DataType, Dim, Graph, TensorData, Value } from "../src/graph/types.js";
import { floats, numbers, tensorOf } from "../src/graph/values.js";
import { loadModel } from "../src/runtime/files.js";
import { findInputs, openSession } from "../src/runtime/index.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-several-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const port = (name: string, dims: readonly Dim[], type: DataType = "float32"): Value => ({
  name,
  tensor: { type, dims },
});

/** y = conv(x) + a state [2, N, 8] summed over its first axis, or nothing of it; s goes along with x. */
function network(batch: Dim, { state = true }: { readonly state?: boolean } = {}): Graph {
  const added = state
    ? [
        makeNode("ReduceMean", ["h"], ["m"], { axes: ints([0]), keepdims: int(0) }),
        makeNode("Unsqueeze", ["m", "last"], ["u"]),
        makeNode("Add", ["c", "u"], ["d"]),
      ]
    : [];
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "w"], ["c"], { pads: ints([1, 1]) }, { name: "first" }),
      ...added,
      makeNode("Mul", [state ? "d" : "c", "s"], ["e"]),
      makeNode("Conv", ["e", "v"], ["y"], { pads: ints([1, 1]) }, { name: "second" }),
    ],
    initializers: {
      w: randomTensor([8, 6, 3], 1),
      v: randomTensor([8, 8, 3], 2),
      last: tensorOf("int64", [1], [2]),
    },
    inputs: [port("x", [batch, 6, 10]), ...(state ? [port("h", [2, batch, 8])] : []), port("s", [batch, 1, 1])],
    outputs: ["y"],
  });
}

const counted = (dims: readonly number[], from = 0): TensorData =>
  float32Tensor(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => from + i),
  );

let files = 0;
async function fileOf(arrays: Readonly<Record<string, TensorData>>) {
  const path = join(folder, `arrays-${files++}.safetensors`);
  writeFileSync(path, Buffer.concat(writeSafetensors(new Map(Object.entries(arrays)))));
  return openData(path);
}

async function feedsOf(graph: Graph, arrays: Readonly<Record<string, TensorData>>, options: FeedOptions = {}) {
  return modelFeeds(graph, await fileOf(arrays), await findInputs(graph), options);
}

describe("arrays named as the inputs", () => {
  test("go in example by example, a state whole, in one order of all", async () => {
    const arrays = { x: counted([6, 6, 10]), h: counted([6, 2, 1, 8]), s: counted([6, 1, 1]) };
    for (const options of [{}, { seed: 3, limit: 4 }]) {
      const feeds = await feedsOf(network("N"), arrays, options);
      expect([feeds.count, feeds.batch, feeds.input]).toEqual(["seed" in options ? 4 : 6, 1, "x"]);
      for (let i = 0; i < feeds.count; i++) {
        const { x, h, s } = await feeds.feeds(i);
        const example = numbers(s!)[0]!;
        expect([x!.dims, h!.dims, s!.dims]).toEqual([
          [1, 6, 10],
          [2, 1, 8],
          [1, 1, 1],
        ]);
        expect([floats(x!)[0], floats(h!)[0]]).toEqual([60 * example, 16 * example]);
      }
    }
  });

  test("go in several at once where every input has a place for each", async () => {
    const feeds = await feedsOf(
      network("N", { state: false }),
      { x: counted([6, 6, 10]), s: counted([6, 1, 1]) },
      { seed: 1 },
    );
    const { x, s } = await feeds.at(1, 3);
    expect([x!.dims, s!.dims]).toEqual([
      [3, 6, 10],
      [3, 1, 1],
    ]);
    expect([0, 1, 2].map((i) => floats(x!)[60 * i])).toEqual([...floats(s!)].map((example) => 60 * example));
  });

  test("go in as many at a time as a fixed batch takes, a state once for each batch", async () => {
    const arrays = { x: counted([7, 6, 10]), h: counted([3, 2, 2, 8]), s: counted([7, 1, 1]) };
    await expect(feedsOf(network(2), arrays)).rejects.toMatchObject({ code: "data-mismatch" });
    const even = { ...arrays, x: counted([6, 6, 10]), s: counted([6, 1, 1]) };
    const feeds = await feedsOf(network(2), even, { seed: 5 });
    expect([feeds.count, feeds.each]).toEqual([3, 2]);
    const { x, h, s } = await feeds.at(1, 1);
    const group = floats(h!)[0]! / 32;
    expect([...floats(s!)]).toEqual([2 * group, 2 * group + 1]);
    expect([floats(x!)[0], x!.dims, h!.dims]).toEqual([120 * group, [2, 6, 10], [2, 2, 8]]);
  });

  test("give axes of one name one size, and what has no array is drawn and told", async () => {
    const graph = smallGraph({
      nodes: [makeNode("Add", ["x", "m"], ["a"]), makeNode("Conv", ["a", "w"], ["y"])],
      initializers: { w: randomTensor([4, 6, 3], 1) },
      inputs: [port("x", ["N", 6, "T"]), port("m", ["N", 6, "T"]), port("mask", ["N", "T"])],
      outputs: ["y"],
    });
    const notes: string[] = [];
    const feeds = await feedsOf(
      graph,
      { x: counted([4, 6, 33]), m: counted([4, 6, 33]) },
      { note: (text) => notes.push(text) },
    );
    expect((await feeds.feeds(0)).mask!.dims.at(-1)).toBe(33);
    expect(feeds.shapes.get("mask")).toEqual([1, 33]);
    expect(notes).toEqual([expect.stringContaining("no array for mask")]);
  });

  test("that fit no input, or hold other counts, sizes, kinds or values, are an error that says what was wanted", async () => {
    const good = { x: counted([4, 6, 10]), h: counted([4, 2, 1, 8]), s: counted([4, 1, 1]) };
    const wrong = (arrays: Readonly<Record<string, TensorData>>, options: FeedOptions = {}) =>
      expect(feedsOf(network("N"), { ...good, ...arrays }, options)).rejects;
    await wrong({ z: counted([4, 2]) }).toMatchObject({
      code: "data-mismatch",
      expected: expect.stringContaining("h [2, N, 8]"),
      got: expect.stringContaining("z [4, 2]"),
    });
    await wrong({ h: counted([5, 2, 1, 8]) }).toMatchObject({ problem: expect.stringMatching(/numbers of examples/) });
    await wrong({ h: counted([4, 1, 8]) }).toMatchObject({ code: "data-mismatch", cures: [expect.any(String)] });
    await wrong({ h: counted([4, 3, 1, 8]) }).toMatchObject({ code: "data-mismatch", place: { tensor: "h" } });
    await wrong({ h: counted([0, 2, 1, 8]) }).toMatchObject({ code: "data-mismatch", place: { tensor: "h" } });
    await wrong({ s: counted([4, 1, 1], Number.NaN) }).toMatchObject({ code: "non-finite", place: { tensor: "s" } });
    await wrong({}, { input: "none" }).toMatchObject({ code: "data-mismatch" });
    await expect(feedsOf(network("N"), {})).rejects.toMatchObject({ code: "data-mismatch", got: "no arrays" });
    const others = expect(feedsOf(network("N"), { a: good.x, b: good.h })).rejects;
    await others.toMatchObject({ expected: expect.stringContaining("x ["), got: expect.stringContaining("b [4") });
  });

  test("of 8 bits are numbers where the network takes no images", async () => {
    const bytes = tensorOf(
      "uint8",
      [4, 6, 10],
      Uint8Array.from({ length: 240 }, (_, i) => i),
    );
    const feeds = await feedsOf(network("N", { state: false }), { x: bytes, s: counted([4, 1, 1]) });
    expect(feeds.images).toBe(false);
    expect(floats((await feeds.at(2, 1)).x!)[1]).toBe(121);
  });

  test("of whole numbers go into inputs of whole numbers alone, and labels beside them are no inputs", async () => {
    const graph = smallGraph({
      nodes: [makeNode("Gather", ["w", "target"], ["g"]), makeNode("Add", ["x", "g"], ["y"])],
      initializers: { w: randomTensor([5, 4], 1) },
      inputs: [port("x", ["N", 4]), port("target", ["N"], "int64")],
      outputs: ["y"],
    });
    const target = tensorOf("int32", [3], [4, 0, 2]);
    const feeds = await feedsOf(graph, { x: counted([3, 4]), target, y: tensorOf("int64", [3], [0, 1, 0]) });
    expect((await feeds.at(0, 3)).target).toEqual(tensorOf("int64", [3], [4, 0, 2]));
    await expect(feedsOf(graph, { x: counted([3, 4]), target: counted([3], 0.5) })).rejects.toMatchObject({
      code: "data-mismatch",
      place: { tensor: "target" },
    });
  });
});

const arrays = (each: number) => ({
  x: randomTensor([24, 6, 10], 3),
  h: randomTensor([24 / each, 2, each, 8], 4),
  s: randomTensor([24, 1, 1], 5),
});

describe.each([
  ["several inputs", "N"],
  ["a fixed batch and several inputs", 2],
] as const)("a network of %s", (_, batch) => {
  const each = batch === "N" ? 1 : batch;

  test("is compressed on data with steps of its blocks, and compared with what came in", async () => {
    const graph = network(batch);
    const data = await calibrationData(graph, await fileOf(arrays(each)), await findInputs(graph));
    const output = join(folder, `small-${each}.onnx`);
    const result = await compressOnData({ graph }, output, data, {
      budget: {},
      sizes: { splits: 1, basis: 4, layers: {} },
      steps: 3,
      threads: 1,
    });
    expect(result.compared).toMatchObject({ inputs: 8, fitted: false });
    expect(result.compared.loss.mean).toBeGreaterThan(0);
    expect(result.layers.map(({ layer }) => layer)).toEqual(["first", "second"]);
    const session = await openSession(output);
    expect((await session.run(await data.all.at(0, 1))).y!.dims).toEqual([each, 8, 10]);
    await session.release();
    const again = await compareOnData(graph, await loadModel(output), data.heldOut!);
    expect(again.loss.mean).toBeCloseTo(result.compared.loss.mean, 6);
  });
});

test("a network of a fixed batch and several inputs is brought to eight bits", async () => {
  const graph = network(2);
  const data = await calibrationData(graph, await fileOf(arrays(2)), await findInputs(graph));
  const output = join(folder, "eight.onnx");
  const result = await quantizeOnData({ graph }, output, data, { precision: "int8", threads: 1 });
  expect(result.compared.loss.mean).toBeLessThan(0.1);
});
