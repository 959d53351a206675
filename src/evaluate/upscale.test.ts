// Tiles equal the whole image where they overlap as far as the network looks; the receptive field is neither too small
// nor loose.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { someImage } from "../../test/images.js";
import { noShared, shared } from "../../test/shared.js";
import { oneConv } from "../../test/small-graphs.js";
import type { Image } from "../data/image.js";
import { readSafetensors } from "../formats/safetensors.js";
import { float32Tensor } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { edsr } from "../nets/edsr.js";
import { srresnet } from "../nets/srresnet.js";
import { loadModel } from "../runtime/files.js";
import { openSession, type Session } from "../runtime/index.js";
import { forwardChop, selfEnsemble } from "./chop.js";
import { toImage } from "./measure-sr.js";
import { receptiveField } from "./receptive-field.js";
import { describeSrModel, inputPlanes, runPlanes, type SrModel, superResolve } from "./sr-model.js";
import { fixedSpans, spans } from "./tiles.js";
import { upscale } from "./upscale.js";

async function withSession<T>(graph: Graph, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await openSession(graph, { threads: 1 });
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

const small = edsr({ scale: 2, blocks: 2, width: 6, seed: 3 });

describe("receptiveField", () => {
  test("of EDSR: one pixel for each 3 x 3 convolution before the shuffle, half of one for each after", () => {
    // head 1, two blocks 4, body 1, upsampler 1, tail 1 at twice the resolution (and the shuffle's own half pixel)
    expect(receptiveField(small)).toEqual({ before: 8, after: 8, period: 1 });
    expect(receptiveField(srresnet({ scale: 4, blocks: 1, width: 4 })).unbounded).toBeUndefined();
  });

  test("a changed pixel changes nothing beyond it, and something at its very edge", async () => {
    const { before, after } = receptiveField(small);
    await withSession(small, async (model) => {
      const sr: SrModel = { model, channels: 3, range: 255, scale: 2, enlarged: false };
      const [size, middle] = [41, 20];
      const flat = new Float32Array(3 * size * size).fill(100);
      const changed = Float32Array.from(flat);
      for (let c = 0; c < 3; c++) changed[c * size * size + middle * size + middle] = 255;
      const planes = (data: Float32Array) => runPlanes(sr, { channels: 3, height: size, width: size, data });
      const [a, b] = [await planes(flat), await planes(changed)];
      const columns = new Set<number>();
      for (const [i, value] of b.data.entries()) if (value !== a.data[i]) columns.add(i % (2 * size));
      // Output pixel o looks at input pixels floor(o / 2) - before .. + after.
      expect(Math.min(...columns)).toBeGreaterThanOrEqual(2 * (middle - after));
      expect(Math.max(...columns)).toBeLessThanOrEqual(2 * (middle + before) + 1);
      expect(Math.min(...columns)).toBeLessThanOrEqual(2 * (middle - after) + 2);
      expect(Math.max(...columns)).toBeGreaterThanOrEqual(2 * (middle + before) - 1);
    });
  });
});

describe("spans", () => {
  test.each([
    [100, 30, 5, 1],
    [64, 64, 9, 1],
    [65, 16, 7, 4],
    [10, 256, 3, 1],
  ] as const)("%i pixels in tiles of %i: kept parts join, overlaps suffice", (size, tile, overlap, period) => {
    const found = spans(size, { tile, before: overlap, after: overlap, period });
    expect(found[0]!.keepFrom).toBe(0);
    expect(found.at(-1)!.keepTo).toBe(size);
    for (const [i, { from, to, keepFrom, keepTo }] of found.entries()) {
      if (i > 0) expect(keepFrom).toBe(found[i - 1]!.keepTo);
      expect(from % period).toBe(0);
      expect(from === 0 || keepFrom - from >= overlap).toBe(true);
      expect(to === size || to - keepTo >= overlap).toBe(true);
    }
  });

  test.each([
    [64, 64],
    [100, 48],
    [97, 32],
  ] as const)("%i pixels for a network of %i only: every tile has that size", (size, fixed) => {
    const found = fixedSpans(size, fixed, { before: 5, after: 5 });
    expect(found.every(({ from, to }) => to - from === fixed && from >= 0 && to <= size)).toBe(true);
    expect(found[0]!.keepFrom).toBe(0);
    expect(found.at(-1)!.keepTo).toBe(size);
    for (let i = 1; i < found.length; i++) {
      expect(found[i]!.keepFrom).toBe(found[i - 1]!.keepTo);
      expect(found[i]!.keepFrom - found[i]!.from).toBeGreaterThanOrEqual(5);
    }
    expect(() => fixedSpans(20, 32, { before: 1, after: 1 })).toThrow(/smaller than the one size/);
  });
});

describe("upscale", () => {
  test("tiles equal the whole image, alpha is kept, grey stays grey", async () => {
    await withSession(small, async (model) => {
      const alpha = Uint8Array.from({ length: 53 * 37 }, (_, i) => i % 256);
      for (const image of [{ ...someImage(53, 37), alpha }, someImage(53, 37, { channels: 1 })] as Image[]) {
        const sr = await describeSrModel(model, image, { range: 255 });
        expect(sr.scale).toBe(2);
        const field = receptiveField(small);
        const tiled = await upscale(sr, image, field, { tile: 16 });
        const whole = await upscale(sr, image, field);
        expect([tiled.tiles, whole.tiles, tiled.exact]).toEqual([12, 1, true]);
        expect([tiled.raster.width, tiled.raster.height]).toEqual([106, 74]);
        expect(tiled.raster.channels).toBe(image.alpha ? 4 : 1);
        expect(largest(tiled.raster.data, whole.raster.data)).toBeLessThanOrEqual(1);
        const narrow = await upscale(sr, image, field, { tile: 16, overlap: 0 });
        expect(narrow.exact).toBe(false);
        expect(largest(narrow.raster.data, whole.raster.data)).toBeGreaterThan(1); // so the test can fail
      }
    });
  });

  test("the whole image is what the network makes of it, rounded", async () => {
    await withSession(small, async (model) => {
      const image = someImage(20, 14);
      const sr = await describeSrModel(model, image, { range: 255 });
      const { raster } = await upscale(sr, image, receptiveField(small));
      const direct = toImage(await superResolve(sr, image));
      for (let i = 0; i < 40 * 28; i++)
        for (let c = 0; c < 3; c++) expect(raster.data[3 * i + c]).toBe(direct.data[c * 40 * 28 + i]);
    });
  });

  test("a network of another task is an error that names what measures it", async () => {
    await withSession(oneConv({ outChannels: 4, inChannels: 2, kernel: [3, 3] }), async (model) => {
      await expect(describeSrModel(model, someImage(20, 14))).rejects.toMatchObject({
        code: "data-mismatch",
        cures: [expect.stringContaining("compare ORIGINAL MODEL --data DATA")],
      });
    });
  });

  test("another scale than the network's is refused", async () => {
    await withSession(small, async (model) => {
      await expect(describeSrModel(model, someImage(20, 14), { scale: 3 })).rejects.toMatchObject({
        code: "data-mismatch",
        expected: "3",
        got: "2",
      });
    });
  });
});

const vdsr = shared("data/models/vdsr.onnx");
test.skipIf(vdsr === undefined)(
  `a network for luma, on a colour image in tiles${vdsr ? "" : `: ${noShared}`}`,
  async () => {
    const graph = await loadModel(vdsr!);
    const field = receptiveField(graph);
    expect(field).toEqual({ before: 20, after: 20, period: 1 });
    await withSession(graph, async (model) => {
      const image = someImage(60, 48);
      await expect(describeSrModel(model, image)).rejects.toMatchObject({ code: "usage" }); // the scale must be said
      const sr = await describeSrModel(model, image, { scale: 2 });
      expect([sr.enlarged, sr.channels]).toEqual([true, 1]);
      const [tiled, whole] = [await upscale(sr, image, field, { tile: 40 }), await upscale(sr, image, field)];
      expect(tiled.tiles).toBeGreaterThan(1);
      expect(largest(tiled.raster.data, whole.raster.data)).toBeLessThanOrEqual(1);
    });
  },
);

const imdn = shared("data/models/imdn_x2.onnx");
test.skipIf(imdn === undefined)(
  `a network that pools over the whole image is said to${imdn ? "" : `: ${noShared}`}`,
  async () => {
    expect(receptiveField(await loadModel(imdn!)).unbounded).toMatch(/whole picture/);
    expect(receptiveField(await loadModel(shared("data/models/rfdn_x4.onnx")!)).unbounded).toMatch(
      /resizes|rounded|whole/,
    );
  },
);

const chop = shared("fixtures/chop_edsr_x2.safetensors");
test.skipIf(chop === undefined)(`forwardChop gives the authors' values${chop ? "" : `: ${noShared}`}`, async () => {
  const { tensors } = readSafetensors(readFileSync(chop!));
  const plain = edsr({ scale: 2, blocks: 8, width: 16 });
  const initializers = new Map([...plain.initializers].map(([name, old]) => [name, tensors.get(`w.${name}`) ?? old]));
  expect([...plain.initializers.keys()].filter((name) => !tensors.has(`w.${name}`))).toEqual([]);
  await withSession({ ...plain, initializers }, async (model) => {
    const input = tensors.get("input")!;
    const [, , height, width] = input.dims as [number, number, number, number];
    const sr: SrModel = { model, channels: 3, range: 255, scale: 2, enlarged: false };
    const planes = { channels: 3, height, width, data: floats(input) } as const;
    for (const [name, minSize] of [
      ["output_chop", 160_000],
      ["output_chop_min600", 600],
    ] as const) {
      const got = await forwardChop(sr, planes, { minSize });
      expect(largest(got.data, floats(tensors.get(name)!))).toBeLessThan(1e-2); // of 255: float32 through 19 layers
    }
  });
});

test("self-ensemble of a network that commutes with flips and transposes changes nothing", async () => {
  // Nearest-neighbour enlargement by a 1 x 1 convolution and a pixel shuffle.
  const base = edsr({ scale: 2, blocks: 1, width: 4 });
  await withSession(base, async (model) => {
    const image = someImage(12, 9);
    const even: SrModel = {
      model: { ...model, run: async (feeds) => ({ output: nearest(feeds.input!) }) },
      channels: 3,
      range: 255,
      scale: 2,
      enlarged: false,
    };
    const [one, eight] = [await superResolve(even, image), await selfEnsemble(even, inputPlanes(even, image))];
    expect([eight.width, eight.height]).toEqual([24, 18]);
    expect(largest(one.data, eight.data)).toBeLessThan(1e-4);
    const sr: SrModel = { ...even, model };
    expect(
      largest((await superResolve(sr, image)).data, (await selfEnsemble(sr, inputPlanes(sr, image))).data),
    ).toBeGreaterThan(1e-4);
  });
});

function nearest(tensor: { dims: readonly number[]; data: Uint8Array }) {
  const [, , h, w] = tensor.dims as [number, number, number, number];
  const values = new Float32Array(tensor.data.buffer as ArrayBuffer, tensor.data.byteOffset, 3 * h * w);
  const out = Float32Array.from({ length: 12 * h * w }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (4 * h * w)), Math.floor(i / (2 * w)) % (2 * h), i % (2 * w)];
    return values[(c * h + (y >> 1)) * w + (x >> 1)]!;
  });
  return float32Tensor([1, 3, 2 * h, 2 * w], out);
}

function largest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}
