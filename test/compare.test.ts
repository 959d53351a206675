// `compare` and how data becomes inputs of any network: which input, which layout, which size; what cannot be is
// refused with its reason.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compare from "../src/cli/compare.js";
import { openData } from "../src/data/table.js";
import { modelFeeds } from "../src/evaluate/model-feeds.js";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, Value } from "../src/graph/types.js";
import { numbers } from "../src/graph/values.js";
import { saveModel } from "../src/runtime/files.js";
import { findInputs } from "../src/runtime/index.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

let folder: string;
let images: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-compare-"));
  images = join(folder, "images");
  mkdirSync(images);
  for (const [i, [width, height]] of [
    [20, 16],
    [16, 20],
    [24, 24],
  ].entries()) {
    const pixels = Uint8Array.from({ length: 3 * width! * height! }, (_, at) => (at * (7 + i)) % 256);
    await sharp(pixels, { raw: { width: width!, height: height!, channels: 3 } })
      .png()
      .toFile(join(images, `${i}.png`));
  }
  writeFileSync(join(images, "broken.png"), "no image");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const value = (dims: readonly (number | string)[]): Value => ({ name: "x", tensor: { type: "float32", dims } });

function network(dims: readonly (number | string)[], channelsLast = false): Graph {
  const conv = makeNode("Conv", [channelsLast ? "t" : "x", "w"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "conv" });
  const nodes = channelsLast ? [makeNode("Transpose", ["x"], ["t"], { perm: ints([0, 3, 1, 2]) }), conv] : [conv];
  return smallGraph({
    nodes,
    initializers: { w: randomTensor([4, 3, 3, 3], 1) },
    inputs: [value(dims)],
    outputs: ["y"],
  });
}

