// Images as inputs: values exactly as networks expect them, in every order of channels; unusable files are named and
// skipped.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { type Image, luma } from "./image.js";
import { imageCandidate } from "./image-files.js";
import { normalizations, normalizationTable } from "./image-set.js";
import { type InputOptions, inputsOf } from "./inputs.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-inputs-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const image = someImage(6, 4, { seed: 3 });
const inMemory = (...images: readonly Image[]) =>
  images.map((one, i) => ({ file: `image ${i}`, load: async () => one }));
const valuesOf = async (options: InputOptions, ...images: readonly Image[]) =>
  (await (await inputsOf("images", inMemory(...(images.length > 0 ? images : [image])), options)).batch(0, 0)).input;

describe("values", () => {
  test("are normalised as the training's own batches are", async () => {
    const table = normalizationTable(normalizations.imagenet);
    const expected = Float32Array.from(image.data, (value, i) => table[Math.floor(i / 24) as 0 | 1 | 2][value]!);
    expect(await valuesOf({ normalize: "imagenet" })).toEqual(expected);
    expect(await valuesOf({})).toEqual(Float32Array.from(image.data, (value) => value / 255));
  });

  test("of range 255 are the stored ones, and normalisation is scaled with them", async () => {
    expect(await valuesOf({ range: 255 })).toEqual(Float32Array.from(image.data));
    const [plain, scaled] = [
      await valuesOf({ normalize: "0.5/0.25" }),
      await valuesOf({ normalize: "0.5/0.25", range: 255 }),
    ];
    expect(Math.max(...scaled.map((value, i) => Math.abs(value - 255 * plain[i]!)))).toBeLessThan(1e-4); // float32 at up to 510
  });

  test("are blue first for bgr, each colour with its own mean", async () => {
    const [rgb, bgr] = [
      await valuesOf({ normalize: "imagenet" }),
      await valuesOf({ normalize: "imagenet", channels: "bgr" }),
    ];
    expect(bgr).toEqual(Float32Array.of(...rgb.slice(48), ...rgb.slice(24, 48), ...rgb.slice(0, 24)));
  });

  test("are the luma of super-resolution for one channel, which takes one mean", async () => {
    const expected = Float32Array.from(luma(image));
    expect(
      Math.max(...(await valuesOf({ channels: "luma", range: 255 })).map((value, i) => Math.abs(value - expected[i]!))),
    ).toBeLessThan(
      1e-4, // luma() rounds to float32 first
    );
    await expect(valuesOf({ channels: "luma", normalize: "imagenet" })).rejects.toMatchObject({ code: "usage" });
    expect(
      (await valuesOf({ channels: "luma", normalize: "0.5/0.5" })).every((value) => value >= -1 && value <= 1),
    ).toBe(true);
  });

  test("of a grey image are three equal channels", async () => {
    const grey = someImage(6, 4, { channels: 1 });
    const values = await valuesOf({}, grey);
    expect(values.slice(0, 24)).toEqual(values.slice(48));
  });
});

describe("sizes", () => {
  test("that differ need one to be asked for", async () => {
    await expect(valuesOf({}, image, someImage(4, 6))).rejects.toMatchObject({
      code: "data-mismatch",
      place: { file: "image 1" },
      cures: [expect.stringContaining("--size")],
    });
  });

  test("are reached by stretching, by bars or by cutting", async () => {
    const white: Image = { width: 40, height: 20, channels: 3, data: new Uint8Array(3 * 800).fill(255) };
    const path = join(root, "white.png");
    await writePng(path, white);
    const size = { width: 10, height: 10 };
    const row = async (fit: "fill" | "contain" | "cover") => {
      const inputs = await inputsOf("white", [imageCandidate(path)], { size, fit });
      const { input, inputDims } = await inputs.batch(0, 0);
      expect(inputDims).toEqual([1, 3, 10, 10]);
      return [input[5], input[55], input[95]];
    };
    expect(await row("fill")).toEqual([1, 1, 1]);
    expect(await row("cover")).toEqual([1, 1, 1]);
    expect(await row("contain")).toEqual([0, 1, 0]);
  });
});

describe("files that cannot be used", () => {
  const good = ["a.png", "c.png", "e.png"];
  const put = async () => {
    for (const [seed, name] of good.entries()) await writePng(join(root, name), someImage(6, 4, { seed }));
    await writeFile(join(root, "b.png"), "not an image");
    await writeFile(join(root, "d.jpg"), (await readFile(join(root, "a.png"))).subarray(0, 60));
    return ["a.png", "b.png", "c.png", "d.jpg", "e.png"].map((name) => imageCandidate(join(root, name)));
  };

  test("are named and skipped; the others make the batches", async () => {
    const notes: string[] = [];
    const inputs = await inputsOf("folder", await put(), { note: (text) => notes.push(text) });
    expect(inputs.count).toBe(3);
    expect(inputs.skipped.map(({ file }) => file)).toEqual([join(root, "b.png"), join(root, "d.jpg")]);
    expect(inputs.skipped.map(({ reason }) => reason)).toEqual([
      expect.stringContaining("not a PNG, JPEG or WebP image"),
      expect.stringContaining("damaged"),
    ]);
    expect(notes).toEqual([expect.stringContaining("b.png: this is a text file"), expect.stringContaining("d.jpg")]);
  });

  test("do not count towards the limit", async () => {
    const inputs = await inputsOf("folder", await put(), { limit: 2 });
    expect([inputs.count, inputs.skipped.length]).toEqual([2, 1]);
  });

  test("are an error where there are no others, and many are not named one by one", async () => {
    const [, bad] = await put();
    const notes: string[] = [];
    const many = Array.from({ length: 30 }, () => bad!);
    await expect(inputsOf("folder", many, { note: (text) => notes.push(text) })).rejects.toMatchObject({
      code: "not-found",
      got: expect.stringContaining("b.png"),
    });
    expect(notes).toHaveLength(11);
    await expect(inputsOf("folder", [])).rejects.toMatchObject({ code: "not-found", got: "none at all" });
  });

  test("an abort, and a fault of ours, are no files that cannot be used", async () => {
    const signal = AbortSignal.abort();
    await expect(inputsOf("folder", await put(), { signal })).rejects.toMatchObject({ code: "interrupted" });
    const broken = [{ file: "x", load: () => Promise.reject(new TypeError("a bug")) }];
    await expect(inputsOf("folder", broken)).rejects.toThrow(TypeError);
  });
});
