// Patches, flips and transposes of training, and the authors' way to run a network in quarters.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { encodeImage } from "../../src/data/codec.js";
import type { Image } from "../../src/data/image.js";
import { openPatches, turnPatch } from "../../src/data/patches.js";
import { findPairs } from "../../src/data/sr-pairs.js";
import { forwardChop } from "../../src/evaluate/chop.js";
import { runPlanes } from "../../src/evaluate/sr-model.js";
import { writeModel } from "../../src/formats/onnx/index.js";
import { float32Tensor } from "../../src/graph/attributes.js";
import { floats } from "../../src/graph/values.js";
import { Random } from "../../src/linalg/random.js";
import { loadWeights } from "../../src/nets/load-weights.js";
import { openSession } from "../../src/runtime/index.js";
import { buildFromConfig } from "./config.js";
import { type Check, type Entry, type Folder, largest, largestDifference, need, parse } from "./entry.js";
import { toPlanes } from "./images.js";

export function checkAugment(entry: Entry, folder: Folder): readonly Check[] {
  const { file, cases } = parse(
    z.looseObject({ file: z.string(), cases: z.array(z.string().regex(/^h[01]v[01]t[01]$/)) }),
    entry,
    entry.name,
  );
  const tensors = folder.tensors(file);
  const input = need(tensors, "input_hwc");
  const [height = 0, width = 0] = input.dims;
  const planes = toPlanes(input.data, height, width);
  const off = cases.map((name) => {
    const turn = { horizontal: name[1] === "1", vertical: name[3] === "1", transpose: name[5] === "1" };
    const out = new Float32Array(planes.length);
    turnPatch(planes, height, width, 3, turn, out);
    const expected = need(tensors, name);
    const [h = 0, w = 0] = expected.dims;
    return largestDifference(
      float32Tensor([3, h, w], out),
      float32Tensor([3, h, w], Float32Array.from(toPlanes(expected.data, h, w))),
    );
  });
  return [{ what: `${cases.length} flips and transposes`, difference: Math.max(...off), allowed: 0 }];
}

const patchEntry = z.looseObject({
  cases: z.array(
    z.looseObject({
      scale: z.int(),
      patch_size: z.int(),
      lr_hw: z.tuple([z.int(), z.int()]),
      ix: z.int(),
      iy: z.int(),
      lr_patch_shape: z.array(z.int()),
      hr_patch_shape: z.array(z.int()),
      hr_origin: z.tuple([z.int(), z.int()]),
    }),
  ),
});

/** Draws what it is told to, in order. */
class Scripted extends Random {
  readonly #draws: number[];
  constructor(draws: readonly number[]) {
    super(0);
    this.#draws = [...draws];
  }
  override int(n: number): number {
    const next = this.#draws.shift() ?? 0;
    return next < n ? next : Number.NaN;
  }
}

/** Real patches out of images whose pixels say where they are: red the column, green the row. */
export async function checkPatches(entry: Entry): Promise<readonly Check[]> {
  const { cases } = parse(patchEntry, entry, entry.name);
  const root = await mkdtemp(join(tmpdir(), "parity-"));
  const checks: Check[] = [];
  try {
    for (const [i, o] of cases.entries()) {
      const folder = join(root, String(i), `image_SRF_${o.scale}`);
      await mkdir(folder, { recursive: true });
      const [height, width] = o.lr_hw;
      await writeFile(
        join(folder, `p_SRF_${o.scale}_HR.png`),
        await encodeImage(coordinates(width * o.scale, height * o.scale), "png"),
      );
      await writeFile(join(folder, `p_SRF_${o.scale}_LR.png`), await encodeImage(coordinates(width, height), "png"));
      const { pairs } = await findPairs(join(root, String(i)), o.scale);
      const source = await openPatches(pairs, {
        scale: o.scale,
        patch: o.patch_size,
        augment: false,
        folder: join(root, "cache"),
      });
      const { lr, hr, shapes } = source.at([0], new Scripted([o.ix, o.iy]));
      const hwc = ([, c, h, w]: readonly number[]) => [h, w, c].join();
      const origin = (data: Float32Array, size: number) => [data[size], data[0]];
      const same = [
        [hwc(shapes.lr), o.lr_patch_shape.join()],
        [hwc(shapes.hr), o.hr_patch_shape.join()],
        [origin(hr, shapes.hr[2] * shapes.hr[3]).join(), o.hr_origin.join()],
        [origin(lr, shapes.lr[2] * shapes.lr[3]).join(), [o.iy, o.ix].join()],
      ];
      source.close();
      checks.push({
        what: `patch ${i + 1} of ${cases.length}, shapes and places`,
        difference: same.filter(([ours, theirs]) => ours !== theirs).length,
        allowed: 0,
      });
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return checks;
}

function coordinates(width: number, height: number): Image {
  const size = width * height;
  const value = (i: number) => (i < size ? i % width : i < 2 * size ? Math.floor((i - size) / width) : 0);
  return { width, height, channels: 3, data: Uint8Array.from({ length: 3 * size }, (_, i) => value(i)) };
}

/** Of the largest value: what float32 allows from one runtime to another through some twenty layers. */
const ofLargest = 1e-5;

export async function checkChop(entry: Entry, folder: Folder): Promise<readonly Check[]> {
  const o = parse(z.looseObject({ file: z.string(), config: z.looseObject({ scale: z.int() }) }), entry, entry.name);
  const tensors = folder.tensors(o.file);
  const weights = new Map(
    [...tensors].flatMap(([name, tensor]) => (name.startsWith("w.") ? [[name.slice(2), tensor] as const] : [])),
  );
  const { graph } = loadWeights(buildFromConfig(o.config), weights, { file: o.file });
  const input = need(tensors, "input");
  const [, , height = 0, width = 0] = input.dims;
  const planes = { channels: 3, height, width, data: floats(input) } as const;
  const model = await openSession(writeModel(graph));
  try {
    const sr = { model, channels: 3, range: 255, scale: o.config.scale, enlarged: false } as const;
    const checks: Check[] = [];
    for (const [name, expected] of tensors) {
      const [, , minSize] = /^output_(chop(?:_min(\d+))?|full)$/.exec(name) ?? [];
      if (!name.startsWith("output_")) continue;
      const out =
        name === "output_full"
          ? await runPlanes(sr, planes)
          : await forwardChop(sr, planes, minSize === undefined ? {} : { minSize: Number(minSize) });
      const difference = largestDifference(float32Tensor([1, 3, out.height, out.width], out.data), expected);
      checks.push({ what: name, difference, allowed: ofLargest * largest(expected) });
    }
    return checks;
  } finally {
    await model.release();
  }
}
