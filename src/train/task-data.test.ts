// How a training evaluates super-resolution: on the first test images asked for, and on eight turned versions where
// asked.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { edsr } from "../nets/edsr.js";
import { openSession, type Session } from "../runtime/index.js";
import { parseRecipe } from "./recipe.js";
import { openTaskData } from "./task-data.js";

let root: string;
let session: Session;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-evaluate-"));
  for (let i = 0; i < 3; i++) await writePng(join(root, `p${i}.png`), someImage(40 + 4 * i, 36, { seed: i }));
  session = await openSession(edsr({ scale: 2, blocks: 1, width: 8 }), { threads: 1 });
});
afterAll(async () => {
  await session.release();
  await rm(root, { recursive: true, force: true });
});

const recipeOf = (data: object, more: object = {}) =>
  parseRecipe({ name: "evaluate", network: { name: "edsr" }, data, ...more });
const ignore = (): void => undefined;

async function evaluated(more: object, data: object = {}) {
  const recipe = parseRecipe({
    name: "evaluate",
    network: { name: "edsr" },
    data: { name: "pairs", folder: root, test: root, scale: 2, patch: 16, range: 255, ...data },
    loss: { task: "l1" },
    ...more,
  });
  using task = await openTaskData(recipe, session, () => undefined);
  return await task.evaluate(session);
}

test("selfEnsemble changes the metric, and bicubic stays what it is", async () => {
  const [plain, ensemble] = [await evaluated({}), await evaluated({ selfEnsemble: true })];
  expect(ensemble.psnr).not.toBe(plain.psnr);
  expect(ensemble.bicubicPsnr).toBe(plain.bicubicPsnr);
});

test("subset and testSubset hold for images too", async () => {
  const [all, one] = [await evaluated({}), await evaluated({}, { subset: 1, testSubset: 1 })];
  expect(one.bicubicPsnr).not.toBe(all.bicubicPsnr);
});

test("a data set's name and its path mean to a recipe what they mean to every command", async () => {
  for (const data of [{ name: "pairs", folder: root }, { name: "folder", folder: root }, { name: root }]) {
    using task = await openTaskData(
      recipeOf({ ...data, scale: 2, patch: 16 }, { loss: { task: "l1" } }),
      session,
      ignore,
    );
    expect((await task.source.batch(0, 0)).inputDims.slice(1)).toEqual([3, 8, 8]);
  }
  await expect(openTaskData(recipeOf({ name: "folder" }), session, ignore)).rejects.toMatchObject({
    code: "invalid-recipe",
    place: { field: "data.folder" },
  });
  await expect(openTaskData(recipeOf({ name: "cifar11" }), session, ignore)).rejects.toMatchObject({
    code: "not-found",
  });
  await expect(openTaskData(recipeOf({ name: root }), session, ignore)).rejects.toMatchObject({
    code: "data-mismatch",
    message: expect.stringContaining("no labels"),
  });
});

test("images without labels are batches to distil on, with nothing to measure", async () => {
  const one = join(root, "one size");
  for (let i = 0; i < 3; i++) await writePng(join(one, `p${i}.png`), someImage(16, 12, { seed: i }));
  const notes: string[] = [];
  const recipe = recipeOf(
    { name: one, batch: 2, normalize: "none" },
    { loss: { task: "none", distill: { kind: "l1" } } },
  );
  using task = await openTaskData(recipe, session, (text) => notes.push(text));
  const { input, inputDims, target } = await task.source.batch(1, 1);
  expect([inputDims, target, input.length]).toEqual([[1, 3, 12, 16], null, 576]);
  expect(await task.evaluate(session)).toEqual({});
  expect(notes).toEqual([expect.stringContaining("3 images without labels")]);
});
