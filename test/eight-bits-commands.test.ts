// Eight bits from the command line: `export --precision`, `compress --precision`, `export --store`, and what is
// refused.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import compare from "../src/cli/compare.js";
import compress from "../src/cli/compress.js";
import exporting from "../src/cli/export.js";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import plan from "../src/cli/plan.js";
import report from "../src/cli/report.js";
import { indexOf } from "../src/graph/index.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import { precisionKey } from "../src/methods/precision-record.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { sequence } from "../src/passes/sequence.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { modelBytes } from "../src/runtime/model-bytes.js";
import { openSession } from "../src/runtime/open.js";
import { sampleFeeds } from "../src/runtime/samples.js";
import { someImage, writePng } from "./images.js";
import { NetworkDraft, optimisedOperators } from "./quantized-graphs.js";
import { noShared, shared } from "./shared.js";

vi.mock("../src/runtime/time-layers.js", async (original) =>
  (await import("./counted-times.js")).countedLayers(original),
);
vi.mock("../src/runtime/compare-times.js", async (original) =>
  (await import("./counted-times.js")).countedNetworks(original),
);

let folder: string;
let model: string;
let images: string;
const out = () => join(folder, "out.onnx");

/** Wide enough for a quarter of its bytes to be weights by far. */
function network() {
  const net = new NetworkDraft(9);
  const head = net.node("Relu", [net.conv("x", "first", 32, 3)], "r0");
  const inner = net.node("Relu", [net.conv(head, "second", 32, 32)], "r1");
  const sum = net.node("Add", [net.conv(inner, "third", 32, 32), head], "sum");
  return net.graph(["N", 3, 24, 24], net.conv(sum, "last", 3, 32));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-eight-bits-"));
  [model, images] = [join(folder, "model.onnx"), join(folder, "images")];
  await saveModel(network(), model);
  for (let i = 0; i < 12; i++) await writePng(join(images, `${i}.png`), someImage(24, 24, { seed: i }));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(command: Command, ...words: string[]) {
  const text = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof text) => ({
    isTTY: false,
    columns: 80,
    write: (part: string) => void (text[name] += part),
  });
  const signal = new AbortController().signal;
  const code = await command.run(words, { stdout: stream("stdout"), stderr: stream("stderr"), signal } as never);
  return { code, ...text, json: () => JSON.parse(text.stdout) };
}

const onImages = () => ["--data", images, "--range", "1", "--normalize", "none", "--threads", "1"];

describe("export --precision int8", () => {
  test("writes a verified file of a third of the bytes, and says what stayed float and what is lost", async () => {
    const { code, stderr, json } = await run(
      exporting,
      model,
      "-o",
      out(),
      "--precision",
      "int8",
      ...onImages(),
      "--json",
    );
    expect(stderr).not.toMatch(/error/);
    expect(code).toBe(0);
    const report = json();
    expect(report).toMatchObject({ precision: "int8", rounding: { weights: expect.stringMatching(/int/) } });
    expect(report.layers.length + report.float.length).toBe(4);
    for (const { reason } of report.float) expect(reason).toMatch(/^in eight bits it costs/);
    expect(report.verified.difference).toBeLessThanOrEqual(report.verified.allowed);
    expect(report.compared.fitted).toBe(false);
    expect(report.compared.loss.mean).toBeLessThan(0.05);
    const written = await loadModel(out());
    expect(JSON.parse(written.metadata.get(precisionKey)!)).toMatchObject({ precision: "int8" });
    expect((await optimisedOperators(written)).QLinearConv).toBe(report.layers.length);
    expect(await modelBytes(out())).toBeLessThan(0.4 * (await modelBytes(model)));
  });

  test("with a loss that eight bits exceed writes nothing", async () => {
    const target = join(folder, "never.onnx");
    const { code, json } = await run(
      exporting,
      ...[model, "-o", target, "--precision", "int8", "--max-loss", "1e-9", ...onImages(), "--json"],
    );
    expect([code, json().error.code]).toEqual([1, "loses-function"]);
    expect(existsSync(target)).toBe(false);
  });

  test.each([
    [["--precision", "int8"], /needs --data/],
    [["--data", "x"], /needs --precision/],
    [["--target", "arm"], /needs --precision/],
    [["--store", "int8", "--fp16"], /exclude each other/],
    [["--precision", "int8", "--data", "x", "--store", "int8"], /exclude each other/],
  ])("refuses %j", async (words, why) => {
    const { code, stderr } = await run(exporting, model, "-o", out(), ...words);
    expect([code, stderr]).toEqual([2, expect.stringMatching(why)]);
  });
});

