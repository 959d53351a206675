// Small pictures for tests, made here and written as files.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { encodePicture } from "../src/data/codec.js";
import type { Picture } from "../src/data/picture.js";
import { Random } from "../src/linalg/random.js";

/** Smooth shapes with some noise: no two pixels are alike, and bicubic does not get it all. */
export function somePicture(
  width: number,
  height: number,
  { channels = 3, seed = 1 }: { channels?: 1 | 3; seed?: number } = {},
): Picture {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: channels * width * height }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (width * height)), Math.floor(i / width) % height, i % width];
    return 128 + 60 * Math.sin(x / 5 + c + seed) + 40 * Math.cos(y / 4 - c) + 12 * (random.next() - 0.5);
  });
  return { width, height, channels, data };
}

/** Writes a picture as PNG, with its folder. */
export async function writePng(path: string, picture: Picture): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await encodePicture(picture, "png"));
}
