// Structural similarity (Wang, Bovik, Sheikh, Simoncelli, 2004), with the constants of its authors' code.
import { FilterBasisError } from "../errors/error.js";

const radius = 5;
const gaussian = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
  Math.exp(-((i - radius) ** 2) / (2 * 1.5 ** 2)),
);
const total = gaussian.reduce((sum, value) => sum + value, 0);
const window = gaussian.map((value) => value / total);
const c1 = (0.01 * 255) ** 2;
const c2 = (0.03 * 255) ** 2;

/**
 * Mean SSIM of two planes on the scale 0 .. 255, [height, width], after `shave` pixels are cut off every side: Gaussian
 * window of 11 x 11 with deviation 1.5, only where the window is wholly inside.
 * @throws FilterBasisError `shape-mismatch` (no window fits)
 */
export function ssim(a: ArrayLike<number>, b: ArrayLike<number>, width: number, height: number, shave = 0): number {
  const [w, h] = [width - 2 * shave, height - 2 * shave];
  if (w < window.length || h < window.length) {
    throw new FilterBasisError("shape-mismatch", "the image is too small for SSIM", {
      expected: "11 x 11 inside the border",
      got: `${w} x ${h}`,
    });
  }
  const of = (value: (at: number) => number) => {
    const plane = new Float64Array(w * h);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) plane[y * w + x] = value((y + shave) * width + x + shave);
    return blur(plane, w, h);
  };
  const [meanA, meanB] = [of((at) => a[at]!), of((at) => b[at]!)];
  const [squareA, squareB, product] = [of((at) => a[at]! ** 2), of((at) => b[at]! ** 2), of((at) => a[at]! * b[at]!)];
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const [ma, mb] = [meanA[i]!, meanB[i]!];
    const covariance = product[i]! - ma * mb;
    const variances = squareA[i]! - ma * ma + squareB[i]! - mb * mb;
    sum += ((2 * ma * mb + c1) * (2 * covariance + c2)) / ((ma * ma + mb * mb + c1) * (variances + c2));
  }
  return sum / meanA.length;
}

/** The Gaussian window at every place where it fits: [h, w] -> [h - 10, w - 10]. */
function blur(plane: Float64Array, w: number, h: number): Float64Array {
  const [outW, outH] = [w - 2 * radius, h - 2 * radius];
  const rows = new Float64Array(outW * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < outW; x++) {
      let sum = 0;
      for (let t = 0; t < window.length; t++) sum += window[t]! * plane[y * w + x + t]!;
      rows[y * outW + x] = sum;
    }
  }
  const out = new Float64Array(outW * outH);
  for (let y = 0; y < outH; y++) {
    for (let t = 0; t < window.length; t++) {
      const [weight, from] = [window[t]!, (y + t) * outW];
      for (let x = 0; x < outW; x++) out[y * outW + x]! += weight * rows[from + x]!;
    }
  }
  return out;
}
