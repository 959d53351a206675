// `compress --data` without training, from the command line to the file: budgets kept, what is lost told on images held
// out, chains undone, refusals before anything is written.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { readChains } from "../src/methods/chain-record.js";
import { expandChains } from "../src/methods/expand-chains.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { compareOutputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { smallGraph } from "./small-graphs.js";

let folder: string;
let model: string;
let images: string;
const out = () => join(folder, "out.onnx");

/** Filters [n, c, 3, 3] of few directions, and a little of all: as trained ones are. */
function filters(n: number, c: number, seed: number): TensorData {
  const random = new Random(seed);
  const draw = (count: number) => Float64Array.from({ length: count }, () => 2 * random.next() - 1);
  const [rank, width] = [6, c * 9];
  const [a, b, rest] = [draw(n * rank), draw(rank * width), draw(n * width)];
  const values = rest.map((value, at) => {
    const [o, i] = [Math.floor(at / width), at % width];
    let sum = 0.05 * value;
    for (let r = 0; r < rank; r++) sum += (a[o * rank + r]! * b[r * width + i]!) / Math.sqrt(width);
    return sum;
  });
  return tensorOf("float32", [n, c, 3, 3], values);
}

function network(): Graph {
  const pads = { pads: ints([1, 1, 1, 1]) };
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "w1"], ["a"], pads, { name: "first" }),
      makeNode("Relu", ["a"], ["b"]),
      makeNode("Conv", ["b", "w2", "b2"], ["c"], { ...pads, strides: ints([2, 2]) }, { name: "second" }),
      makeNode("Relu", ["c"], ["d"]),
      makeNode("Conv", ["d", "w3"], ["e"], pads, { name: "third" }),
      makeNode("Add", ["e", "d"], ["f"]),
      makeNode("Relu", ["f"], ["g"]),
      makeNode("GlobalAveragePool", ["g"], ["h"]),
      makeNode("Flatten", ["h"], ["i"]),
      makeNode("Gemm", ["i", "w4"], ["y"], {}, { name: "last" }),
    ],
    initializers: {
      w1: filters(32, 3, 1),
      w2: filters(64, 32, 2),
      b2: tensorOf("float32", [64], new Float64Array(64).fill(0.1)),
      w3: filters(64, 64, 3),
      w4: tensorOf(
        "float32",
        [64, 10],
        Float64Array.from({ length: 640 }, (_, i) => Math.sin(i * 1.7)),
      ),
    },
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 32, 32] } }],
    outputs: ["y"],
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-on-data-"));
  model = join(folder, "model.onnx");
  images = join(folder, "images");
  mkdirSync(images);
  await saveModel(network(), model);
  const random = new Random(7);
  for (let i = 0; i < 24; i++) {
    const [fx, fy, phase] = [random.next(), random.next(), 6 * random.next()];
    const pixels = Uint8Array.from({ length: 3 * 36 * 32 }, (_, at) => {
      const [x, y, c] = [Math.floor(at / 3) % 36, Math.floor(at / 108), at % 3];
      return 127 + 90 * Math.sin(fx * x + fy * y + phase + c) + 30 * (random.next() - 0.5);
    });
    await sharp(pixels, { raw: { width: 36, height: 32, channels: 3 } })
      .png()
      .toFile(join(images, `${i}.png`));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...line: string[]) => runOn(model, ...line);

