// Folders of images without labels, whole and in two parts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { openData } from "./table.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-image-folder-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const write = async (...names: readonly string[]): Promise<void> => {
  for (const [seed, name] of names.entries()) await writePng(join(root, name), someImage(12, 8, { seed }));
};

test("train and test of images without classes are two parts of one folder of images", async () => {
  await write("parted/train/a.png", "parted/train/b.png", "parted/train/c.png", "parted/test/d.png");
  const data = await openData(join(root, "parted"));
  expect(data.labelled).toBeUndefined();
  const counts = [{}, { part: "train" }, { part: "test" }, { part: "test", scale: 2 }] as const;
  const found = await Promise.all(counts.map(async (options) => (await data.inputs(options)).count));
  expect(found).toEqual([3, 3, 1, 1]);
});

test("one part alone is all that there is", async () => {
  await write("only/test/d.png");
  const data = await openData(join(root, "only"));
  expect((await data.inputs()).count).toBe(1);
});

test("classes below train and test stay classes", async () => {
  await write("classes/train/ant/a.png", "classes/test/ant/b.png");
  expect((await openData(join(root, "classes"))).labelled).toBeDefined();
});
