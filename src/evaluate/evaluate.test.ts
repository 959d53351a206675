// The commands evaluate and upscale on small models and data made here: metrics, JSON fields, refusals.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import evaluate from "../cli/evaluate.js";
import type { Command } from "../cli/frame.js";
import upscale from "../cli/upscale.js";
import { decodeImage } from "../data/codec.js";
import { float32Tensor, int64Tensor, makeNode } from "../graph/attributes.js";
import { withMetadata } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { edsr } from "../nets/edsr.js";
import { saveModel } from "../runtime/files.js";

let root: string;
const at = (name: string) => join(root, name);

/** Scores: the mean of red, and the mean of blue (or of `classes` channels). */
function redOrBlue(classes = 2): Graph {
  const weight = new Float32Array(classes * 3);
  weight.set([1, 0, 0, 0, 0, 1]);
  return {
    name: "red-or-blue",
    nodes: [
      makeNode("Conv", ["input", "weight"], ["scores"]),
      makeNode("GlobalAveragePool", ["scores"], ["means"]),
      makeNode("Reshape", ["means", "shape"], ["output"]),
    ],
    initializers: new Map([
      ["weight", float32Tensor([classes, 3, 1, 1], weight)],
      ["shape", int64Tensor([2], [0, -1])],
    ]),
    inputs: [{ name: "input", tensor: { type: "float32", dims: ["N", 3, "H", "W"] } }],
    outputs: [{ name: "output", tensor: { type: "float32", dims: ["N", classes] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const flat = (r: number, b: number) => {
  const data = new Uint8Array(3 * 30);
  data.fill(r, 0, 30);
  data.fill(b, 60, 90);
  return { width: 6, height: 5, channels: 3, data } as const;
};

async function run(
  command: Command,
  ...raw: string[]
): Promise<{ code: number; json: Record<string, unknown>; text: string; notes: string }> {
  let [text, notes] = ["", ""];
  const io = {
    stdout: { write: (part: string) => (text += part) },
    stderr: { write: (part: string) => (notes += part) },
    signal: new AbortController().signal,
  };
  const code = await command.run(raw, io);
  return { code, text, notes, json: raw.includes("--json") ? (JSON.parse(text) as Record<string, unknown>) : {} };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-evaluate-"));
  await saveModel(redOrBlue(), at("plain.onnx"));
  await saveModel(withMetadata(redOrBlue(), { "filterbasis.normalize": "none" }), at("told.onnx"));
  await saveModel(redOrBlue(3), at("three.onnx"));
  await saveModel({ ...redOrBlue(), inputs: [{ name: "input", tensor: { type: "float32" } }] }, at("rankless.onnx"));
  const four = { name: "input", tensor: { type: "float32", dims: [4, 3, "H", "W"] } } as const;
  await saveModel(
    { ...redOrBlue(), inputs: [four], outputs: [{ name: "output", tensor: { type: "float32" } }] },
    at("four.onnx"),
  );
  await saveModel(edsr({ scale: 2, blocks: 1, width: 4 }), at("sr.onnx"));
  for (const [i, [name, r, b]] of (
    [
      ["a-red", 200, 10],
      ["a-red", 90, 100],
      ["b-blue", 10, 200],
      ["b-blue", 0, 50],
    ] as const
  ).entries())
    await writePng(at(`classes/${name}/${i}.png`), flat(r, b));
  for (const seed of [1, 2]) await writePng(at(`pictures/${seed}.png`), someImage(33, 40, { seed }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("evaluate a classifier", () => {
  test("counts the wrong ones, beside another model, with costs and times", async () => {
    const { code, json } = await run(
      evaluate,
      at("plain.onnx"),
      "--data",
      at("classes"),
      "--normalize",
      "none",
      "--against",
      at("told.onnx"),
      "--threads",
      "1",
      "--json",
    );
    expect(code).toBe(0);
    expect(json).toMatchObject({
      top1Error: 25,
      wrong: 1,
      images: 4,
      weights: 6,
      parameters: 6,
      macs: 6 * 30,
      input: { input: [1, 3, 5, 6] },
      normalize: "none",
    });
    expect(json.bytes).toBeGreaterThan(100);
    expect(json.latencyMs).toBeGreaterThan(0);
    expect(json.against).toMatchObject({ top1Error: 25, images: 4 });
  });

  test("takes the normalisation from the model, and else asks for it", async () => {
    expect(
      (await run(evaluate, at("told.onnx"), "--data", at("classes"), "--no-latency", "--json")).json,
    ).toMatchObject({
      top1Error: 25,
    });
    const asked = await run(evaluate, at("plain.onnx"), "--data", at("classes"));
    expect([asked.code, asked.notes]).toEqual([2, expect.stringContaining("--normalize")]);
  });

  test("a model whose input has no rank is evaluated when it is stated, and it is asked for", async () => {
    const words = [at("rankless.onnx"), "--data", at("classes"), "--normalize", "none", "--no-latency", "--json"];
    const asked = (await run(evaluate, ...words)).json.error as { code: string; message: string };
    expect(asked).toMatchObject({ code: "shape-mismatch", message: expect.stringContaining("--input") });
    const { json } = await run(evaluate, ...words, "--input", "1x3x5x6");
    expect(json).toMatchObject({
      top1Error: 25,
      input: { input: [1, 3, 5, 6] },
      macs: 6 * 30,
      uncounted: [],
      guessed: false,
    });
  });

  test("a model of a fixed batch is counted and timed at it", async () => {
    const { json } = await run(evaluate, at("four.onnx"), "--data", at("classes"), "--normalize", "none", "--json");
    expect(json).toMatchObject({ top1Error: 25, input: { input: [4, 3, 5, 6] }, macs: 4 * 6 * 30 });
    expect(json.latencyMs).toBeGreaterThan(0);
  });

  test("classes that do not match the outputs are a typed error", async () => {
    const { code, json } = await run(
      evaluate,
      at("three.onnx"),
      "--data",
      at("classes"),
      "--normalize",
      "none",
      "--json",
    );
    expect(code).toBe(1);
    expect(json.error).toMatchObject({ code: "data-mismatch", expected: "an output [4, 2]", got: "[4, 3]" });
  });

  test("scores over one pixel are scores, not an image", async () => {
    const [conv, pool] = redOrBlue().nodes;
    const outputs = [{ name: "means", tensor: { type: "float32", dims: ["N", 2, 1, 1] } }] as const;
    await saveModel({ ...redOrBlue(), nodes: [conv!, pool!], outputs }, at("pixel.onnx"));
    const { json } = await run(
      evaluate,
      at("pixel.onnx"),
      "--data",
      at("classes"),
      "--normalize",
      "none",
      "--no-latency",
      "--json",
    );
    expect(json).toMatchObject({ top1Error: 25, images: 4 });
  });

  test("options of the other kind of network are refused, not ignored", async () => {
    const classifier = await run(evaluate, at("told.onnx"), "--data", at("classes"), "--shave", "3", "--json");
    expect([classifier.code, classifier.json.error]).toEqual([2, expect.objectContaining({ code: "usage" })]);
    expect(classifier.notes).toContain("--shave is for super-resolution");
    const images = await run(evaluate, at("sr.onnx"), "--data", at("pictures"), "--normalize", "none");
    expect([images.code, images.notes]).toEqual([2, expect.stringContaining("--normalize is for classifiers")]);
    const both = await run(
      evaluate,
      at("nothing.onnx"),
      "--data",
      at("nothing"),
      "--normalize",
      "none",
      "--scale",
      "2",
    );
    expect(both.notes).toContain("--normalize and --scale exclude each other"); // before anything is looked for
  });

  test("data that is not there is told before the model is read", async () => {
    await writeFile(at("broken.onnx"), "broken");
    const { code, json } = await run(evaluate, at("broken.onnx"), "--data", "cifr10", "--json");
    expect([code, json.error]).toEqual([1, expect.objectContaining({ code: "not-found", file: "cifr10" })]);
    expect((json.error as { message: string }).message).toContain("did you mean cifar10?");
  });

  test("people get a table", async () => {
    const { text } = await run(evaluate, at("told.onnx"), "--data", at("classes"), "--no-latency");
    expect(text).toContain("top-1 error %");
    expect(text).toContain("25.00");
  });
});

describe("evaluate a super-resolution network", () => {
  test("PSNR and SSIM by image and in the mean, with bicubic beside", async () => {
    const { code, json, notes } = await run(
      evaluate,
      at("sr.onnx"),
      "--data",
      at("pictures"),
      "--threads",
      "1",
      "--no-latency",
      "--json",
    );
    expect(code).toBe(0);
    const images = json.perImage as { name: string; psnr: number; bicubic: { psnr: number } }[];
    expect(images.map(({ name }) => name)).toEqual(["1", "2"]);
    expect(json.psnr).toBeCloseTo((images[0]!.psnr + images[1]!.psnr) / 2, 10);
    expect((json.bicubic as { psnr: number }).psnr).toBeGreaterThan(20);
    expect(json).toMatchObject({ images: 2, scale: 2, guessed: true, input: { input: [1, 3, 64, 64] } });
    expect(notes).toContain("sizes: input = 1x3x64x64 (free in the model; state others with --input)");
    expect(json).not.toHaveProperty("latencyMs");
  });

  test("another scale, and data that is not there, are refused", async () => {
    expect(
      (await run(evaluate, at("sr.onnx"), "--data", at("pictures"), "--scale", "3", "--json")).json.error,
    ).toMatchObject({
      code: "data-mismatch",
      expected: "3",
      got: "2",
    });
    expect((await run(evaluate, at("sr.onnx"), "--data", at("nothing"), "--json")).json.error).toMatchObject({
      code: "not-found",
    });
    expect((await run(evaluate, at("sr.onnx"), "--data", at("pictures"), "--scale", "two")).code).toBe(2);
  });

  test("a network that takes one size only says so, and what does take it", async () => {
    const free = edsr({ scale: 2, blocks: 1, width: 4 });
    const [input] = free.inputs;
    const inputs = [{ ...input!, tensor: { type: "float32", dims: [1, 3, 24, 24] } }] as const;
    await saveModel({ ...free, inputs }, at("fixed.onnx"));
    const { code, json } = await run(evaluate, at("fixed.onnx"), "--data", at("pictures"), "--json");
    expect(code).toBe(1);
    expect(json.error).toMatchObject({ code: "data-mismatch", expected: "24 x 24", got: "20 x 16" });
    expect(JSON.stringify(json.error)).toContain("filterbasis upscale");
  });

  test("self-ensemble, the authors' quarters and RGB are options", async () => {
    const psnr = async (...options: string[]) =>
      (
        await run(
          evaluate,
          at("sr.onnx"),
          "--data",
          at("pictures"),
          "--limit",
          "1",
          "--no-latency",
          "--json",
          ...options,
        )
      ).json.psnr;
    const plain = await psnr();
    expect(await psnr("--inference", "ensemble")).not.toBe(plain);
    expect(await psnr("--measure", "rgb")).not.toBe(plain);
    // Quarters of so small an image, with their overlap, see all that this network looks at.
    expect(await psnr("--inference", "chop")).toBeCloseTo(plain as number, 6);
  });
});

describe("upscale", () => {
  test("writes an image of scale times the size", async () => {
    const { code, json } = await run(
      upscale,
      at("sr.onnx"),
      at("pictures/1.png"),
      "-o",
      at("out.png"),
      "--tile",
      "16",
      "--json",
    );
    expect(code).toBe(0);
    expect(json).toMatchObject({ from: [33, 40], to: [66, 80], scale: 2, tiles: 9, exact: true });
    const made = await decodeImage(at("out.png"));
    expect([made.width, made.height, made.channels]).toEqual([66, 80, 3]);
  });

  test("what the format of the result cannot hold is told before the work", async () => {
    await writePng(at("wide.png"), someImage(8200, 8));
    const { json, notes } = await run(upscale, at("sr.onnx"), at("wide.png"), "-o", at("wide.webp"), "--json");
    expect(json.error).toMatchObject({ code: "too-large", expected: "at most 16383 pixels a side", got: "16400 x 16" });
    expect(notes).not.toContain("tiles");
    await rm(at("wide.png"));
  });

  test("bad input leaves no output", async () => {
    await writeFile(at("empty.png"), "");
    const before = (await readdir(root)).length;
    const fails = async (code: string, ...raw: string[]) =>
      expect((await run(upscale, ...raw, "--json")).json.error).toMatchObject({ code });
    await fails("malformed", at("sr.onnx"), at("empty.png"), "-o", at("no.png"));
    await fails("usage", at("sr.onnx"), at("pictures/1.png"), "-o", at("no.bmp"));
    await fails("data-mismatch", at("sr.onnx"), at("pictures/1.png"), "-o", at("no.png"), "--scale", "4");
    await fails("data-mismatch", at("plain.onnx"), at("pictures/1.png"), "-o", at("no.png"));
    await writePng(at("alpha.png"), { ...someImage(20, 20), alpha: new Uint8Array(400) });
    await fails("unsupported", at("sr.onnx"), at("alpha.png"), "-o", at("no.jpg"));
    await fails("not-found", at("none.onnx"), at("pictures/1.png"), "-o", at("no.png"));
    expect((await readdir(root)).length).toBe(before + 1); // alpha.png
  });
});
