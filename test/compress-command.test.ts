// `plan` and `compress` as they are called: results as JSON, refusals listed, verified files, nothing written when they
// fail.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compress from "../src/cli/compress.js";
import type { Command } from "../src/cli/frame.js";
import plan from "../src/cli/plan.js";
import { makeNode } from "../src/graph/attributes.js";
import { tensorOf } from "../src/graph/values.js";
import { readRecord } from "../src/methods/record.js";
import { edsr } from "../src/nets/edsr.js";
import { cost } from "../src/ops/cost/cost.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { oneConv, randomTensor, smallGraph } from "./small-graphs.js";

const folder = mkdtempSync(join(tmpdir(), "filterbasis-compress-"));
const model = join(folder, "model.onnx");
const out = join(folder, "out.onnx");
beforeAll(() => saveModel(edsr({ blocks: 2, width: 16, scale: 2 }), model));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(command: Command, ...raw: string[]) {
  let [stdout, stderr] = ["", ""];
  const io = {
    stdout: { write: (text: string) => void (stdout += text) },
    stderr: { write: (text: string) => void (stderr += text) },
    signal: new AbortController().signal,
  };
  const code = await command.run([...raw, "--json"], io);
  return { code, stderr, json: JSON.parse(stdout) };
}

const quick = ["--layout", "batch-folded", "--threads", "1", "--input", "1x3x16x16"];

describe("plan", () => {
  test("tells splits, basis, rate and error of each layer, and writes nothing", async () => {
    const { code, json } = await run(plan, model, "--keep-params", "0.5");
    expect(code).toBe(0);
    expect(json.weights / json.before.weights).toBeLessThanOrEqual(0.5);
    expect(json.weights / json.before.weights).toBeGreaterThan(0.48);
    for (const layer of json.layers) {
      expect(layer.rate).toBeCloseTo(layer.weights / layer.weightsBefore, 12);
      expect(layer.splits * layer.channels).toBe(layer.filters[1]);
      expect(layer.error).toBeGreaterThanOrEqual(0);
    }
    expect(readdirSync(folder)).toEqual(["model.onnx"]);
  });
});

describe("compress", () => {
  test("tells of convolutions that read one weight as one layer, as a plan does", async () => {
    const tied = join(folder, "tied.onnx");
    const conv = (name: string, from: string, to: string) => makeNode("Conv", [from, "w"], [to], {}, { name });
    const graph = smallGraph({
      nodes: [conv("first", "x", "a"), conv("second", "a", "b"), conv("third", "b", "y")],
      initializers: { w: randomTensor([8, 8, 3, 3], 1) },
      inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 8, 16, 16] } }],
      outputs: ["y"],
    });
    await saveModel(graph, tied);
    const planned = await run(plan, tied, "--keep-params", "0.5", "--layout", "split");
    const { json, stderr } = await run(compress, tied, "-o", out, "--keep-params", "0.5", "--layout", "split");
    rmSync(tied);
    const told = (layers: readonly { name: string; splits: number; basis: number; nodes: number }[]) =>
      layers.map(({ name, splits, basis, nodes }) => ({ name, splits, basis, nodes }));
    expect(told(json.layers), stderr).toEqual(told(planned.json.layers));
    expect(told(json.layers)).toMatchObject([{ name: "first", nodes: 3 }]);
  });

  test("writes a verified model of the planned size and tells what it skipped", async () => {
    const planned = await run(plan, model, "--keep-params", "0.5");
    const { code, json, stderr } = await run(compress, model, "-o", out, "--keep-params", "0.5", ...quick);
    expect(code, stderr).toBe(0);
    const before = cost(await loadModel(model), new Map([["input", [1, 3, 16, 16]]]));
    const after = await loadModel(out);
    expect(json.before).toMatchObject({
      weights: before.weights,
      parameters: before.parameters,
      macs: before.macs,
      bytes: statSync(model).size,
    });
    expect(json.bytes).toBe(statSync(out).size);
    expect(json).toMatchObject({ weights: planned.json.weights, verified: true });
    expect(json.weights).toBe(cost(after).weights);
    expect(json.maxDifference).toBeLessThan(1e-4);
    expect(json.layers.map(({ name }: { name: string }) => name)).toEqual(
      readRecord(after)!.layers.map(({ name }) => name),
    );
    expect(json.skipped).toEqual(planned.json.skipped);
    for (const { name, reason } of json.skipped) expect(stderr).toContain(`skipped ${name}: ${reason}`);
  });

  test("--undo gives the dense model back", async () => {
    await run(compress, model, "-o", out, "--keep-params", "0.5", ...quick);
    const dense = join(folder, "dense.onnx");
    const { code, json, stderr } = await run(compress, out, "-o", dense, "--undo");
    expect(code, stderr).toBe(0);
    expect(json).toMatchObject({ weights: cost(await loadModel(model)).weights, verified: true, skipped: [] });
    expect(readRecord(await loadModel(dense))).toBeUndefined();
  });

  test.each<[string, string[], number, string]>([
    ["a budget that cannot be met", ["--keep-params", "0.001"], 1, "budget-unreachable"],
    ["a basis beyond full rank", ["--basis", "5000"], 1, "invalid-plan"],
    ["a budget that is no fraction", ["--keep-params", "2"], 2, "usage"],
    ["two budgets", ["--keep-params", "0.5", "--basis", "4"], 2, "usage"],
    ["--undo of a model that was never compressed", ["--undo"], 1, "not-found"],
    ["--undo with a budget", ["--undo", "--keep-params", "0.5"], 2, "usage"],
    ["an input shape that does not fit", ["--input", "1x4x16x16"], 1, "shape-mismatch"],
    ["patterns that match nothing", ["--only", "nowhere*"], 1, "not-found"],
  ])("refuses %s and leaves no file", async (_, flags, expected, errorCode) => {
    const none = join(folder, "none.onnx");
    const before = readdirSync(folder);
    const { code, json } = await run(compress, model, "-o", none, ...flags);
    expect({ code, error: json.error?.code }).toEqual({ code: expected, error: errorCode });
    expect(existsSync(none)).toBe(false);
    expect(readdirSync(folder)).toEqual(before);
  });

  test("refuses to write over its input, and leaves it as it was", async () => {
    const bytes = readFileSync(model);
    const { code, json } = await run(compress, model, "-o", model, "--keep-params", "0.5");
    expect({ code, error: json.error.code }).toEqual({ code: 2, error: "usage" });
    expect(readFileSync(model).equals(bytes)).toBe(true);
  });

  test("refuses weights that are not numbers, naming the layer", async () => {
    const graph = oneConv({ outChannels: 8, inChannels: 8, kernel: [3, 3] });
    const broken = tensorOf("float32", [8, 8, 3, 3], new Float32Array(576).fill(Number.NaN));
    const file = join(folder, "nan.onnx");
    await saveModel({ ...graph, initializers: new Map([...graph.initializers, ["conv.weight", broken]]) }, file);
    const { code, json } = await run(compress, file, "-o", join(folder, "none.onnx"));
    expect(code).toBe(1);
    expect(json.error).toMatchObject({ code: "non-finite", layer: "conv" });
    rmSync(file);
  });
});
