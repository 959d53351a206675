// What data says is right: images are degraded for super-resolution networks and are then the truth, folders are
// classes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import compare from "../src/cli/compare.js";
import evaluate from "../src/cli/evaluate.js";
import type { Command } from "../src/cli/frame.js";
import { imresize } from "../src/data/imresize.js";
import { openData } from "../src/data/table.js";
import { compareOnData } from "../src/evaluate/compare-on-data.js";
import { modelFeeds } from "../src/evaluate/model-feeds.js";
import { int, makeNode, string } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { saveModel } from "../src/runtime/files.js";
import { findInputs } from "../src/runtime/index.js";
import { someImage, writePng } from "./images.js";
import { smallGraph } from "./small-graphs.js";

let folder: string;
const at = (name: string) => join(folder, name);
const sizes = [
  [40, 32],
  [32, 44],
  [48, 48],
] as const;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-truths-"));
  for (const [i, [width, height]] of sizes.entries()) {
    await writePng(at(`images/${i}.png`), someImage(width, height, { seed: i }));
    await writePng(at(`classes/c${i}/a.png`), someImage(8, 8, { seed: i }));
  }
  await saveModel(doubling(1), at("double.onnx"));
  await saveModel(doubling(0.9), at("darker.onnx"));
  await saveModel(classifier(1), at("classifier.onnx"));
  await saveModel(classifier(-1), at("reversed.onnx"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Twice as large by interpolation, and as bright as `gain` says. */
function doubling(gain: number, batch = 1): Graph {
  const how = { mode: string("linear"), coordinate_transformation_mode: string("half_pixel") };
  return smallGraph({
    nodes: [makeNode("Resize", ["x", "", "scales"], ["large"], how), makeNode("Mul", ["large", "gain"], ["y"])],
    initializers: { scales: tensorOf("float32", [4], [1, 1, 2, 2]), gain: tensorOf("float32", [], [gain]) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [batch, 3, "H", "W"] } }],
    outputs: ["y"],
  });
}

/** Three scores out of the means of the colours. */
function classifier(sign: number): Graph {
  return smallGraph({
    nodes: [
      makeNode("GlobalAveragePool", ["x"], ["means"]),
      makeNode("Flatten", ["means"], ["flat"], { axis: int(1) }),
      makeNode("Mul", ["flat", "sign"], ["y"]),
    ],
    initializers: { sign: tensorOf("float32", [], [sign]) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 8, 8] } }],
    outputs: ["y"],
  });
}

