// The layouts of the field's sets are recognised; images that do not belong together are refused by name.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { cropToMultiple } from "./image.js";
import { imresize } from "./imresize.js";
import { loadPair } from "./load-pair.js";
import { findPairs } from "./sr-pairs.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-pairs-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const put = (path: string, width: number, height = width) => writePng(join(root, path), someImage(width, height));

test("SelfExSR: HR and LR side by side, by scale", async () => {
  await put("image_SRF_2/img_001_SRF_2_HR.png", 16);
  await put("image_SRF_2/img_001_SRF_2_LR.png", 8);
  await put("image_SRF_2/img_001_SRF_2_bicubic.png", 16);
  const { layout, pairs } = await findPairs(root, 2);
  expect([layout, pairs.map(({ name }) => name)]).toEqual(["SelfExSR", ["img_001_SRF_2"]]);
  const { hr, lr } = await loadPair(pairs[0]!, 2);
  expect([hr.width, lr.width]).toEqual([16, 8]);
  await expect(findPairs(root, 3)).rejects.toMatchObject({ code: "not-found", got: "image_SRF_2" });
  await rm(join(root, "image_SRF_2/img_001_SRF_2_LR.png"));
  await expect(findPairs(root, 2)).rejects.toMatchObject({
    code: "not-found",
    place: { file: expect.stringContaining("_LR.png") },
  });
});

test("DIV2K: train or valid; LR made here where there is no LR folder", async () => {
  await put("DIV2K_train_HR/0001.png", 16);
  await put("DIV2K_train_LR_bicubic/X2/0001x2.png", 8);
  await put("DIV2K_valid_HR/0801.png", 17);
  expect((await findPairs(root, 2)).pairs[0]?.lr).toMatch(/0001x2\.png$/);
  const valid = await findPairs(root, 2, { split: "valid" });
  expect(valid.layout).toBe("DIV2K, LR made here");
  const { hr, lr } = await loadPair(valid.pairs[0]!, 2);
  expect([hr.width, lr.width]).toEqual([16, 8]);
});

test("a plain folder: HR cut to a multiple of the scale, LR by MATLAB's bicubic", async () => {
  await put("b.png", 13, 11);
  await put("a.png", 12, 9);
  await writeFile(join(root, "notes.txt"), "x");
  await mkdir(join(root, "sub"));
  const { pairs } = await findPairs(root, 3);
  expect(pairs.map(({ name }) => name)).toEqual(["a", "b"]);
  const { hr, lr } = await loadPair(pairs[1]!, 3);
  const cut = cropToMultiple(someImage(13, 11), 3);
  expect(hr).toEqual(cut);
  expect(lr).toEqual(imresize(cut, 1 / 3));
});

test("HR and LR whose sizes do not belong together, too small images, and folders without images", async () => {
  await put("HR/a.png", 16);
  await put("LR_bicubic/X2/ax2.png", 7);
  const { pairs } = await findPairs(root, 2);
  await expect(loadPair(pairs[0]!, 2)).rejects.toMatchObject({
    code: "data-mismatch",
    place: { file: expect.stringContaining("ax2.png") },
    expected: "8 x 8",
    got: "7 x 7",
  });
  await put("LR_bicubic/X2/ax2.png", 9);
  await expect(loadPair(pairs[0]!, 2)).rejects.toMatchObject({ code: "data-mismatch" });
  await put("HR/b.png", 16);
  await expect(findPairs(root, 2)).rejects.toMatchObject({
    code: "not-found",
    place: { file: expect.stringContaining("bx2.png") },
  });
  await mkdir(join(root, "empty"));
  await expect(findPairs(join(root, "empty"), 2)).rejects.toMatchObject({ code: "not-found" });
  await expect(findPairs(join(root, "none"), 2)).rejects.toMatchObject({ code: "not-found" });
  await put("tiny/a.png", 2);
  await expect(loadPair((await findPairs(join(root, "tiny"), 4)).pairs[0]!, 4)).rejects.toMatchObject({
    code: "data-mismatch",
  });
});
