import { describe, expect, test } from "vitest";
import { float32Tensor } from "../graph/attributes.js";
import { compareOutput } from "./loss.js";
import { meanOf } from "./mean.js";
import { classAxis, isMask, kindOfOutput } from "./output-kind.js";

const of = (dims: readonly number[], values: readonly number[]) => float32Tensor(dims, Float32Array.from(values));

describe("what an output is", () => {
  test("a matrix has classes along its second axis, also with trailing axes of one", () => {
    expect(classAxis(of([1, 3], [5, -1, 2]))).toBe(1);
    expect(classAxis(of([1, 3, 1, 1], [5, -1, 2]))).toBe(1);
    expect(classAxis(of([1, 3, 1], [5, -1, 2]))).toBe(-1);
  });

  test("probabilities have classes along the axis that they sum to one over", () => {
    expect(classAxis(of([1, 2, 3], [0.2, 0.3, 0.5, 1, 0, 0]))).toBe(2);
    expect(classAxis(of([1, 2, 1, 3], [0.2, 1, 0.5, 0.8, 0, 0.5]))).toBe(1);
  });

  test("a plane of zeros and ones is a mask, a grey image and a flat vector are not", () => {
    expect(isMask(of([1, 1, 2, 2], [0, 0.99, 1, 0.5]))).toBe(true);
    expect(isMask(of([1, 1, 2, 2], [0.4, 0.5, 0.6, 0.5]))).toBe(false);
    expect(isMask(of([1, 1, 2, 2], [0, 255, 1, 0]))).toBe(false);
    expect(isMask(of([1, 4], [0, 1, 1, 0]))).toBe(false);
    expect(kindOfOutput(of([1, 2, 3], [0, 1, 0, 0.99, 0.01, 0]))).toBe("classes"); // probabilities, line by line
    expect(
      kindOfOutput(
        of(
          [1, 3, 2, 2],
          Array.from({ length: 12 }, (_, i) => i),
        ),
      ),
    ).toBe("relative");
  });
});

describe("a comparison", () => {
  test("of masks is 1 - IoU at one half, and two empty masks are the same", () => {
    const comparison = compareOutput("mask");
    comparison.add(of([2, 1, 2, 2], [1, 1, 0, 0, 0, 0, 0, 0]), of([2, 1, 2, 2], [1, 0, 0, 0, 0, 0, 0, 0]));
    const { kind, loss, iou, inputs } = comparison.result();
    expect({ kind, inputs }).toEqual({ kind: "mask", inputs: 2 });
    expect(iou?.mean).toBeCloseTo(0.75);
    expect(loss.mean).toBeCloseTo(0.25);
  });

  test("of classes is the share of positions whose largest class changed", () => {
    const comparison = compareOutput("classes");
    comparison.add(of([2, 2], [1, 0, 0, 1]), of([2, 2], [3, 2, 5, 1]));
    expect(comparison.result()).toMatchObject({ kind: "classes", loss: { mean: 0.5 }, classesAgree: { mean: 0.5 } });
  });

  test("classes that never change are no classes: landmarks, say", () => {
    const loss = (winner: (input: number) => number, inputs = 8, kind?: "classes") => {
      const comparison = compareOutput("y", kind);
      for (let i = 0; i < inputs; i++) {
        const values = [1, 2, 3].map((value, k) => value + (k === winner(i) ? 10 : 0));
        comparison.add(of([1, 1, 1, 3], values), of([1, 1, 1, 3], values));
      }
      return comparison.result();
    };
    expect(loss(() => 1)).toMatchObject({ kind: "relative", classesAgree: { mean: 1 } });
    expect(loss((i) => i % 2).kind).toBe("classes");
    expect(loss(() => 1, 7).kind).toBe("classes"); // too few to say
    expect(loss(() => 1, 8, "classes").kind).toBe("classes"); // stated
  });

  test("loses what has other sizes", () => {
    const comparison = compareOutput("y", "relative");
    comparison.add(of([1, 2], [1, 2]), of([1, 2], [1, 2]));
    comparison.lose(1);
    expect(comparison.result()).toMatchObject({ inputs: 2, otherSizes: 1, loss: { mean: 0.5 } });
  });

  test("tells of an output that is the same on every input", () => {
    const [same, other, one] = [compareOutput("same"), compareOutput("other"), compareOutput("one")];
    same.add(of([2, 2], [1, 2, 1, 2]), of([2, 2], [1, 2, 1, 2]));
    other.add(of([1, 2], [1, 2]), of([1, 2], [1, 2]));
    other.add(of([1, 2], [1, 3]), of([1, 2], [1, 2]));
    one.add(of([1, 2], [1, 2]), of([1, 2], [1, 2]));
    expect([same, other, one].map((comparison) => comparison.result().constant)).toEqual([true, false, false]);
  });

  test("of anything else is the mean relative error over inputs, with the interval of its mean", () => {
    const comparison = compareOutput("y", "relative");
    comparison.add(of([2, 2], [3, 4, 3, 4]), of([2, 2], [3, 4, 3, 4.5]));
    const { loss, correlation, psnr, absolute } = comparison.result();
    expect(loss.mean).toBeCloseTo(0.05);
    expect(loss.interval).toBeCloseTo(1.96 * Math.sqrt(0.005 / 2), 5);
    expect(correlation).toBeGreaterThan(0.9);
    expect(absolute).toBeCloseTo(0.125);
    expect(psnr).toBeCloseTo(10 * Math.log10(1 / 0.0625));
  });

  test("counts what only the other network makes not finite as lost, leaves out what the original does, survives none at all", () => {
    const comparison = compareOutput("y", "relative");
    comparison.add(of([3, 2], [1, 2, 1, 2, Number.NaN, 2]), of([3, 2], [1, 2, Number.NaN, 2, 1, 2]));
    expect(comparison.result()).toMatchObject({ inputs: 2, notFinite: 2, loss: { mean: 0.5 } });
    const classes = compareOutput("y", "classes");
    classes.add(of([2, 2], [1, 2, 1, 2]), of([2, 2], [1, 2, Number.POSITIVE_INFINITY, 2]));
    expect(classes.result()).toMatchObject({ inputs: 2, notFinite: 1, loss: { mean: 0.5 } });
    const none = compareOutput("y", "relative");
    none.add(of([1, 1], [Number.POSITIVE_INFINITY]), of([1, 1], [1]));
    expect(none.result()).toMatchObject({ inputs: 0, notFinite: 1 });
  });

  test("counts an original that is zero everywhere as lost where the other is not", () => {
    const comparison = compareOutput("y", "relative");
    comparison.add(of([2, 2], [0, 0, 0, 0]), of([2, 2], [0, 0, 0, 2]));
    expect(comparison.result().loss.mean).toBe(0.5);
  });
});

test("the mean of one value has no interval, of none no value", () => {
  expect(meanOf([2])).toEqual({ mean: 2, interval: 0 });
  expect(meanOf([]).mean).toBeNaN();
});
