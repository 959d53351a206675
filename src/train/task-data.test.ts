// How a training judges super-resolution: on the first test pictures asked for, and on eight turned versions where asked.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { somePicture, writePng } from "../../test/pictures.js";
import { edsr } from "../nets/edsr.js";
import { openSession, type Session } from "../runtime/index.js";
import { parseRecipe } from "./recipe.js";
import { openTaskData } from "./task-data.js";

let root: string;
let session: Session;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-judge-"));
  for (let i = 0; i < 3; i++) await writePng(join(root, `p${i}.png`), somePicture(40 + 4 * i, 36, { seed: i }));
  session = await openSession(edsr({ scale: 2, blocks: 1, width: 8 }), { threads: 1 });
});
afterAll(async () => {
  await session.release();
  await rm(root, { recursive: true, force: true });
});

async function judged(more: object, data: object = {}) {
  const recipe = parseRecipe({
    name: "judge",
    network: { name: "edsr" },
    data: { name: "pairs", folder: root, test: root, scale: 2, patch: 16, range: 255, ...data },
    loss: { task: "l1" },
    ...more,
  });
  using task = await openTaskData(recipe, session, () => undefined);
  return await task.evaluate(session);
}

test("selfEnsemble changes the figure, and bicubic stays what it is", async () => {
  const [plain, ensemble] = [await judged({}), await judged({ selfEnsemble: true })];
  expect(ensemble.psnr).not.toBe(plain.psnr);
  expect(ensemble.bicubicPsnr).toBe(plain.bicubicPsnr);
});

test("subset and testSubset hold for pictures too", async () => {
  const [all, one] = [await judged({}), await judged({}, { subset: 1, testSubset: 1 })];
  expect(one.bicubicPsnr).not.toBe(all.bicubicPsnr);
});