async function runOn(file: string, ...line: string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await compress.run([file, "-o", out(), "--threads", "1", ...line, "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

describe("compress --data", () => {
  test("keeps a budget in weights with bases rebuilt at load, and loses less than without data", {
    timeout: 60_000,
  }, async () => {
    const blind = await run("--keep-params", "0.4");
    expect(blind.code, blind.stderr).toBe(0);
    const { code, json, stderr } = await run("--keep-params", "0.4", "--data", images, "--normalize", "0.5/0.25");
    expect(code, stderr).toBe(0);
    expect(json.weights / json.before.weights).toBeLessThanOrEqual(0.4);
    expect(json.macs).toBeLessThanOrEqual(json.before.macs);
    expect(json.compared).toMatchObject({ fitted: false, loss: { output: "y", kind: "classes" } });
    expect(json.compared.inputs).toBeGreaterThan(4);
    expect(json.compared.outputs[0].correlation).toBeGreaterThan(0.9);
    const graph = await loadModel(out());
    expect(graph.metadata.get("filterbasis.normalize")).toBe("0.5/0.25");
    expect(cost(graph).weights).toBe(json.weights);
  });

  test("keeps a budget in multiply-accumulates by chains that are undone to what they compute", {
    timeout: 120_000,
  }, async () => {
    const { code, json, stderr } = await run("--keep-macs", "0.6", "--data", images);
    if (code !== 0) {
      // of some tenths of a millisecond: a timing may find no chain faster
      expect(json.error.code, stderr).toMatch(/budget-unreachable|does-not-pay/);
      expect(existsSync(out())).toBe(false);
      return;
    }
    expect(json.macs / json.before.macs).toBeLessThanOrEqual(0.6);
    expect(json.layers.length).toBeGreaterThan(0);
    const graph = await loadModel(out());
    expect(readChains(graph).length + (readRecord(graph)?.layers.length ?? 0)).toBeGreaterThan(0);
    const undone = expandChains(graph).graph;
    expect(readChains(undone)).toEqual([]);
    const [a, b] = [await openSession(graph, { threads: 1 }), await openSession(undone, { threads: 1 })];
    const feeds = sampleFeeds(a.inputs, { shapes: new Map([["x", [1, 3, 32, 32]]]) });
    expect(compareOutputs(await a.run(feeds), await b.run(feeds)).relative).toBeLessThan(1e-5);
    await a.release();
    await b.release();
  });

  test("leaves alone what is to be skipped, and says so", { timeout: 60_000 }, async () => {
    const { code, json, stderr } = await run("--keep-params", "0.6", "--data", images, "--skip", "second");
    expect(code, stderr).toBe(0);
    expect(json.layers.map(({ name }: { name: string }) => name)).not.toContain("second");
    expect(json.skipped).toContainEqual({ name: "second", reason: "it was asked to be skipped" });
    expect((await run("--keep-params", "0.6", "--data", images, "--skip", "none")).json.error.code).toBe("not-found");
  });

  test("writes nothing that loses more than is allowed, or is not as fast as was asked for", {
    timeout: 120_000,
  }, async () => {
    rmSync(out(), { force: true });
    const lost = await run("--keep-params", "0.15", "--data", images, "--max-loss", "0.0001", "--loss", "relative");
    expect(lost.json.error, lost.stderr).toMatchObject({
      code: "loses-function",
      message: expect.stringMatching(/y \(relative\)/),
    });
    const slow = await run("--speedup", "40", "--data", images);
    expect(slow.json.error, slow.stderr).toMatchObject({ code: "budget-unreachable", field: "speedup" });
    expect(existsSync(out())).toBe(false);
  });

  test("says of a network without layers for it that there is none", async () => {
    const none = join(folder, "none.onnx");
    await saveModel({ ...network(), nodes: [makeNode("Relu", ["x"], ["y"])], initializers: new Map() }, none);
    const { json } = await runOn(none, "--keep-macs", "0.5", "--data", images, "--images", "4");
    expect(json.error).toMatchObject({ code: "not-found", message: expect.stringMatching(/no layer/) });
  });

  test("writes nothing where the budget leaves every layer as it is", { timeout: 20_000 }, async () => {
    const { json } = await run("--keep-params", "1", "--data", images, "--images", "4");
    expect(json.error).toMatchObject({ code: "does-not-pay", message: expect.stringMatching(/leaves every layer/) });
  });

  test.each([
    [["--keep-params", "0.5", "--speedup", "2", "--data", "DIR"], "usage", /give one/],
    [["--speedup", "2"], "usage", /--data/],
    [["--speedup", "0.5", "--data", "DIR"], "usage", /1 \.\. 100/],
    [["--keep-params", "0.5", "--data", "DIR/none"], "not-found", /no such data/],
    [["--keep-params", "0.5", "--data", "DIR", "--loss-output", "z"], "not-found", /no such output/],
  ])("refuses %j", async (line, code, says) => {
    const { json } = await run(...line.map((word) => word.replace("DIR", images)));
    expect(json.error).toMatchObject({ code, message: expect.stringMatching(says) });
  });
});
