// `compare --methods` with pictures alone: no method of the table needs labels, so each gives a finished row, or a
// reason that is in a list here.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import compare from "../src/cli/compare.js";
import type { MethodRow } from "../src/cli/method-rows.js";
import { GraphBuilder } from "../src/graph/builder.js";
import { initialiser } from "../src/graph/initialise.js";
import type { Graph } from "../src/graph/types.js";
import { methods } from "../src/methods/methods.js";
import { saveModel } from "../src/runtime/files.js";
import type { Recipe } from "../src/train/recipe.js";
import { type RunHooks, runTraining } from "../src/train/run.js";
import { describeEngine } from "./engine.js";
import { someImage, writePng } from "./images.js";

// A thread for each row would load libtorch and the program again, which takes most of the time here.
vi.mock("../src/train/worker-client.js", () => ({
  trainInWorker: (folder: string, recipe: Recipe | "resume", hooks: RunHooks) => runTraining(folder, recipe, hooks),
}));

let root: string;
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-pictures-"));
  process.env.FILTERBASIS_CACHE = join(root, "cache");
  for (let i = 0; i < 5; i++) await writePng(join(root, "pictures", `${i}.png`), someImage(40, 36, { seed: i }));
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

/** Two convolutions between one that makes channels and one that makes an image of them. */
function body(net: GraphBuilder, image: string, channels: number): { features: string; made: string } {
  const wide = { inChannels: 12, outChannels: 12 };
  let x = net.relu(net.conv(image, "first", { inChannels: channels, outChannels: 12 }), "first.relu");
  x = net.relu(net.conv(x, "second", wide), "second.relu");
  const features = net.relu(net.conv(x, "third", wide), "third.relu");
  return { features, made: net.conv(features, "last", { inChannels: 12, outChannels: channels }) };
}

/** As VDSR: luma in, luma out, of the same size, the image added to what is made of it. */
function sharpener(): Graph {
  const net = new GraphBuilder("sharpener", initialiser("kaiming", 1));
  const image = net.input("input", ["N", 1, "H", "W"]);
  return net.finish(net.add(body(net, image, 1).made, image, "sum"), ["N", 1, "H", "W"]);
}

/** As a detector: two outputs of other sizes, two images at once and no other number. */
function detector(): Graph {
  const net = new GraphBuilder("detector", initialiser("kaiming", 2));
  const { features, made } = body(net, net.input("input", [2, 3, 16, 16]), 3);
  const graph = net.finish(made, [2, 3, 16, 16]);
  return {
    ...graph,
    outputs: [...graph.outputs, { name: features, tensor: { type: "float32", dims: [2, 12, 16, 16] } }],
  };
}

interface Compared {
  readonly rows: readonly MethodRow[];
  readonly error?: { readonly code: string; readonly field?: string };
}

async function compared(graph: Graph, words: readonly string[]) {
  const file = join(root, `${graph.name}.onnx`);
  await saveModel(graph, file);
  let [stdout, stderr] = ["", ""];
  const out = join(root, `out-${graph.name}`);
  const common = ["--data", join(root, "pictures"), "--out", out, "--calibrate", "1", "--no-latency"];
  const code = await compare.run([file, ...common, "--threads", "1", "--train-threads", "1", "--json", ...words], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, out, json: JSON.parse(stdout) as Compared };
}

async function rowsOf(graph: Graph, words: readonly string[]) {
  const { code, stderr, out, json } = await compared(graph, words);
  expect(code, stderr).toBe(0);
  const recipe = (method: string) => JSON.parse(readFileSync(join(out, method, "run/recipe.json"), "utf8"));
  return { rows: new Map(json.rows.map((row) => [row.method, row])), recipe };
}

/** A row with all of its numbers: as the method left it, after calibration, after fine-tuning, and the file. */
function isFinished(row: MethodRow | undefined): void {
  expect([row?.method, row?.reason]).toEqual([row?.method, undefined]);
  for (const quality of [row?.compressed, row?.calibrated, row?.tuned])
    expect(Number.isFinite(quality?.loss.mean), row?.method).toBe(true);
  expect(existsSync(row!.file!)).toBe(true);
}

/** Methods that have nothing to do at the budget below, and why. */
const reasons: Readonly<Record<string, RegExp>> = {
  transition: /finds nothing to do: .* it is not a 1 x 1 convolution/,
  kmeans: /all multiply-accumulates stay/,
};

describeEngine("compare --methods with pictures alone", () => {
  test("gives every method of the table a finished row, or a reason that is known", async () => {
    const line = [
      "--methods",
      "all",
      "--keep-macs",
      "0.8",
      "--size",
      "16x16",
      "--scale",
      "2",
      "--range",
      "1",
      "--steps",
      "1",
    ];
    const { rows, recipe } = await rowsOf(sharpener(), line);
    expect([...rows.keys()]).toEqual(Object.keys(methods));
    for (const [name, row] of rows) {
      if (reasons[name] === undefined) isFinished(row);
      else expect(row.reason).toMatch(reasons[name]);
    }
    const lowResolution = { scale: 2, enlarge: true };
    expect(recipe("amc").data).toMatchObject({ channels: "luma", fit: "fill", lowResolution, range: 1 });
  }, 60_000); // a busy machine takes many times as long

  test("trains networks of several outputs and a fixed batch on what the original gives", async () => {
    const { rows, recipe } = await rowsOf(detector(), ["--methods", "svd,amc", "--keep-macs", "0.8", "--steps", "1"]);
    for (const row of rows.values()) isFinished(row);
    expect(recipe("svd").data).toMatchObject({ batch: 2, dropLast: true });
  });

  test("says of a budget that a method cannot meet what it can reach, and goes on", async () => {
    const graph = { ...sharpener(), name: "small-budget" };
    const line = ["--methods", "cp,slimming,group", "--keep-macs", "0.001", "--size", "16x16", "--steps", "0"];
    const { rows } = await rowsOf(graph, line);
    expect(rows.get("cp")!.reason).toMatch(/cannot be met: the least reachable is 0\.\d+/);
    expect(rows.get("slimming")!.reason).toMatch(/cannot keep the budget \(expected at least 0\.\d+/);
    expect(rows.get("group")!.reason).toMatch(/no size of the method keeps the budget \(.*got 0\.\d+/);
    for (const { compressed, file } of rows.values()) expect([compressed, file]).toEqual([undefined, undefined]);
  });

  test("refuses the folder of a comparison at another scale, and names the field", async () => {
    const graph = { ...sharpener(), name: "other-scale" };
    const line = ["--methods", "transition", "--keep-macs", "0.5", "--size", "12x12", "--steps", "0", "--scale"];
    await rowsOf(graph, [...line, "2"]);
    const { code, json } = await compared(graph, [...line, "3"]);
    expect([code, json.error?.code, json.error?.field]).toEqual([1, "data-mismatch", "images"]);
  });

  test("keeps the row of a method whose fine-tuning fails as it was calibrated, and says what may help", async () => {
    const line = ["--methods", "svd", "--keep-macs", "0.8", "--size", "16x16", "--lr", "1000", "--steps", "3"];
    const { rows } = await rowsOf({ ...sharpener(), name: "too-fast" }, line);
    const { calibrated, tuned, reason, file } = rows.get("svd")!;
    expect(reason).toMatch(/^not fine-tuned: .*; a lower --lr may help$/);
    expect([Number.isFinite(calibrated?.loss.mean), tuned, existsSync(file!)]).toEqual([true, undefined, true]);
  });
});
