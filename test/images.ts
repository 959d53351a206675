// Small images for tests, made here and written as files.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { encodeImage } from "../src/data/codec.js";
import type { Image } from "../src/data/image.js";
import { Random } from "../src/linalg/random.js";

/** Smooth shapes with some noise: no two pixels are alike, and bicubic does not get it all. */
export function someImage(
  width: number,
  height: number,
  { channels = 3, seed = 1 }: { channels?: 1 | 3; seed?: number } = {},
): Image {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: channels * width * height }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (width * height)), Math.floor(i / width) % height, i % width];
    return 128 + 60 * Math.sin(x / 5 + c + seed) + 40 * Math.cos(y / 4 - c) + 12 * (random.next() - 0.5);
  });
  return { width, height, channels, data };
}

/** Writes an image as PNG, with its folder. */
export async function writePng(path: string, image: Image): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await encodeImage(image, "png"));
}