describe("compress --precision", () => {
  test("auto writes what was measured fastest, compared with the original", { timeout: 120_000 }, async () => {
    const words = [
      model,
      "-o",
      out(),
      "--precision",
      "auto",
      "--keep-macs",
      "0.85",
      "--only",
      "second",
      ...onImages(),
      "--json",
    ];
    const { code, json } = await run(compress, ...words);
    expect(code).toBe(0);
    const report = json();
    expect(["int8", "fp32"]).toContain(report.precision);
    expect(report.macs).toBeLessThan(0.86 * report.before.macs);
    const { contestants, layers: inEightBits } = report.eightBits;
    const written = contestants.filter(({ chosen }: { chosen?: true }) => chosen);
    expect(written).toHaveLength(1);
    expect(written[0].layers).toBe(inEightBits.length);
    const names = contestants.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(["floats", expect.stringMatching(/^the original in eight bits/)]));
    const fastest = Math.min(
      ...contestants.flatMap((one: { reason?: string; milliseconds?: number }) =>
        one.reason === undefined && one.milliseconds !== undefined ? [one.milliseconds] : [],
      ),
    );
    expect(written[0].milliseconds).toBeLessThanOrEqual(1.031 * fastest);
    expect(report.bytes).toBe(await modelBytes(out()));
    expect(report.before.bytes).toBe(await modelBytes(model));

    // What is timed by now is in the cache.
    const planned = await run(plan, ...words.filter((word) => word !== "-o" && word !== out()));
    const layers = planned.json().layers as { name: string; precision?: string; milliseconds?: object }[];
    expect(layers.map(({ name }) => name)).toEqual(["first", "second", "third", "last"]);
    for (const one of layers) expect(one).toMatchObject({ precision: expect.stringMatching(/^(int8|fp32)$/) });
  });

  test("tells what factors can reach where neither they nor eight bits alone are as fast as asked", async () => {
    const target = join(folder, "too-fast.onnx");
    const words = [model, "-o", target, "--speedup", "90", "--precision", "auto", ...onImages(), "--json"];
    const { code, json } = await run(compress, ...words);
    expect(code).not.toBe(0);
    expect(json().error).toMatchObject({ code: "does-not-pay", reachable: expect.any(Number) });
    expect(existsSync(target)).toBe(false);
  });

  test("is refused where a network is trained", async () => {
    const { code, stderr } = await run(
      compress,
      model,
      "-o",
      out(),
      "--precision",
      "int8",
      "--data",
      images,
      "--epochs",
      "1",
    );
    expect([code, stderr]).toEqual([2, expect.stringMatching(/without training/)]);
  });
});

