// Files of another kind where a model, weights, an image, a recipe or a data set is expected: named for what they are,
// with what to do.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseModel } from "../src/cli/model-file.js";
import { findPairs } from "../src/data/sr-pairs.js";
import { loadImageData } from "../src/data/table.js";
import type { FilterBasisError } from "../src/errors/error.js";
import { writeModel } from "../src/formats/onnx/index.js";
import { resnet } from "../src/nets/resnet.js";
import { loadModel } from "../src/runtime/files.js";
import { readWeights } from "../src/runtime/weights.js";
import { loadRecipe } from "../src/train/recipe-files.js";

let folder: string;
const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16, 74, 70, 73, 70, 0);
const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
let onnx: Uint8Array;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-other-"));
  onnx = writeModel(resnet(8, { seed: 1 }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function refusal(reading: Promise<unknown>): Promise<FilterBasisError> {
  return await reading.then(
    () => {
      throw new Error("it was read");
    },
    (error: FilterBasisError) => error,
  );
}

describe("as a model", () => {
  test.each<[string, string, Uint8Array | string, RegExp, RegExp]>([
    ["a JPEG", "a.onnx", jpeg, /this is a JPEG image, not an ONNX model/, /give an ONNX file/],
    ["a TensorFlow Lite model", "a.tflite", "\x1c\0\0\0TFL3\0\0\0\0\0\0\0\0", /TensorFlow Lite/, /tf2onnx/],
    ["a failed download", "b.onnx", "<!DOCTYPE html>\n<html></html>", /web page/, /\/raw\//],
    ["a Git LFS pointer", "c.onnx", pointer, /Git LFS pointer/, /git lfs pull/],
    ["an empty file", "d.onnx", "", /empty file/, /again/],
    [
      "external weights",
      "e.onnx.data",
      Uint8Array.from({ length: 99 }, (_, at) => at * 151 + 231),
      /external weights/,
      /\.onnx file/,
    ],
  ])("%s is named, with the way to ONNX", async (_, name, content, says, cure) => {
    const path = file(name, content);
    const error = await refusal(loadModel(path));
    expect(error).toMatchObject({ code: "malformed", message: expect.stringMatching(says), place: { file: path } });
    expect(error.cures.join()).toMatch(cure);
  });

  test("a checkpoint larger than an ONNX file can be is named too, without being read", async () => {
    const path = file("large.gguf", "GGUF\x03\0\0\0");
    truncateSync(path, 3 * 2 ** 30); // a hole: it takes no room
    expect((await refusal(loadModel(path))).message).toMatch(/GGUF/);
  });

  test("an ONNX model that is cut off, or has bytes behind it, keeps the error that says where", async () => {
    const cut = await refusal(loadModel(file("cut.onnx", onnx.subarray(0, onnx.length >> 1))));
    const behind = await refusal(
      loadModel(file("behind.onnx", Buffer.concat([onnx, Buffer.from([0xff, 0xff, 0xff])]))),
    );
    for (const error of [cut, behind]) {
      expect(error.code).toBe("malformed");
      expect(error.message).toContain("byte");
      expect(error.message).not.toMatch(/, not an ONNX model/);
    }
  });

  test("a folder is named for what it is, or for the models in it", async () => {
    mkdirSync(join(folder, "saved"));
    mkdirSync(join(folder, "several"));
    mkdirSync(join(folder, "run"));
    file("saved/saved_model.pb", "");
    file("several/one.onnx", onnx);
    file("run/recipe.json", "{}");
    file("run/log.txt", "");
    expect(await refusal(chooseModel(join(folder, "saved")))).toMatchObject({
      code: "malformed",
      message: expect.stringMatching(/TensorFlow SavedModel, not an ONNX model/),
    });
    const several = await refusal(chooseModel(join(folder, "several")));
    expect(several).toMatchObject({
      code: "not-found",
      cures: [expect.stringContaining(join(folder, "several", "one.onnx"))],
    });
    const run = await refusal(chooseModel(join(folder, "run")));
    expect(run.cures).toEqual([`resume the run: filterbasis train ${join(folder, "run")} --resume`]);
  });

  test("a name that is nearly right gets the right one", async () => {
    file("mobilenet.onnx", onnx);
    const error = await refusal(chooseModel(join(folder, "mobilnet.onnx")));
    expect(error).toMatchObject({ code: "not-found", cures: [`did you mean ${join(folder, "mobilenet.onnx")}?`] });
  });
});

test("an ONNX model, an image or a pointer given as weights is named", async () => {
  for (const [content, says] of [
    [onnx, /this is an ONNX model, not a file of weights/],
    [jpeg, /JPEG image, not a file of weights/],
    [pointer, /Git LFS pointer/],
  ] as const) {
    const error = await refusal(readWeights(file("w.pt", content)));
    expect(error).toMatchObject({ code: "malformed", message: expect.stringMatching(says) });
    expect(error.cures).toHaveLength(1);
  }
});

test("a model or an image given as a recipe is named", async () => {
  const model = await refusal(loadRecipe(file("net.onnx", onnx)));
  expect(model.message).toMatch(/this is an ONNX model, not a recipe/);
  expect(model.cures.join()).toContain("network.file");
  expect((await refusal(loadRecipe(file("net.yaml", jpeg)))).message).toMatch(/JPEG image, not a recipe/);
  expect((await refusal(loadRecipe(file("recipe.txt", "name: x\n")))).message).toMatch(/named \.yaml, \.yml or \.json/);
  expect((await refusal(loadRecipe(folder))).cures.join()).toContain("--resume");
});

test("a file given as a data set or a folder of images is named", async () => {
  expect((await refusal(loadImageData(file("data.jpg", jpeg)))).message).toMatch(/the images have no labels/); // one image is data, without labels
  expect((await refusal(loadImageData(file("data.onnx", onnx)))).message).toMatch(/ONNX model, not a data set/);
  expect((await refusal(findPairs(file("one.jpg", jpeg), 2))).message).toMatch(/JPEG image, not a folder of images/);
});