async function ask(command: Command, line: readonly string[]) {
  let [stdout, stderr] = ["", ""];
  const code = await command.run([...line, "--no-latency", "--json"], {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, stderr, json: JSON.parse(stdout) };
}

describe("a super-resolution network", () => {
  test("gets its images degraded, and loses decibels to what they were before", async () => {
    const { json, stderr } = await ask(compare, [at("double.onnx"), at("darker.onnx"), "--data", at("images")]);
    expect(stderr).toMatch(/scale 2.*guessed/);
    expect(json.loss).toMatchObject({ output: "y", kind: "decibels" });
    const { original, other, lost } = json.outputs[0].psnrToTruth;
    expect(lost.mean).toBeCloseTo(original.mean - other.mean, 6);
    expect(lost.mean).toBeGreaterThan(3);
    const stated = await ask(compare, [
      at("double.onnx"),
      at("darker.onnx"),
      "--data",
      at("images"),
      "--loss",
      "relative",
    ]);
    expect(stated.json.loss).toMatchObject({ kind: "relative", mean: expect.closeTo(0.1, 5) });
  });

  test("is measured as `evaluate` measures it", async () => {
    const files = [at("double.onnx"), "--data", at("images/2.png"), "--scale", "2"];
    const own = await ask(compare, [at("double.onnx"), ...files, "--size", "24x24"]);
    const { json } = await ask(evaluate, files);
    expect(own.json.outputs[0].psnrToTruth.original.mean, own.stderr).toBeCloseTo(json.psnr, 3);
    expect(own.json.outputs[0].ssimToTruth.original.mean).toBeCloseTo(json.ssim, 4);
  });

  test("refuses a scale that it has not, and data that has no images for it", async () => {
    const models = [at("double.onnx"), at("double.onnx")];
    expect((await ask(compare, [...models, "--data", at("images"), "--scale", "3"])).json.error).toMatchObject({
      code: "data-mismatch",
      got: "2",
    });
    const none = await ask(compare, [
      at("classifier.onnx"),
      at("classifier.onnx"),
      "--data",
      at("images"),
      "--scale",
      "2",
    ]);
    expect(none.json.error.code).toBe("data-mismatch");
  });

  test("of a fixed batch gets as many at a time, each beside its own truth", async () => {
    const [graph, darker] = [doubling(1, 2), doubling(0.9, 2)];
    const data = await openData(at("images"));
    const feeds = await modelFeeds(graph, data, await findInputs(graph));
    expect([feeds.how.scale, feeds.each, feeds.count]).toEqual([2, 2, 1]);
    const pairs = await compareOnData(graph, darker, feeds);
    const alone = await modelFeeds(doubling(1), data, await findInputs(doubling(1)));
    const singly = await compareOnData(doubling(1), doubling(0.9), alone.part(0, 2));
    expect(pairs).toMatchObject({ inputs: 2, loss: { kind: "decibels" } });
    expect(pairs.loss.mean).toBeCloseTo(singly.loss.mean, 5);
  });

  test("that adds to the image is asked whether it sharpens enlarged ones", async () => {
    const notes = async (node: Graph["nodes"][number], scale?: number) => {
      const graph = smallGraph({
        nodes: [makeNode("Neg", ["x"], ["negative"]), node],
        initializers: {},
        inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 1, 16, 16] } }],
        outputs: ["y"],
      });
      const said: string[] = [];
      const options = { note: (text: string) => said.push(text), ...(scale && { scale }) };
      await modelFeeds(graph, await openData(at("images")), await findInputs(graph), options);
      return said.filter((text) => text.includes("--scale 2"));
    };
    expect(await notes(makeNode("Add", ["negative", "x"], ["y"]))).toHaveLength(1);
    expect(await notes(makeNode("Add", ["negative", "x"], ["y"]), 2)).toHaveLength(0);
    expect(await notes(makeNode("Add", ["negative", "negative"], ["y"]))).toHaveLength(0);
  });

  test("that only sharpens gets them enlarged again, cut from the middle", async () => {
    const same = smallGraph({
      nodes: [makeNode("Identity", ["x"], ["y"])],
      initializers: {},
      inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 1, "H", "W"] } }],
      outputs: ["y"],
    });
    const feeds = await modelFeeds(same, await openData(at("images")), await findInputs(same), { scale: 2, seed: 1 });
    expect(feeds.how).toMatchObject({ scale: 2, channels: "luma", size: { width: 32, height: 32 } });
    expect(feeds.dims).toEqual([1, 32, 32]);
    for (let i = 0; i < feeds.count; i++) {
      const truth = await feeds.truth!(i);
      if (truth.kind !== "image") throw new Error("an image");
      expect([truth.image.width, truth.image.height]).toEqual([32, 32]);
      const low = imresize(truth.image, 0.5);
      const x = numbers((await feeds.at(i, 1)).x!);
      const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
      const [r, g, b] = [0, 1, 2].map((c) => mean(low.data.subarray(c * 256, (c + 1) * 256)));
      expect(255 * mean(x)).toBeCloseTo(16 + (65.738 * r! + 129.057 * g! + 25.064 * b!) / 256, 0);
    }
  });
});

test("folders of as many classes as the network has are labels, others are not", async () => {
  const models = [at("classifier.onnx"), at("reversed.onnx")];
  const { json, stderr } = await ask(compare, [...models, "--data", at("classes")]);
  expect(json.outputs[0].top1Error, stderr).toMatchObject({ original: expect.any(Number), other: expect.any(Number) });
  expect(json.loss.kind).toBe("classes");
  rmSync(at("classes/c2"), { recursive: true });
  expect((await ask(compare, [...models, "--data", at("classes")])).json.outputs[0].top1Error).toBeNull();
});

test("an output without an axis for the batch is one of each image", async () => {
  const picture = smallGraph({
    nodes: [makeNode("Squeeze", ["x", "first"], ["y"])],
    initializers: { first: tensorOf("int64", [1], [0]) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 32, 32] } }],
    outputs: ["y"],
  });
  const feeds = await modelFeeds(picture, await openData(at("images")), await findInputs(picture));
  const { outputs, inputs } = await compareOnData(picture, picture, feeds);
  expect(outputs[0]).toMatchObject({ inputs, kind: "relative" }); // not three planes of each, which would be masks
});
