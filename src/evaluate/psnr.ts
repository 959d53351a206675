// PSNR as the field measures super-resolution: on 8-bit values, a border shaved off, luma of the difference or RGB.
import type { Image } from "../data/image.js";
import { FilterBasisError } from "../errors/error.js";

const { fround } = Math;
/**
 * Of luma, over 256; in float32, like every difference here: the authors' arithmetic, so that metrics agree with theirs
 * to 1e-6 dB.
 */
const weights = [fround(65.738), fround(129.057), fround(25.064)] as const;

/** `luma` for the benchmark sets (shave = scale), `rgb` for DIV2K (shave = scale + 6). */
export type Measure = "luma" | "rgb";

/**
 * Clips to 0 .. 255 and rounds to 8 bits, halves to even as torch.round does. @throws FilterBasisError `non-finite`
 * (NaN)
 */
export function quantize(values: Float32Array): Uint8Array {
  return Uint8Array.from(values, (value) => {
    if (Number.isNaN(value)) throw new FilterBasisError("non-finite", "the image that a network made holds NaN");
    const clipped = Math.min(255, Math.max(0, value));
    const floor = Math.floor(clipped);
    const over = clipped - floor;
    return over > 0.5 || (over === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  });
}

/**
 * PSNR in dB of a super-resolved image against the truth; infinite where they are equal.
 * `luma`: the luma of the RGB difference, weights (65.738, 129.057, 25.064) / 256, Y itself not rounded. One-channel
 * images are compared as they are.
 * @throws FilterBasisError `shape-mismatch` (sizes differ, or nothing is left inside the border)
 * @example
 * ```ts
 * import { findPairs, imresize, loadPair, psnr, ssim } from "filterbasis";
 *
 * const { pairs } = await findPairs("photos", 2);
 * const { lr, hr } = await loadPair(pairs[0], 2);
 * const bicubic = imresize(lr, 2);
 * console.log(psnr(bicubic, hr, 2), ssim(bicubic.data, hr.data, hr.width, hr.height, 2)); // of red alone
 * ```
 */
export function psnr(sr: Image, hr: Image, shave: number, measure: Measure = "luma"): number {
  const { width, height, channels } = hr;
  if (sr.width !== width || sr.height !== height || sr.channels !== channels) {
    throw new FilterBasisError("shape-mismatch", "the images to compare have different sizes", {
      expected: `${channels} x ${height} x ${width}`,
      got: `${sr.channels} x ${sr.height} x ${sr.width}`,
    });
  }
  const size = width * height;
  const difference = (at: number) => fround((sr.data[at]! - hr.data[at]!) / 255);
  if (channels === 1) return decibels(meanSquare(difference, width, height, shave));
  if (measure === "luma") {
    const weighted = (at: number, c: 0 | 1 | 2) => fround(fround(difference(c * size + at) * weights[c]) / 256);
    const inLuma = (at: number) => fround(fround(weighted(at, 0) + weighted(at, 1)) + weighted(at, 2));
    return decibels(meanSquare(inLuma, width, height, shave));
  }
  const squares = [0, 1, 2].map((c) => meanSquare((at) => difference(c * size + at), width, height, shave));
  return decibels(squares.reduce((sum, square) => sum + square, 0) / 3);
}

/** PSNR of one plane of values on the scale 0 .. 255, [height, width]. */
export function psnrPlane(
  sr: ArrayLike<number>,
  hr: ArrayLike<number>,
  width: number,
  height: number,
  shave: number,
): number {
  return decibels(meanSquare((at) => (sr[at]! - hr[at]!) / 255, width, height, shave));
}

function meanSquare(difference: (at: number) => number, width: number, height: number, shave: number): number {
  if (width <= 2 * shave || height <= 2 * shave) {
    throw new FilterBasisError("shape-mismatch", "nothing of the image is left inside the border", {
      got: `${width} x ${height}, border ${shave}`,
    });
  }
  let sum = 0;
  for (let y = shave; y < height - shave; y++) {
    for (let x = shave; x < width - shave; x++) sum += difference(y * width + x) ** 2;
  }
  return sum / ((width - 2 * shave) * (height - 2 * shave));
}

function decibels(meanSquared: number): number {
  return -10 * Math.log10(meanSquared);
}
