// Clusters and the codes of kernels: against plain Lloyd, at the edges, and with mirrored kernels.
import { describe, expect, test } from "vitest";
import { Random } from "../linalg/random.js";
import { codeKernels, kernelTransforms } from "./kernel-codes.js";
import { centroidsOf, channelIndicator } from "./kernel-indicator.js";
import { kmeans } from "./kmeans.js";

const noise = (count: number, seed: string): Float64Array => {
  const random = new Random(seed);
  return Float64Array.from({ length: count }, () => random.normal());
};

/** Every point has its nearest centre, and every centre is the mean of its points. */
function expectSettled(points: Float64Array, d: number, { centroids, labels }: ReturnType<typeof kmeans>): void {
  const k = centroids.length / d;
  const far = (i: number, j: number) => {
    let sum = 0;
    for (let t = 0; t < d; t++) sum += (points[i * d + t]! - centroids[j * d + t]!) ** 2;
    return sum;
  };
  const sums = new Float64Array(k * d);
  const sizes = new Float64Array(k);
  labels.forEach((label, i) => {
    for (let j = 0; j < k; j++) expect(far(i, label)).toBeLessThanOrEqual(far(i, j) + 1e-12);
    sizes[label] = sizes[label]! + 1;
    for (let t = 0; t < d; t++) sums[label * d + t] = sums[label * d + t]! + points[i * d + t]!;
  });
  for (let j = 0; j < k; j++) {
    expect(sizes[j]).toBeGreaterThan(0);
    for (let t = 0; t < d; t++) expect(centroids[j * d + t]).toBeCloseTo(sums[j * d + t]! / sizes[j]!, 10);
  }
}

describe("k-means", () => {
  test.each([
    [300, 3, 7],
    [500, 9, 32],
    [64, 2, 40],
  ] as const)("of %d points in %d dimensions settles with %d centres", (count, d, k) => {
    const points = noise(count * d, `points ${k}`);
    expectSettled(points, d, kmeans(points, d, k, { seed: 1, sweeps: 1000 }));
  });

  test("gives every point its own centre where there are enough, and repeats with the seed", () => {
    const points = Float64Array.of(1, 2, 1, 2, 3, 4, 5, 6);
    const { centroids, labels } = kmeans(points, 2, 3, { seed: 1 });
    for (const [i, label] of labels.entries())
      expect([...centroids.subarray(2 * label, 2 * label + 2)]).toEqual([...points.subarray(2 * i, 2 * i + 2)]);
    const many = noise(900, "again");
    expect(kmeans(many, 3, 9, { seed: 4 })).toEqual(kmeans(many, 3, 9, { seed: 4 }));
  });
});

describe("codes of kernels", () => {
  test("of as many centroids as kernels are the kernels, those of zeros and of a centre of 0 too", () => {
    const kernels = noise(20 * 9, "kernels");
    kernels.fill(0, 0, 9);
    kernels[9 + 4] = 0;
    const { centroids, indices, scales } = codeKernels(kernels, 20, {
      kernel: [3, 3],
      transforms: 1,
      seed: 1,
      sweeps: 50,
    });
    for (let i = 0; i < 20; i++)
      for (let t = 0; t < 9; t++)
        expect(scales[i]! * centroids[indices[i]! * 9 + t]!).toBeCloseTo(kernels[i * 9 + t]!, 12);
  });

  test("that mirror and turn need one centroid for all images of a kernel", () => {
    const [one] = [noise(9, "image")];
    const orders = kernelTransforms([3, 3], 8);
    expect(new Set(orders.map(String)).size).toBe(8);
    const kernels = Float64Array.from(orders.flatMap((order, t) => order.map((from) => (t + 1) * one![from]!)));
    const { centroids, indices, scales } = codeKernels(kernels, 1, {
      kernel: [3, 3],
      transforms: 8,
      seed: 1,
      sweeps: 50,
    });
    for (let i = 0; i < 8; i++)
      for (let t = 0; t < 9; t++)
        expect(scales[i]! * centroids[orders[indices[i]! % 8]![t]!]!).toBeCloseTo(kernels[i * 9 + t]!, 10);
  });
});

describe("the indicator of kernel sparsity and entropy", () => {
  test("is 1 for channels that are all alike, also of one kernel, and least for a channel of zeros", () => {
    const one = noise(4 * 9, "one");
    const alike = Float64Array.from({ length: 4 * 3 * 9 }, (_, at) => one[Math.floor(at / 27) * 9 + (at % 9)]!);
    expect([...channelIndicator(alike, [4, 3, 9])]).toEqual([1, 1, 1]);
    expect([...channelIndicator(Float64Array.of(2, 2), [1, 2, 1])]).toEqual([1, 1]);
    const weights = noise(6 * 3 * 9, "channels");
    for (let i = 0; i < 6; i++) weights.fill(0, (i * 3 + 1) * 9, (i * 3 + 2) * 9);
    const indicator = channelIndicator(weights, [6, 3, 9]);
    expect(indicator[1]).toBe(0);
    expect(Math.max(...indicator)).toBe(1);
  });

  test("gives none, a part or all of the centroids", () => {
    const of = (v: number, halvings = 0) => centroidsOf(v, 64, 4, halvings);
    expect([0, 0.24, 0.25, 0.5, 0.74, 0.75, 1].map((v) => of(v))).toEqual([0, 0, 16, 32, 32, 64, 64]);
    expect([0.25, 0.5, 1].map((v) => of(v, 1))).toEqual([8, 16, 64]);
    expect(centroidsOf(0.3, 5, 8, 2)).toBe(1);
  });
});
