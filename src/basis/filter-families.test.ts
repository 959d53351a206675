// Families that are made from filters alone: what they lose, and that more terms lose less.
import { describe, expect, test } from "vitest";
import { pureLinearAlgebra as linear, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { biclustered } from "./biclustered.js";
import { clustered } from "./blocks.js";
import { channelSeparable } from "./channel-separable.js";
import { composed } from "./composed.js";
import { cpTerms } from "./cp.js";
import { type Factors, type LayerShape, makeFactors, weightsOf } from "./factors.js";
import { monochromatic } from "./monochromatic.js";
import { deflated, outerProduct } from "./outer-product.js";
import { separableFactors, separableSpectrum } from "./separable-svd.js";
import { tails } from "./spectrum.js";

const shape: LayerShape = { n: 12, c: 8, kernel: [3, 2], stride: [1, 1] };
const { n, c, kernel } = shape;
const area = kernel[0] * kernel[1];

function noise(seed: string, size = n * c * area): Matrix {
  const random = new Random(seed);
  return matrix(
    n,
    c * area,
    Float64Array.from({ length: size }, () => random.normal()),
  );
}

const lostBy = (weights: Matrix, factors: Factors): number =>
  squaredNorm(composed(factors).data.map((value, i) => value - weights.data[i]!)) / squaredNorm(weights.data);

describe("families from filters", () => {
  const weights = noise("filters");

  test("separable filters lose the discarded squared singular values", () => {
    const found = separableSpectrum(weights, shape, linear);
    const lost = tails(found.squares);
    for (const rank of [1, 5, 12, 24])
      expect(lostBy(weights, separableFactors(found, shape, rank))).toBeCloseTo(lost[rank]! / lost[0]!, 12);
  });

  test.each([true, false])(
    "separable filters of channels, shared: %s, lose less with every one, in the end nothing",
    (shared) => {
      const lost = [1, 2, 3, 4, 6].map((rank) => {
        const factors = channelSeparable(weights, shape, rank, shared, linear);
        expect(lostBy(weights, factors)).toBeCloseTo(factors.error!, 8);
        return factors.error!;
      });
      for (const [i, value] of lost.slice(1).entries()) expect(value).toBeLessThan(lost[i]!);
      expect(lost.at(-1)).toBe(0);
      expect(weightsOf({ family: shared ? "shared-separable" : "channel-separable", ranks: [3] }, shape)).toBe(
        (shared ? 3 * (3 + 2) : c * 3 * (3 + 2)) + c * 3 * n,
      );
    },
  );

  test("filters of a few colours are found by them, and more colours lose less of noise", () => {
    const random = new Random("colours");
    const colours = Array.from({ length: 3 * c }, () => random.normal());
    const made = noise("kernels");
    for (let o = 0; o < n; o++)
      for (let j = 0; j < c; j++)
        for (let t = 0; t < area; t++)
          made.data[(o * c + j) * area + t] = colours[(o % 3) * c + j]! * made.data[o * c * area + t]!;
    const found = monochromatic(made, shape, 3, linear, 1);
    expect(lostBy(made, found)).toBeLessThan(1e-20);
    expect(found.candidate.orders).toBeDefined();
    expect(weightsOf(found.candidate, shape)).toBe(3 * c + n * area);
    const lost = [1, 12].map((count) => lostBy(weights, monochromatic(weights, shape, count, linear, 1)));
    expect(lost[1]).toBeLessThan(lost[0]!);
    const ownColour = Array.from({ length: n }, (_, o) => {
      const filter = matrix(c, area, weights.data.slice(o * c * area, (o + 1) * c * area));
      return tails(spectrum(filter, linear).squares)[1]!;
    });
    expect(lost[1]).toBeCloseTo(ownColour.reduce((sum, one) => sum + one, 0) / squaredNorm(weights.data), 10);
  });

  test("CP finds the terms that a tensor is made of, and loses less with every one of noise", () => {
    const random = new Random("terms");
    const of = (rows: number) => Float64Array.from({ length: rows * 3 }, () => random.normal());
    const made = makeFactors({ family: "cp", ranks: [3] }, shape, [of(c), of(3), of(2), of(n)]);
    const tensor = composed(made);
    expect(cpTerms({ dims: [n, c, ...kernel], values: tensor.data }, 3, linear).lost).toBeLessThan(1e-5);
    const lost = [1, 4, 10, 20].map(
      (rank) => cpTerms({ dims: [n, c, ...kernel], values: weights.data }, rank, linear).lost,
    );
    for (const [i, value] of lost.slice(1).entries()) expect(value).toBeLessThan(lost[i]!);
  });

  test("terms of CP do not grow and cancel", () => {
    const { a, b, y, x } = cpTerms({ dims: [n, c, ...kernel], values: weights.data }, 20, linear);
    let size = 0;
    for (let r = 0; r < 20; r++)
      size += [a, b, y, x].reduce((product, { rows, cols, data }) => {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += data[i * cols + r]! ** 2;
        return product * sum;
      }, 1);
    expect(size).toBeLessThan(30 * squaredNorm(weights.data)); // without a ridge they grow without end
  });

  test.each([
    [1, 1],
    [2, 1],
    [4, 3],
  ] as const)("blocks of %d x %d clusters: Tucker-2 within its bound, exact at full rank", (g, h) => {
    const clusters = clustered(weights, shape, [g, h], "kmeans");
    expect([...clusters.channels].sort((a, b) => a - b)).toEqual(Array.from({ length: c }, (_, i) => i));
    expect(lostBy(weights, biclustered(weights, shape, clusters, [c / g, n / h], linear))).toBeLessThan(1e-20);
    const less = lostBy(weights, biclustered(weights, shape, clusters, [c / g / 2, Math.ceil(n / h / 2)], linear));
    expect(less).toBeGreaterThan(0);
    expect(less).toBeLessThan(1);
  });

  test("outer products lose what they say, less with every one", () => {
    const clusters = clustered(weights, shape, [2, 2], "kmeans");
    const found = deflated(weights, shape, clusters, 10);
    for (const count of [1, 4, 10]) {
      const lost = lostBy(weights, outerProduct(found, shape, clusters, count));
      expect(lost).toBeCloseTo(found.lost[count]! / found.lost[0]!, 10);
      expect(found.lost[count]).toBeLessThan(found.lost[count - 1]!);
    }
  });

  test("clusters gather channels that are alike", () => {
    const alike = noise("alike");
    for (let i = 0; i < n; i++)
      for (let j = 0; j < c; j++)
        for (let t = 0; t < area; t++)
          alike.data[(i * c + j) * area + t] =
            Math.sin(7 * i + 3 * t + (j % 2 === 0 ? 0 : 2)) + 0.01 * alike.data[(i * c + j) * area + t]!;
    const { channels } = clustered(alike, shape, [2, 1], "kmeans");
    expect(new Set(channels.slice(0, 4).map((j) => j % 2)).size).toBe(1);
  });
});