async function ask(line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await compare.run([...line, "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

describe("data as inputs of a network", () => {
  const feedsOf = async (graph: Graph, options = {}) =>
    modelFeeds(graph, await openData(images), await findInputs(graph), options);

  test("takes the size of the model's axes, passes over what cannot be used, and tells what it guessed", async () => {
    const feeds = await feedsOf(network(["N", 3, 12, 10]));
    expect(feeds).toMatchObject({ count: 3, input: "x", how: { size: { width: 10, height: 12 }, range: 1 } });
    expect(feeds.guessed).toEqual(["normalize none", "range 1"]);
    expect(feeds.images).toBe(true);
    expect(feeds.skipped.map(({ file }) => file)).toEqual([join(images, "broken.png")]);
    expect((await feeds.feeds(0)).x).toMatchObject({ dims: [3, 3, 12, 10], type: "float32" });
  });

  test("is the same with channels at the end", async () => {
    const [first, last] = [await feedsOf(network([1, 3, 12, 10])), await feedsOf(network([1, 12, 10, 3], true))];
    expect(last.batches).toBe(3);
    const [a, b] = [(await first.feeds(1)).x!, (await last.feeds(1)).x!];
    expect(b.dims).toEqual([1, 12, 10, 3]);
    const [x, y] = [numbers(a), numbers(b)];
    for (const [c, at] of [
      [0, 0],
      [1, 17],
      [2, 119],
    ] as const)
      expect(y[at * 3 + c]).toBe(x[c * 120 + at]);
  });

  test("says what the model's metadata says, and what the user says before it", async () => {
    const told = {
      ...network([1, 3, 8, 8]),
      metadata: new Map([
        ["filterbasis.normalize", "imagenet"],
        ["filterbasis.range", "1"],
      ]),
    };
    expect((await feedsOf(told)).guessed).toEqual([]);
    expect((await feedsOf(told, { normalize: "0.5/0.5" })).how.normalize).toBe("0.5/0.5");
  });

  test("takes arrays with channels in front or at the end for a network that has them at the end", async () => {
    const graph = network(["N", 12, 10, 3], true);
    const inputs = await findInputs(graph);
    const feedsOfArray = async (dims: readonly number[]) => {
      const file = join(folder, `array-${dims.join("x")}.npy`);
      const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims.join(", ")}), }`.padEnd(117) + "\n";
      const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i);
      const magic = [Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.from([118, 0])];
      writeFileSync(file, Buffer.concat([...magic, Buffer.from(header), Buffer.from(values.buffer)]));
      const feeds = await modelFeeds(graph, await openData(file), inputs);
      expect(feeds).toMatchObject({ images: false, guessed: [] });
      return (await feeds.feeds(0)).x!;
    };
    const [last, front] = [await feedsOfArray([2, 12, 10, 3]), await feedsOfArray([2, 3, 12, 10])];
    expect([last.dims, front.dims]).toEqual([
      [2, 12, 10, 3],
      [2, 12, 10, 3],
    ]);
    expect([...numbers(last)].slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect([...numbers(front)].slice(0, 4)).toEqual([0, 120, 240, 1]);
  });

  test("of another size than the file fixes is refused before the network runs", async () => {
    const size = { size: { width: 6, height: 6 } };
    await expect(feedsOf(network(["N", 3, 8, 8]), size)).rejects.toMatchObject({ code: "data-mismatch" });
    expect((await (await feedsOf(network(["N", 3, "H", "W"]), size)).feeds(0)).x!.dims).toEqual([3, 3, 6, 6]);
  });

  test("goes in with the batch that a network beside it fixes", async () => {
    const feeds = await feedsOf(network(["N", 3, 8, 8]), { fixed: 1 });
    expect([feeds.batch, feeds.batches]).toEqual([1, 3]);
  });

  test("is refused where it does not fit", async () => {
    const data = join(folder, "wrong.npy");
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 5), }".padEnd(117) + "\n";
    writeFileSync(
      data,
      Buffer.concat([
        Buffer.from("\x93NUMPY\x01\x00", "latin1"),
        Buffer.from([118, 0]),
        Buffer.from(header),
        Buffer.alloc(40),
      ]),
    );
    const graph = network([1, 3, 8, 8]);
    const opened = await openData(data);
    await expect(modelFeeds(graph, opened, await findInputs(graph))).rejects.toMatchObject({ code: "data-mismatch" });
    await expect(feedsOf(graph, { input: "none" })).rejects.toMatchObject({
      code: "data-mismatch",
      got: "x [1, 3, 8, 8]",
    });
    await expect(feedsOf(network([4, 3, 8, 8]))).rejects.toMatchObject({
      message: expect.stringMatching(/fewer inputs/),
    });
  });
});

describe("compare", () => {
  test("refuses models of other inputs, and takes one with a fixed batch beside one whose batch is free", async () => {
    const file = (name: string) => join(folder, `${name}.onnx`);
    await saveModel(network(["N", 3, 8, 8]), file("free"));
    await saveModel(network([1, 3, 8, 8]), file("single"));
    await saveModel(network(["N", 3, 9, 9]), file("nine"));
    const wrong = await ask([file("free"), file("nine"), "--data", images, "--no-latency"]);
    expect(wrong.json.error).toMatchObject({ code: "data-mismatch", got: expect.stringContaining("9, 9") });
    const same = await ask([file("free"), file("single"), "--data", images, "--no-latency"]);
    expect(same.json, same.stderr).toMatchObject({ inputs: 3, loss: { mean: 0, constant: false } });
  });

  test("finds no loss between a model and itself, and the loss of another", async () => {
    const [one, other] = [join(folder, "one.onnx"), join(folder, "other.onnx")];
    const graph = network([1, 3, 8, 8]);
    await saveModel(graph, one);
    const scaled = new Map([["w", { ...graph.initializers.get("w")!, data: randomTensor([4, 3, 3, 3], 2).data }]]);
    await saveModel({ ...graph, initializers: scaled }, other);
    const same = await ask([one, one, "--data", images, "--no-latency"]);
    expect(same.json, same.stderr).toMatchObject({
      inputs: 3,
      loss: { kind: "relative", mean: 0 },
      outputs: [{ correlation: expect.closeTo(1) }],
    });
    const differs = await ask([one, other, "--data", images, "--threads", "1"]);
    expect(differs.json.loss.mean).toBeGreaterThan(0.1);
    expect(differs.json.milliseconds.ratio).toBeGreaterThan(0);
  });

  test("says which outputs there are, and which data there is", async () => {
    const one = join(folder, "one.onnx");
    expect((await ask([one, one, "--data", images, "--output", "z"])).json.error).toMatchObject({
      code: "not-found",
      expected: "y",
    });
    expect((await ask([one, one, "--data", join(folder, "none")])).json.error).toMatchObject({ code: "not-found" });
  });
});
