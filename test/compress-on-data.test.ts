// `compress --data` without training, from the command line to the file: budgets kept, what is lost told on images held
// out, chains undone, refusals before anything is written.
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import compress from "../src/cli/compress.js";
import { makeNode } from "../src/graph/attributes.js";
import { readChains } from "../src/methods/chain-record.js";
import { expandChains } from "../src/methods/expand-chains.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { compareOutputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { photoNetwork, writePhotos } from "./photo-network.js";

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

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-on-data-"));
  model = join(folder, "model.onnx");
  images = join(folder, "images");
  await saveModel(photoNetwork(), model);
  await writePhotos(images, 24);
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
    expect(code, stderr).toBe(0);
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

  test("keeps a budget in bytes, with and without data, and names the least that is reachable", {
    timeout: 120_000,
  }, async () => {
    for (const data of [[], ["--data", images]]) {
      const { code, json, stderr } = await run("--keep-bytes", "0.5", ...data);
      expect(code, stderr).toBe(0);
      expect(json.bytes / json.before.bytes).toBeLessThanOrEqual(0.5);
      expect(json.bytes / json.before.bytes).toBeGreaterThan(0.42);
      expect(statSync(out()).size).toBe(json.bytes);
      const least = await run("--keep-bytes", "0.01", ...data);
      expect(least.json.error).toMatchObject({ code: "budget-unreachable", field: "keep-bytes" });
      expect(least.json.error.reachable).toBeGreaterThan(0.01);
      expect(least.json.error.cures[0]).toMatch(/^--keep-bytes 0\.\d+$/);
    }
  });

  test("fits bases of the sizes that are asked for, and writes them in the layout that is", {
    timeout: 60_000,
  }, async () => {
    const sizes = ["--layer", "second=4x8", "--layer", "thi*=16"];
    const { code, json, stderr } = await run(...sizes, "--data", images, "--layout", "grouped");
    expect(code, stderr).toBe(0);
    const record = readRecord(await loadModel(out()))!;
    expect(record.layers.map(({ name, splits, basisSize, layout }) => [name, splits, basisSize, layout])).toEqual([
      ["second", 4, 8, "grouped"],
      ["third", expect.any(Number), 16, "grouped"],
    ]);
    expect(json.layers.map(({ name }: { name: string }) => name)).toEqual(["second", "third"]);
    expect(json.skipped).toContainEqual({ name: "first", reason: "no basis size is given for it" });
    expect(json.compared.outputs[0].correlation).toBeGreaterThan(0.9);
    const blind = await run(...sizes, "--layout", "grouped");
    expect(blind.code, blind.stderr).toBe(0);
    const tooLarge = await run("--basis", "4000", "--data", images);
    expect(tooLarge.json.error).toMatchObject({ code: "invalid-plan", field: "basis" });
    const parted = await run("--layer", "second=4x8", "--data", images, "--steps", "2");
    expect(parted.json.error).toMatchObject({ code: "usage", message: expect.stringMatching(/splits/) });
  });

  test("takes splits for a budget, as the paper has them", { timeout: 60_000 }, async () => {
    const { code, json, stderr } = await run("--keep-params", "0.5", "--splits", "4", "--data", images);
    expect(code, stderr).toBe(0);
    for (const { splits } of readRecord(await loadModel(out()))!.layers) expect(splits).toBe(4);
    expect(json.weights / json.before.weights).toBeLessThanOrEqual(0.5);
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
    expect(slow.json.error, slow.stderr).toMatchObject({ code: "does-not-pay", field: "speedup" });
    expect(existsSync(out())).toBe(false);
  });

  test("says of a network without layers for it that there is none", async () => {
    const none = join(folder, "none.onnx");
    await saveModel({ ...photoNetwork(), nodes: [makeNode("Relu", ["x"], ["y"])], initializers: new Map() }, none);
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
    [["--speedup", "0.5", "--data", "DIR"], "usage", /from 1 to 100/],
    [["--latency", "100000", "--data", "DIR"], "does-not-pay", /as fast as that/],
    [["--latency", "0.0001", "--data", "DIR"], "does-not-pay", /out of reach/],
    [["--share", "block", "--data", "DIR"], "usage", /--epochs/],
    [["--keep-params", "0.5", "--data", "DIR/none"], "not-found", /no such data/],
    [["--keep-params", "0.5", "--data", "DIR", "--loss-output", "z"], "not-found", /no such output/],
  ])("refuses %j", { timeout: 60_000 }, async (line, code, says) => {
    const { json } = await run(...line.map((word) => word.replace("DIR", images)));
    expect(json.error).toMatchObject({ code, message: expect.stringMatching(says) });
  });
});
