import { describe, expect, test } from "vitest";
import { someImage } from "../../test/images.js";
import { luma } from "../data/image.js";
import { float32Tensor } from "../graph/attributes.js";
import { compareOutput } from "./loss.js";
import type { Truth } from "./truths.js";

const image = someImage(24, 20, { seed: 3 });
const truth = (part: Partial<Truth> = {}): Truth =>
  ({ kind: "image", image, scale: 2, range: 1, bgr: false, ...part }) as Truth;
const rgb = (noise: number, range = 1) =>
  float32Tensor(
    [1, 3, 20, 24],
    Float32Array.from(image.data, (value, i) => ((value + noise * Math.sin(i)) * range) / 255),
  );

describe("outputs beside images that are the truth", () => {
  test("lose the decibels by which the other network is further from it", () => {
    const comparison = compareOutput("y");
    comparison.add(rgb(4), rgb(8), [truth()]);
    const { kind, loss, psnrToTruth, ssimToTruth } = comparison.result();
    expect(kind).toBe("decibels");
    expect(loss.mean).toBeCloseTo(psnrToTruth!.original.mean - psnrToTruth!.other.mean, 9);
    expect(loss.mean).toBeGreaterThan(5);
    expect(loss.mean).toBeLessThan(7); // twice the difference is 6.02 dB, but for rounding to 8 bits
    expect(ssimToTruth!.original.mean).toBeGreaterThan(ssimToTruth!.other.mean);
  });

  test("are read in their own range and order, and luma is compared with luma", () => {
    const quality = (values: ReturnType<typeof rgb>, part: Partial<Truth> = {}) => {
      const comparison = compareOutput("y");
      comparison.add(values, values, [truth(part)]);
      return comparison.result().psnrToTruth!.original.mean;
    };
    expect(quality(rgb(4, 255), { range: 255 })).toBeCloseTo(quality(rgb(4)), 1);
    expect(quality(rgb(0))).toBe(100);
    const size = 20 * 24;
    const planes = [2, 1, 0].flatMap((c) => [...image.data.subarray(c * size, (c + 1) * size)]);
    expect(
      quality(
        float32Tensor(
          [1, 3, 20, 24],
          Float32Array.from(planes, (v) => v / 255),
        ),
        { bgr: true },
      ),
    ).toBe(100);
    const grey = float32Tensor(
      [1, 1, 20, 24],
      luma(image).map((value) => value / 255),
    );
    expect(quality(grey)).toBeGreaterThan(50);
  });

  test("lose everything where only the other network is not finite, and a stated kind stays", () => {
    const broken = rgb(0);
    new Float32Array(broken.data.buffer, broken.data.byteOffset)[5] = Number.NaN;
    const comparison = compareOutput("y");
    comparison.add(rgb(4), broken, [truth()]);
    const { loss, psnrToTruth } = comparison.result();
    expect(loss.mean).toBe(psnrToTruth!.original.mean);
    const stated = compareOutput("y", "relative");
    stated.add(rgb(4), rgb(8), [truth()]);
    expect(stated.result()).toMatchObject({ kind: "relative", psnrToTruth: { lost: { interval: 0 } } });
  });

  test("of another size are compared with each other alone", () => {
    const comparison = compareOutput("y");
    comparison.add(
      float32Tensor([1, 3, 2, 2], new Float32Array(12)),
      float32Tensor([1, 3, 2, 2], new Float32Array(12)),
      [truth()],
    );
    expect(comparison.result()).toMatchObject({ kind: "relative", psnrToTruth: null, ssimToTruth: null });
  });
});

describe("scores beside labels", () => {
  const scores = (...values: readonly number[]) => float32Tensor([values.length / 3, 3], Float32Array.from(values));
  const label = (value: number, classes: number | undefined = 3): Truth => ({ kind: "class", label: value, classes });

  test("give the top-1 error of both networks, and the loss stays the share of classes that changed", () => {
    const comparison = compareOutput("y");
    comparison.add(scores(1, 0, 0, 0, 0, 1), scores(1, 0, 0, 0, 1, 0), [label(0), label(1)]);
    expect(comparison.result()).toMatchObject({
      kind: "classes",
      loss: { mean: 0.5 },
      top1Error: { original: 50, other: 0 },
    });
  });

  test("count only where the data has as many classes as the network", () => {
    const comparison = compareOutput("y");
    comparison.add(scores(1, 0, 0), scores(1, 0, 0), [label(0, 2)]);
    expect(comparison.result().top1Error).toBeNull();
    const numbers = compareOutput("y");
    numbers.add(scores(1, 0, 0), scores(Number.NaN, 0, 0), [{ ...label(0), classes: undefined } as Truth]);
    expect(numbers.result().top1Error).toEqual({ original: 0, other: 100 });
  });
});
