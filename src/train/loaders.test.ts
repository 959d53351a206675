// Batches made by threads are those made without, in the same order, and so are their errors.
import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { normalizations } from "../data/image-set.js";
import { findPairs } from "../data/sr-pairs.js";
import { Random } from "../linalg/random.js";
import { openBatches } from "./loaders.js";
import { nthBatch, openSource, type SourcePlan } from "./sources.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-loaders-"));
  for (let i = 0; i < 4; i++) await writePng(join(root, "hr", `p${i}.png`), someImage(40 + 4 * i, 36, { seed: i }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** 22 images of noise in batches of 4: an epoch is six steps, the last of two images. */
function images({ inShared = false, labelled = true } = {}): SourcePlan {
  const [count, side, random] = [22, 8, new Random("images")];
  const pixels = Uint8Array.from({ length: count * 3 * side * side }, () => random.int(256));
  const images = inShared ? new Uint8Array(new SharedArrayBuffer(pixels.length)) : pixels;
  images.set(pixels);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
  return {
    kind: "images",
    set: { name: "noise", images, labels, classes: ["a", "b", "c"], count, height: side, width: side },
    options: { batch: 4, augment: true, normalization: normalizations.cifar10, dropLast: false, seed: 3, labelled },
  };
}

async function patches(cache = "cache"): Promise<SourcePlan> {
  const options = {
    scale: 2,
    patch: 16,
    batch: 3,
    stepsPerEpoch: 6,
    seed: 3,
    labelled: true,
    folder: join(root, cache),
  };
  return { kind: "patches", pairs: (await findPairs(join(root, "hr"), 2)).pairs, options };
}

/** Copies of the batches at all places. */
async function take(plan: SourcePlan, loaders: number) {
  using source = await openBatches(plan, loaders);
  const taken = [];
  for (const [epoch, step] of places) {
    const { input, inputDims, target, targetDims } = await source.batch(epoch, step);
    taken.push({ input: input.slice(), inputDims, target: target?.slice() ?? null, targetDims });
  }
  return { taken, stepsPerEpoch: source.stepsPerEpoch, batchSize: source.batchSize };
}

const inOrder = Array.from({ length: 14 }, (_, i) => [Math.floor(i / 6), i % 6] as const);
// As when batch norm was recalibrated on the first batches, and an epoch is resumed in its middle.
const jumps = [
  [0, 0],
  [0, 1],
  [0, 0],
  [0, 1],
  [2, 4],
  [2, 5],
  [3, 0],
] as const;
const places = [...inOrder, ...jumps];

describe.each([1, 2])("%i loader threads", (loaders) => {
  it.each([
    ["classification", async () => images()],
    [
      "classification without labels, in memory that is shared already",
      async () => images({ inShared: true, labelled: false }),
    ],
    ["super-resolution", () => patches()],
  ])("make the batches that are made without: %s", async (_, plan) => {
    expect(await take(await plan(), loaders)).toEqual(await take(await plan(), 0));
  });

  it("tell what goes wrong with the batch that it goes wrong with, by the same error", async () => {
    const plan = await patches(`cut-${loaders}`);
    (await openBatches(plan, 0))[Symbol.dispose]();
    const [file] = await readdir(join(root, `cut-${loaders}`));
    const failure = async (count: number) => {
      using source = await openBatches(plan, count);
      await truncate(join(root, `cut-${loaders}`, file!), 24_700); // the end of the last image is gone, once the cache is open
      for (const [at, [epoch, step]] of inOrder.entries()) {
        const error = await Promise.resolve()
          .then(() => source.batch(epoch, step))
          .then(
            () => undefined,
            (thrown: unknown) => thrown as Error,
          );
        if (error) return { at, error: JSON.parse(JSON.stringify(error)) as object };
      }
      throw new Error("every batch was made");
    };
    const without = await failure(0);
    await rm(join(root, `cut-${loaders}`, file!));
    (await openBatches(plan, 0))[Symbol.dispose]();
    expect(await failure(loaders)).toEqual(without);
    expect(without.at).toBeGreaterThan(0);
    expect(without.error).toMatchObject({ code: "io", cures: ["delete the file: it is made again"] });
  });

  it("tell by the same error what cannot be opened, and end", async () => {
    const plan = await patches();
    if (plan.kind !== "patches") throw new Error("patches");
    const large = { ...plan, options: { ...plan.options, patch: 64 } };
    const [error, other] = await Promise.all(
      [loaders, 0].map((count) => openBatches(large, count).catch((thrown: unknown) => thrown as Error)),
    );
    expect(JSON.parse(JSON.stringify(error))).toEqual(JSON.parse(JSON.stringify(other)));
    expect(error).toMatchObject({ code: "data-mismatch", place: { file: expect.stringContaining("p0.png") } });
  });

  it("end when they are let go, and say so when asked again", async () => {
    const source = await openBatches(images(), loaders);
    await source.batch(0, 0);
    source[Symbol.dispose]();
    await expect(Promise.resolve(source.batch(7, 0))).rejects.toMatchObject({ code: "internal" });
  });
});

it("batches counted on over short epochs are not the same ones again", async () => {
  const { options, ...plan } = (await patches("short")) as Extract<SourcePlan, { kind: "patches" }>;
  using source = await openSource({ ...plan, options: { ...options, stepsPerEpoch: 2 } });
  const input = async (n: number) => (await nthBatch(source, n)).input.slice();
  const five = [await input(0), await input(1), await input(2), await input(3), await input(4)];
  expect(new Set(five.map((one) => one.join())).size).toBe(5);
  expect(five[3]).toEqual((await source.batch(1, 1)).input);
});
