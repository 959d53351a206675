// Layers for the tests of factors: random filters, and covariances as smooth images make them.

import type { LayerShape, Pair } from "../src/basis/factors.js";
import { type Matrix, matrix } from "../src/linalg/matrix.js";
import { gram } from "../src/linalg/product.js";
import type { Random } from "../src/linalg/random.js";

export const shapeOf = (n: number, c: number, kernel: Pair = [3, 3], stride: Pair = [1, 1]): LayerShape => ({
  n,
  c,
  kernel,
  stride,
});

export function randomMatrix(rows: number, cols: number, random: Random): Matrix {
  return matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, () => random.normal()),
  );
}

/**
 * The covariance of patches of `images` random smooth images of c mixed channels; of low rank where they are few.
 * Noise of the given strength is added to every pixel.
 */
export function imageCovariance({ c, kernel: [kh, kw] }: LayerShape, random: Random, images = 24, noise = 0.1): Matrix {
  const [size, d] = [6 + Math.max(kh, kw), c * kh * kw];
  const mixing = randomMatrix(c, c, random).data;
  const patches: number[][] = [];
  for (let image = 0; image < images; image++) {
    const waves = Array.from({ length: c }, () => wave(random));
    const pixel = (i: number, y: number, x: number) =>
      waves.reduce((sum, at, j) => sum + (mixing[i * c + j]! * at(y, x)) / Math.sqrt(c), 0) + noise * random.normal();
    const pixels = Array.from({ length: c * size * size }, (_, at) =>
      pixel(Math.floor(at / size / size), Math.floor(at / size) % size, at % size),
    );
    for (let y = 0; y + kh <= size; y += 2)
      for (let x = 0; x + kw <= size; x += 2) {
        const patch: number[] = [];
        for (let i = 0; i < c; i++)
          for (let a = 0; a < kh; a++)
            for (let b = 0; b < kw; b++) patch.push(pixels[(i * size + y + a) * size + x + b]!);
        patches.push(patch);
      }
  }
  const scale = 1 / Math.sqrt(patches.length);
  return gram(
    matrix(
      patches.length,
      d,
      patches.flat().map((value) => value * scale),
    ),
  );
}

/** A wave of a random direction and a low frequency. */
function wave(random: Random): (y: number, x: number) => number {
  const [fy, fx, phase, height] = [random.normal() * 0.4, random.normal() * 0.4, random.normal() * 3, random.normal()];
  return (y, x) => height * Math.cos(fy * y + fx * x + phase);
}

/** The largest difference of two matrices' entries, to the largest entry of the first. */
export function distance(a: Matrix, b: Matrix): number {
  let [worst, largest] = [0, 1e-300];
  for (let i = 0; i < a.data.length; i++) {
    worst = Math.max(worst, Math.abs(a.data[i]! - b.data[i]!));
    largest = Math.max(largest, Math.abs(a.data[i]!));
  }
  return worst / largest;
}