describe("export --store", () => {
  test("int8 takes a quarter of the bytes, computes in floats and counts the same weights", async () => {
    const { code, json } = await run(exporting, model, "-o", out(), "--store", "int8", "--threads", "1", "--json");
    expect(code).toBe(0);
    expect(json().maxDifference).toBeLessThan(1e-4);
    expect(json().change).toBeLessThan(0.05);
    const [before, after] = [await loadModel(model), await loadModel(out())];
    expect(await modelBytes(out())).toBeLessThan(0.35 * (await modelBytes(model)));
    expect(cost(after).weights).toBe(cost(before).weights);
    const ran = await optimisedOperators(after);
    // Widened once, when the model is loaded.
    expect([ran.Cast, ran.Mul, ran.DequantizeLinear, ran.QLinearConv]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(findLayers(after).layers).toHaveLength(4);
  });

  test("int8 of a compressed model keeps its record, and it can be expanded", async () => {
    const compressed = join(folder, "compressed.onnx");
    await saveModel(basis({ splits: 2, basis: 8 })(await loadModel(model)).graph, compressed);
    expect((await run(exporting, compressed, "--threads", "1", "-o", out(), "--store", "int8")).code).toBe(0);
    expect(await modelBytes(out())).toBeLessThan(0.5 * (await modelBytes(compressed)));
    const written = await loadModel(out());
    expect(readRecord(written)?.layers).toHaveLength(readRecord(await loadModel(compressed))!.layers.length);
    const { json } = await run(inspect, out(), "--json");
    expect(json().compression.layers.length).toBeGreaterThan(0);
    const dense = expand(written).graph;
    const [a, b] = [await openSession(written, { threads: 1 }), await openSession(dense, { threads: 1 })];
    const feeds = sampleFeeds(a.inputs, { shapes: new Map([["x", [1, 3, 24, 24]]]) });
    const [x, y] = [(await a.run(feeds)).last!, (await b.run(feeds)).last!];
    const [p, q] = [x, y].map(({ data }) => new Float32Array(data.slice().buffer));
    expect(Math.max(...p!.map((value, i) => Math.abs(value - q![i]!)))).toBeLessThan(1e-4);
    await a.release();
    await b.release();
  });

  test("fp16 is what --fp16 was", async () => {
    const [one, other] = [join(folder, "a.onnx"), join(folder, "b.onnx")];
    expect((await run(exporting, model, "-o", one, "--store", "fp16", "--threads", "1")).code).toBe(0);
    expect((await run(exporting, model, "-o", other, "--fp16", "--threads", "1")).code).toBe(0);
    expect(await loadModel(one)).toEqual(await loadModel(other));
    expect(await modelBytes(one)).toBe(await modelBytes(other));
  });
});

describe("a compressed model in eight bits", () => {
  test("says what was done, and gets its dense filters back as far as its nodes tell", {
    timeout: 60_000,
  }, async () => {
    const [floats, eight, dense] = ["floats", "eight", "dense"].map((name) => join(folder, `${name}.onnx`));
    const over = (splits: number, layer: string) => basis({ splits, basis: 8, only: [layer] });
    await saveModel(sequence(over(1, "second"), over(2, "third"))(await loadModel(model)).graph, floats!);
    const words = [floats!, "-o", eight!, "--precision", "int8", "--max-loss", "0.9", ...onImages()];
    expect((await run(exporting, ...words)).code).toBe(0);

    const told = (await run(inspect, eight!, "--json")).json();
    expect(told.chains).toMatchObject([{ name: "second", chain: "one split 8", filters: [32, 32, 3, 3] }]);
    expect(told.precision).toMatchObject({ int8: 6, float: 0, record: { lost: [{ name: "third" }] } });
    expect((await run(inspect, eight!)).stdout).toMatch(
      /6 of 6 layers in eight bits[\s\S]*third was compressed; its 2 splits/,
    );

    const undone = await run(compress, eight!, "-o", dense!, "--undo", "--threads", "1", "--json");
    expect([undone.code, undone.stderr]).toEqual([
      0,
      expect.stringMatching(/skipped third: its 2 splits share a basis/),
    ]);
    expect(undone.json().layers).toEqual([{ name: "second" }]);
    const graph = await loadModel(dense!);
    expect(graph.nodes.filter(({ op }) => /Quantize/.test(op))).toEqual([]);
    expect([...graph.metadata.keys()].filter((key) => /precision|chains/.test(key))).toEqual([]);
    expect(graph.nodes.filter(({ op }) => op === "Conv").map(({ name }) => name)).toContain("second");
    expect(findLayers(graph).layers.find(({ name }) => name === "second")?.kernel).toEqual([3, 3]);

    const compared = await run(compare, floats!, eight!, ...onImages().slice(0, 6));
    expect(compared.stdout).toMatch(/layers in eight bits 0 of 4 -> 6 of 6/);
    const page = join(folder, "eight.html");
    expect((await run(report, eight!, "-o", page)).code).toBe(0);
    expect(readFileSync(page, "utf8")).toMatch(/layers in eight bits<\/th><td>6/);
  });
});

describe("models that are quantised already", () => {
  test("weights behind DequantizeLinear are layers; convolutions in integers are named with the cure", async () => {
    const quantized = join(folder, "quantized.onnx");
    const words = [model, "-o", quantized, "--precision", "int8", "--max-loss", "0.5", ...onImages()];
    expect((await run(exporting, ...words)).code).toBe(0);
    const graph = await loadModel(quantized);
    const { layers } = findLayers(graph);
    expect(layers.map(({ name }) => name)).toEqual(["first", "second", "third", "last"]);
    expect(layers.map(({ weight }) => weight.type)).toEqual(["float32", "float32", "float32", "float32"]);
    expect(indexOf(graph).stored(layers[0]!.nodes[0]!.node.inputs[1]!)?.integers).toMatch(/int8/);
    const again = [quantized, "-o", out(), "--precision", "int8", "--max-loss", "0.5", ...onImages(), "--json"];
    expect((await run(exporting, ...again)).json().layers).toHaveLength(4);
    // Nothing was compressed in it.
    const { code, json } = await run(compress, quantized, "-o", out(), "--undo", "--json");
    expect([code, json().error.code, json().error.cures]).toEqual([1, "unsupported", [expect.stringMatching(/float/)]]);
  });

  test.skipIf(!shared("wild/micro_kws_qdq.onnx"))(`a public QDQ model has layers (${noShared})`, async () => {
    const graph = await loadModel(shared("wild/micro_kws_qdq.onnx")!);
    const { layers, skipped } = findLayers(graph);
    expect(layers.length + skipped.length).toBeGreaterThanOrEqual(3);
    for (const { reason } of skipped) expect(reason).not.toMatch(/is quantised \(stored/);
  });
});
