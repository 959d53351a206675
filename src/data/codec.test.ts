// Images of every kind that is read come back bit for bit; every kind that is not read says so.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { someImage } from "../../test/images.js";
import { decodeImage, encodeImage, encodeRaster } from "./codec.js";
import { crop, cropToMultiple, type Image, luma, toRgb } from "./image.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-codec-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const alpha = Uint8Array.from({ length: 77 }, (_, i) => (i * 3) % 256);

describe("round trips without loss", () => {
  test.each([
    ["grey", 1, false],
    ["RGB", 3, false],
    ["grey with alpha", 1, true],
    ["RGB with alpha", 3, true],
  ] as const)("%s", async (_, channels, transparent) => {
    const image: Image = { ...someImage(11, 7, { channels }), ...(transparent && { alpha }) };
    expect(await decodeImage(await encodeImage(image, "png"))).toEqual(image);
    const webp = await decodeImage(await encodeImage(image, "webp"));
    expect(Buffer.compare(webp.data, toRgb(image).data)).toBe(0); // WebP has no grey
  });

  test("JPEG is close", async () => {
    const image: Image = { width: 16, height: 16, channels: 3, data: new Uint8Array(768).fill(90) };
    const { data } = await decodeImage(await encodeImage(image, "jpeg"));
    for (const value of data) expect(Math.abs(value - 90)).toBeLessThanOrEqual(1);
    await expect(encodeImage({ ...image, alpha: new Uint8Array(256) }, "jpeg")).rejects.toMatchObject({
      code: "unsupported",
    });
  });

  test("palettes and single bits are expanded; EXIF orientation is applied", async () => {
    const { data } = someImage(12, 8);
    const rgb = Buffer.from(Uint8Array.from({ length: 288 }, (_, i) => data[(i % 3) * 96 + Math.floor(i / 3)]!));
    const raw = sharp(rgb, { raw: { width: 12, height: 8, channels: 3 } });
    const palette = await decodeImage(await raw.clone().png({ palette: true, colours: 4 }).toBuffer());
    expect([palette.channels, palette.width]).toEqual([3, 12]);
    const turned = await decodeImage(await raw.clone().withMetadata({ orientation: 6 }).png().toBuffer());
    expect([turned.width, turned.height]).toEqual([8, 12]);
  });
});

describe("what is refused", () => {
  const grey16 = () =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
  const cmyk = () =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
      .toColourspace("cmyk")
      .jpeg()
      .toBuffer();
  const frames = async () => {
    const two = Buffer.concat([Buffer.alloc(192, 10), Buffer.alloc(192, 200)]);
    return sharp(two, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .webp({ loop: 0, delay: [100, 100] })
      .toBuffer();
  };
  const huge = () =>
    sharp({ create: { width: 30_000, height: 30_000, channels: 3, background: "white" }, limitInputPixels: false })
      .png({ compressionLevel: 1 })
      .toBuffer();
  const cases: readonly [string, string, RegExp, () => Promise<Uint8Array>][] = [
    ["0 bytes", "malformed", /0 bytes/, async () => new Uint8Array(0)],
    [
      "no image",
      "malformed",
      /no known format/,
      async () => Uint8Array.from({ length: 300 }, (_, at) => (at * 151 + 231) % 256),
    ],
    [
      "text",
      "malformed",
      /this is a text file, not a PNG, JPEG or WebP image/,
      async () => Buffer.from("hello, this is text"),
    ],
    ["a web page", "malformed", /this is a web page.*, not a PNG/, async () => Buffer.from("<!DOCTYPE html><html>")],
    ["CMYK", "unsupported", /CMYK/, cmyk],
    ["16 bits", "unsupported", /16-bit/, grey16],
    ["animated", "unsupported", /animated.*2 frames/, frames],
    [
      "GIF",
      "unsupported",
      /gif/,
      () =>
        sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } })
          .gif()
          .toBuffer(),
    ],
  ];
  test.each(cases)("%s: %s", async (name, code, message, make) => {
    const path = join(root, `${name}.png`);
    await writeFile(path, await make());
    await expect(decodeImage(path)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      place: { file: path },
    });
  });

  test("30,000 x 30,000, before a pixel is decoded", async () => {
    // A true header is enough: nothing may read further.
    const small = await sharp({ create: { width: 8, height: 8, channels: 3, background: "white" } })
      .png()
      .toBuffer();
    small.writeUInt32BE(30_000, 16);
    small.writeUInt32BE(30_000, 20);
    const { crc32 } = await import("node:zlib");
    small.writeUInt32BE(crc32(small.subarray(12, 29)), 29);
    await expect(decodeImage(small)).rejects.toMatchObject({ code: "too-large", got: "30000 x 30000" });
    if (process.env.FILTERBASIS_SLOW_TESTS)
      await expect(decodeImage(await huge())).rejects.toMatchObject({ code: "too-large" });
  });

  test("cut off anywhere: malformed", async () => {
    for (const format of ["png", "jpeg", "webp"] as const) {
      const whole = await encodeImage(someImage(40, 40), format);
      for (const part of [0.05, 0.3, 0.6, 0.9]) {
        await expect(
          decodeImage(whole.subarray(0, Math.floor(part * whole.length))),
          `${format} ${part}`,
        ).rejects.toMatchObject({
          code: "malformed",
        });
      }
    }
  });

  test("a missing file, and more pixels than a format holds", async () => {
    await expect(decodeImage(join(root, "none.png"))).rejects.toMatchObject({ code: "not-found" });
    const long = { width: 17_000, height: 1, channels: 1, data: new Uint8Array(17_000) } as const;
    await expect(encodeRaster(long, "webp")).rejects.toMatchObject({ code: "too-large" });
  });
});

describe("images", () => {
  test("cuts, multiples, luma", () => {
    const image = { ...someImage(11, 7), alpha };
    const cut = crop(image, 2, 1, 4, 3);
    expect([cut.data[0], cut.alpha?.[0], cut.data[12 + 5]]).toEqual([
      image.data[13],
      alpha[13],
      image.data[77 + 2 * 11 + 3],
    ]);
    const multiple = cropToMultiple(image, 4);
    expect([multiple.width, multiple.height]).toEqual([8, 4]);
    expect(() => crop(image, 8, 0, 4, 4)).toThrow(/not inside/);
    const white = { width: 1, height: 1, channels: 3, data: Uint8Array.of(255, 255, 255) } as const;
    expect(luma(white)[0]).toBeCloseTo(235, 1);
    expect(luma({ ...white, channels: 1, data: Uint8Array.of(255) })[0]).toBeCloseTo(luma(white)[0]!, 4);
  });
});
