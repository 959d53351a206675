// Patches come from where they should, turned as they should, the same from the same state; caches notice changed
// images.
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { someImage, writePng } from "../../test/images.js";
import { noShared, shared } from "../../test/shared.js";
import { readSafetensors } from "../formats/safetensors.js";
import { Random } from "../linalg/random.js";
import { luma } from "./image.js";
import { imresize, imresizeFloat } from "./imresize.js";
import { openPatches, turnPatch } from "./patches.js";
import { findPairs } from "./sr-pairs.js";
import { starts, subImagesOf } from "./sub-images.js";

let root: string;
const sizes = [
  [40, 30],
  [33, 47],
  [28, 28],
] as const;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-patches-"));
  for (const [i, [w, h]] of sizes.entries())
    await writePng(join(root, "hr", `p${i}.png`), someImage(w, h, { seed: i, channels: i === 2 ? 1 : 3 }));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const open = async (options: object = {}) =>
  openPatches((await findPairs(join(root, "hr"), 2)).pairs, {
    scale: 2,
    patch: 13,
    folder: join(root, "cache"),
    ...options,
  });

test("LR and HR patches are the same place of an image and of its bicubic reduction; x is drawn before y", async () => {
  const source = await open({ augment: false });
  const { lr, hr, shapes } = source.at([0], new Random(8));
  expect(shapes).toEqual({ lr: [1, 3, 6, 6], hr: [1, 3, 12, 12] });
  const random = new Random(8);
  const [x, y] = [random.int(20 - 6 + 1), random.int(15 - 6 + 1)];
  const truth = someImage(40, 30, { seed: 0 });
  const low = imresize(truth, 0.5);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < 36; i++)
      expect(lr[c * 36 + i]).toBe(low.data[(c * 15 + y + Math.floor(i / 6)) * 20 + x + (i % 6)]);
    for (let i = 0; i < 144; i++)
      expect(hr[c * 144 + i]).toBe(truth.data[(c * 30 + 2 * y + Math.floor(i / 12)) * 40 + 2 * x + (i % 12)]);
  }
  source.close();
});

test("a batch depends on the random state alone, and goes on from a stored one", async () => {
  const [a, b] = [await open(), await open()];
  const [random, other] = [new Random(2), new Random(0)];
  a.next(3, random);
  other.state = JSON.parse(JSON.stringify(random.state));
  const first = a.next(3, random);
  const second = b.next(3, other);
  expect(second).toEqual(first);
  expect((await readdir(join(root, "cache"))).length).toBe(1); // decoded once
  a.close();
  b.close();
});

test("an enlarged patch is a piece of the whole image's luma, enlarged, borders included", async () => {
  const source = await open({ augment: false, enlarged: true, channels: 1, range: 1, patch: 28 });
  const { lr, shapes } = source.at([2], new Random(1)); // 28 x 28: the whole image
  expect(shapes).toEqual({ lr: [1, 1, 28, 28], hr: [1, 1, 28, 28] });
  const low = imresize(someImage(28, 28, { seed: 2, channels: 1 }), 0.5);
  const expected = imresizeFloat(luma(low), 1, 14, 14, 2, { edge: "leave out" }).data;
  for (let i = 0; i < expected.length; i++) expect(lr[i]! * 255).toBeCloseTo(expected[i]!, 3); // float32
  source.close();
});

test("an enlarged patch inside an image equals the same piece of the whole", async () => {
  const source = await open({ augment: false, enlarged: true, patch: 8 });
  const { lr } = source.at([1], new Random(6));
  const random = new Random(6);
  const [x, y] = [random.int(16 - 4 + 1), random.int(23 - 4 + 1)];
  const truth = someImage(33, 47, { seed: 1 });
  const cut = Uint8Array.from(
    { length: 3 * 46 * 32 },
    (_, i) => truth.data[(Math.floor(i / (46 * 32)) * 47 + (Math.floor(i / 32) % 46)) * 33 + (i % 32)]!,
  );
  const low = imresize({ width: 32, height: 46, channels: 3, data: cut }, 0.5);
  const whole = imresizeFloat(Float32Array.from(low.data), 3, 23, 16, 2, { edge: "leave out" }).data;
  for (let i = 0; i < 192; i++) {
    const [c, row, column] = [Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8];
    expect(lr[i]).toBeCloseTo(whole[(c * 46 + 2 * y + row) * 32 + 2 * x + column]!, 3);
  }
  source.close();
});

test("an image smaller than the patch is refused by name, and so is a patch smaller than the scale", async () => {
  await expect(open({ patch: 32 })).rejects.toMatchObject({
    code: "data-mismatch",
    place: { file: join(root, "hr", "p0.png") },
  });
  await expect(open({ patch: 1 })).rejects.toMatchObject({ code: "usage" });
});

test("a cache that was cut off is a typed error that tells the cure; a changed image gets a new cache", async () => {
  const folder = join(root, "cut");
  (await open({ folder })).close();
  const [name] = await readdir(folder);
  await truncate(join(folder, name!), 1000);
  await expect(open({ folder })).rejects.toMatchObject({
    code: "malformed",
    cures: [expect.stringContaining("delete")],
  });
  await writePng(join(root, "hr", "p0.png"), someImage(40, 31, { seed: 0 }));
  (await open({ folder })).close();
  expect(await readdir(folder)).toHaveLength(2);
});

