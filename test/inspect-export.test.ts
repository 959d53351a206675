// The commands `inspect` and `export`, run as the program runs them.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import exporting from "../src/cli/export.js";
import type { Command } from "../src/cli/frame.js";
import inspect from "../src/cli/inspect.js";
import { indexOf } from "../src/graph/index.js";
import { basis } from "../src/methods/basis.js";
import { resnet } from "../src/nets/resnet.js";
import { cost } from "../src/ops/index.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { noShared, shared } from "./shared.js";

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-"));
  model = join(folder, "resnet8.onnx");
  await saveModel(resnet(8, { seed: 4 }), model);
});
afterAll(() => rm(folder, { recursive: true }));

/** What a command prints and how it ends. */
async function run(command: Command, ...words: string[]) {
  const text = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof text) => ({
    isTTY: false,
    columns: 80,
    write: (part: string) => void (text[name] += part),
  });
  const code = await command.run(words, {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    signal: new AbortController().signal,
  } as never);
  return { code, ...text, json: () => JSON.parse(text.stdout) };
}

describe("inspect", () => {
  it("lists every node with its output's shape, weights and MACs, and the totals of cost()", async () => {
    const { code, json } = await run(inspect, model, "--json", "--input", "2x3x32x32");
    expect(code).toBe(0);
    const report = json();
    const graph = await loadModel(model);
    const counted = cost(graph, new Map([["input", [2, 3, 32, 32]]]));
    expect(report).toMatchObject({
      weights: counted.weights,
      parameters: counted.parameters,
      macs: counted.macs,
      countedAt: { input: [2, 3, 32, 32] },
    });
    expect(report.bytes).toBe((await readFile(model)).length);
    expect(report.layers.map(({ op }: { op: string }) => op)).toEqual(graph.nodes.map((node) => node.op));
    const first = report.layers.find(({ op }: { op: string }) => op === "Conv");
    expect(first).toMatchObject({ weights: 432, macs: 2 * 1024 * 432, replaceable: true });
    expect(first.outputs[0]).toMatchObject({ type: "float32", shape: [2, 16, 32, 32] });
    const last = report.layers.find(({ op }: { op: string }) => op === "Gemm");
    expect(last).toMatchObject({ replaceable: false, reason: "it is a fully connected layer, not a convolution" });
    expect(report.skipped).toEqual([{ name: last.name, reason: last.reason }]);
  });

  it("prints a table for people, with the reasons for what cannot be compressed", async () => {
    const { stdout } = await run(inspect, model);
    expect(stdout).toMatch(/in {3}input f32\[N, 3, 32, 32\]/);
    expect(stdout).toMatch(/a basis can replace 7 of 7 convolutions/);
    expect(stdout).toMatch(/not \S+: it is a fully connected layer, not a convolution/);
  });

  it("shows what was done to a compressed model", async () => {
    const compressed = join(folder, "compressed.onnx");
    await saveModel(basis({ splits: 2, basis: 8 })(await loadModel(model)).graph, compressed);
    const { json } = await run(inspect, compressed, "--json");
    expect(json().compression.layers[1]).toMatchObject({ splits: 2, basisSize: 8 });
    expect((await run(inspect, compressed)).stdout).toMatch(
      /compressed with method basis:\nlayer +filters +splits +basis +layout/,
    );
  });

  it("answers mistakes with typed errors", async () => {
    expect((await run(inspect, join(folder, "none.onnx"))).code).toBe(1);
    const wrong = await run(inspect, model, "--input", "1x3x224x224", "--json");
    expect([wrong.code, wrong.json().error.code]).toEqual([1, "shape-mismatch"]);
    expect((await run(inspect, model, "--input", "1x3x32")).code).toBe(1);
    expect((await run(inspect, model, "--input", "1,3,32,32")).code).toBe(2);
    expect((await run(inspect, model, "--input", "other=1x3x32x32")).code).toBe(2);
    expect((await run(inspect)).code).toBe(2);
  });
});

describe("export", () => {
  const target = () => join(folder, "out.onnx");

  it("changes nothing without flags, to the byte", async () => {
    expect((await run(exporting, model, "--threads", "1", "-o", target())).code).toBe(0);
    expect((await readFile(target())).equals(await readFile(model))).toBe(true);
  });

  it("folds normalisation and verifies the result", async () => {
    const { code, json } = await run(exporting, model, "--threads", "1", "-o", target(), "--fold-bn", "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({ verified: true, skipped: [] });
    expect(json().maxDifference).toBeLessThan(1e-4);
    const graph = await loadModel(target());
    expect(graph.nodes.map((node) => node.op)).not.toContain("BatchNormalization");
  });

  it("stores weights in half precision, computed in float32, and states what the rounding does", async () => {
    const { code, json } = await run(
      exporting,
      model,
      "--threads",
      "1",
      "-o",
      target(),
      "--fp16",
      "--fold-bn",
      "--json",
    );
    expect(code).toBe(0);
    expect(json().maxDifference).toBeLessThan(1e-4);
    expect(json().change).toBeLessThan(0.05);
    const [before, after] = [await loadModel(model), await loadModel(target())];
    expect(cost(after).weights).toBe(cost(before).weights);
    expect((await readFile(target())).length).toBeLessThan(0.6 * (await readFile(model)).length);
    const conv = after.nodes.find((node) => node.op === "Conv")!;
    expect(indexOf(after).constant(conv.inputs[1]!)).toBe(undefined); // a Cast stands between
    expect([...after.initializers.values()].some((tensor) => tensor.type === "float16")).toBe(true);
  });

  it("keeps a compressed model's record usable", async () => {
    const compressed = join(folder, "compressed.onnx");
    await saveModel(basis({ splits: 2, basis: 8 })(await loadModel(model)).graph, compressed);
    expect((await run(exporting, compressed, "--threads", "1", "-o", target(), "--fp16", "--fold-bn")).code).toBe(0);
    const { code, json } = await run(inspect, target(), "--json");
    expect(code).toBe(0);
    expect(json().compression.layers).toHaveLength(7);
    expect(
      json().skipped.filter(({ reason }: { reason: string }) => reason.startsWith("it is compressed already")),
    ).toHaveLength(7);
  });

  it("refuses to write over its input, and leaves nothing behind when it fails", async () => {
    expect((await run(exporting, model, "-o", model)).code).toBe(2);
    const broken = join(folder, "broken.onnx");
    await writeFile(broken, (await readFile(model)).subarray(0, 5000));
    const before = await readdir(folder);
    expect((await run(exporting, broken, "-o", join(folder, "never.onnx"))).code).toBe(1);
    expect((await run(exporting, model, "-o", join(folder, "no", "such", "folder.onnx"))).code).toBe(1);
    expect(await readdir(folder)).toEqual(before);
  });

  it.skipIf(!shared("data/models"))(
    `handles networks that others exported${shared("data/models") ? "" : ` (${noShared})`}`,
    async () => {
      for (const name of ["version-RFB-320", "rfdn_x4"]) {
        const { code, json } = await run(
          exporting,
          shared(`data/models/${name}.onnx`)!,
          "-o",
          target(),
          "--fp16",
          "--fold-bn",
          "--json",
          "--threads",
          "1",
        );
        expect([name, code, json().verified]).toEqual([name, 0, true]);
      }
    },
  );
});
