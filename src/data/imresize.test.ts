// imresize against images that MATLAB made, and what any cubic interpolation keeps.
import { describe, expect, test } from "vitest";
import { noShared, shared } from "../../test/shared.js";
import { decodeImage } from "./codec.js";
import type { Image } from "./image.js";
import { imresize, imresizeFloat } from "./imresize.js";

const sets = [
  ["set5", 5],
  ["set14", 14],
] as const;
const here = shared("data/set5") !== undefined;

describe.skipIf(!here)(`imresize equals MATLAB's in every pixel${here ? "" : `: ${noShared}`}`, () => {
  for (const [set, count] of sets) {
    test.each([2, 3, 4])(`${set} x%i`, async (scale) => {
      for (let n = 1; n <= count; n++) {
        const stem = `data/${set}/image_SRF_${scale}/img_${String(n).padStart(3, "0")}_SRF_${scale}`;
        const hr = await decodeImage(shared(`${stem}_HR.png`)!);
        const lr = await decodeImage(shared(`${stem}_LR.png`)!);
        const made = imresize(hr, 1 / scale);
        expect([made.width, made.height, made.channels], stem).toEqual([lr.width, lr.height, lr.channels]);
        expect(Buffer.compare(made.data, lr.data), stem).toBe(0);
      }
    });
  }
});

test("a flat image stays flat, at every size", () => {
  const flat: Image = {
    width: 7,
    height: 5,
    channels: 1,
    data: new Uint8Array(35).fill(93),
    alpha: new Uint8Array(35).fill(255),
  };
  for (const scale of [1 / 4, 1 / 3, 0.5, 1, 2, 3, 4]) {
    const { data, alpha, width, height } = imresize(flat, scale);
    expect([width, height]).toEqual([Math.ceil(7 * scale - 1e-9), Math.ceil(5 * scale - 1e-9)]);
    expect(new Set(data)).toEqual(new Set([93]));
    expect(new Set(alpha)).toEqual(new Set([255]));
  }
});

test("enlarging a straight ramp gives a straight ramp away from the edges", () => {
  const ramp = Float32Array.from({ length: 16 }, (_, i) => i);
  const { data, width } = imresizeFloat(ramp, 1, 1, 16, 3);
  expect(width).toBe(48);
  for (let x = 6; x < 42; x++) expect(data[x]).toBeCloseTo((x + 0.5) / 3 - 0.5, 5); // float32 values
});

test("the two kinds of edge differ at the edge only, and both keep a flat image flat", () => {
  const values = Float32Array.from({ length: 64 }, (_, i) => (i * 37) % 101);
  const [repeat, leave] = (["repeat", "leave out"] as const).map(
    (edge) => imresizeFloat(values, 1, 8, 8, 2, { edge }).data,
  ) as [Float32Array, Float32Array];
  const differs = (x: number, y: number) => Math.abs(repeat[y * 16 + x]! - leave[y * 16 + x]!) > 1e-4;
  expect(differs(0, 8) && differs(8, 0)).toBe(true);
  for (let y = 4; y < 12; y++) for (let x = 4; x < 12; x++) expect(differs(x, y)).toBe(false);
  const flat = imresizeFloat(new Float32Array(64).fill(7), 1, 8, 8, 2, { edge: "leave out" }).data;
  for (const value of flat) expect(value).toBeCloseTo(7, 5);
});

test("a factor that leaves nothing is refused", () => {
  expect(() => imresize({ width: 1, height: 1, channels: 1, data: new Uint8Array(1) }, 0)).toThrow(/cannot be resized/);
});