test("an image that cannot be decoded leaves no cache", async () => {
  const [hr, folder] = [join(root, "bad"), join(root, "none")];
  await writePng(join(hr, "a.png"), someImage(20, 20));
  await writeFile(join(hr, "b.png"), "");
  await expect(openPatches((await findPairs(hr, 2)).pairs, { scale: 2, patch: 8, folder })).rejects.toMatchObject({
    code: "malformed",
  });
  expect(await readdir(folder)).toEqual([]);
});

describe("sub-images", () => {
  test("start every step, and once more at the end where more than 48 pixels would be left", () => {
    expect(starts(480, 480, 240)).toEqual([0]);
    expect(starts(479, 480, 240)).toEqual([]);
    expect(starts(768, 480, 240)).toEqual([0, 240]);
    expect(starts(769, 480, 240)).toEqual([0, 240, 289]);
    expect(starts(2040, 480, 240)).toEqual([0, 240, 480, 720, 960, 1200, 1440, 1560]);
  });

  test("a 2040 x 1356 image of DIV2K gives 40 of 480 at step 240", () => {
    const found = subImagesOf([{ hr: { width: 2040, height: 1356 } }], 4, { size: 480, step: 240 });
    expect(found).toHaveLength(8 * 5);
    expect(found.at(-1)).toEqual({ image: 0, x: 1560 / 4, y: (1356 - 480) / 4, width: 120, height: 120 });
    expect(() => subImagesOf([{ hr: { width: 2040, height: 1356 } }], 7, { size: 480, step: 240 })).toThrow(
      /multiples/,
    );
  });

  test("patches lie inside them", async () => {
    const source = await open({ patch: 8, augment: false, subImages: { size: 16, step: 8 } });
    expect(source.count).toBeGreaterThan(3);
    const { lr } = source.at([0], new Random(1));
    const random = new Random(1);
    const [x, y] = [random.int(8 - 4 + 1), random.int(8 - 4 + 1)];
    const low = imresize(
      { ...someImage(40, 31, { seed: 0 }), height: 30, data: cutRows(someImage(40, 31, { seed: 0 }).data, 40, 31, 30) },
      0.5,
    );
    for (let i = 0; i < 16; i++) expect(lr[i]).toBe(low.data[(y + Math.floor(i / 4)) * 20 + x + (i % 4)]);
    source.close();
  });
});

function cutRows(data: Uint8Array, width: number, from: number, to: number): Uint8Array {
  return Uint8Array.from(
    { length: 3 * to * width },
    (_, i) => data[Math.floor(i / (to * width)) * from * width + (i % (to * width))]!,
  );
}

const fixture = shared("fixtures/augment.safetensors");
describe.skipIf(fixture === undefined)(`recorded results of the authors' code${fixture ? "" : `: ${noShared}`}`, () => {
  test.each(["h0v0t0", "h0v0t1", "h0v1t0", "h0v1t1", "h1v0t0", "h1v0t1", "h1v1t0", "h1v1t1"])("augment %s", (name) => {
    const { tensors } = readSafetensors(readFileSync(fixture!));
    const planar = (key: string) => {
      const { dims, data } = tensors.get(key)!;
      const [h, w] = dims as [number, number, number];
      return {
        h,
        w,
        data: Float32Array.from({ length: 3 * h * w }, (_, i) => data[(i % (h * w)) * 3 + Math.floor(i / (h * w))]!),
      };
    };
    const [input, expected] = [planar("input_hwc"), planar(name)];
    const out = new Float32Array(18);
    turnPatch(
      input.data,
      input.h,
      input.w,
      3,
      { horizontal: name[1] === "1", vertical: name[3] === "1", transpose: name[5] === "1" },
      out,
    );
    expect(out).toEqual(expected.data);
  });

  test("get_patch: LR patch, HR origin and order of draws", async () => {
    const { fixtures } = JSON.parse(readFileSync(shared("fixtures/index.json")!, "utf8")) as {
      fixtures: { kind: string; cases: GetPatch[] }[];
    };
    for (const {
      scale,
      patch_size: patch,
      lr_hw: [h, w],
      ix,
      iy,
      lr_patch_shape: low,
      hr_origin: origin,
      hr_patch_shape: high,
    } of fixtures.find(({ kind }) => kind === "get_patch")!.cases) {
      const folder = join(root, `get${scale}`);
      const image = someImage(w * scale, h * scale, { seed: scale });
      await writePng(join(folder, "a.png"), image);
      const source = await openPatches((await findPairs(folder, scale)).pairs, {
        scale,
        patch,
        augment: false,
        folder: join(root, "cache"),
      });
      const draws = [ix, iy];
      const random = Object.assign(new Random(0), { int: () => draws.shift()! });
      const { hr, shapes } = source.at([0], random);
      expect([shapes.lr[2], shapes.hr[2]]).toEqual([low[0], high[0]]);
      expect(hr[0]).toBe(image.data[origin[0] * w * scale + origin[1]]);
      source.close();
    }
  });
});

interface GetPatch {
  readonly scale: number;
  readonly patch_size: number;
  readonly lr_hw: readonly [number, number];
  readonly ix: number;
  readonly iy: number;
  readonly lr_patch_shape: readonly number[];
  readonly hr_patch_shape: readonly number[];
  readonly hr_origin: readonly [number, number];
}
