import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { makeNode } from "../../graph/attributes.js";
import { numbers, tensorOf } from "../../graph/values.js";
import { biasShift } from "./bias-shift.js";
import { dequantized, quantizeBias, quantized, quantizeWeight, scalesForBias, stepOf, weightFormats } from "./steps.js";

const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e4), max: Math.fround(1e4) });

describe("steps of eight bits", () => {
  test("a value within the range comes back within half a step, and 0 exactly", () => {
    fc.assert(
      fc.property(
        float,
        float,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom("int8", "uint8"),
        (a, b, t, type) => {
          const range = { low: Math.min(a, b), high: Math.max(a, b) };
          const step = stepOf(range, type);
          const [low, high] = [Math.min(0, range.low), Math.max(0, range.high)];
          const value = Math.fround(low + t * (high - low));
          const back = dequantized(quantized(value, step), step);
          expect(Math.abs(back - value)).toBeLessThanOrEqual(0.5 * step.scale * 1.01);
          expect(dequantized(quantized(0, step), step)).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("values that never differ from 0, and one outlier of 1e4, have steps", () => {
    expect(stepOf({ low: 0, high: 0 })).toEqual({ type: "uint8", scale: 1, zero: 0 });
    expect(stepOf({ low: 0, high: 1e4 }).scale).toBeCloseTo(1e4 / 255, 2);
    expect(stepOf({ low: -3, high: -3 }).zero).toBe(255);
    expect(quantized(1e9, stepOf({ low: 0, high: 1 }))).toBe(255);
  });

  test("weights are symmetric, channel by channel, within half a step; channels of zeros stay zeros", () => {
    const weights = fc.array(float, { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(weights, fc.constantFrom("int8", "int7", "uint8"), fc.constantFrom(0, 1), (list, name, axis) => {
        const values = Float64Array.from(list, (value, i) => (i < 3 && axis === 0 ? 0 : value));
        const format = weightFormats[name];
        const { integers, scales, values: rounded } = quantizeWeight(values, [4, 3], axis, format);
        expect(integers.type).toBe(format.type);
        for (const [i, value] of values.entries()) {
          const scale = scales[axis === 0 ? Math.floor(i / 3) : i % 3]!;
          expect(Math.abs(rounded[i]! - value)).toBeLessThanOrEqual(scale / 2 + 1e-6 * Math.abs(value));
          expect(Math.abs(numbers(integers)[i]! - format.zero)).toBeLessThanOrEqual(format.most);
          if (value === 0) expect(rounded[i]).toBeCloseTo(0, 12);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a bias fits into 32 bits whatever its size, for weights get larger steps for it", () => {
    const bias = [0, 1e4, -1e-3, 1e9];
    const inputScale = 1e-6;
    const values = new Float64Array(8).fill(1e-5);
    const { scales } = quantizeWeight(values, [4, 2], 0, weightFormats.int8, scalesForBias(bias, inputScale));
    const steps = quantizeBias(
      bias,
      scales.map((scale) => scale * inputScale),
    );
    for (const [i, value] of bias.entries()) {
      expect(Math.abs(steps[i]!)).toBeLessThan(2 ** 30 * 1.001);
      expect(steps[i]! * scales[i]! * inputScale).toBeCloseTo(value, value > 1e6 ? -3 : 3);
    }
  });

  test("the correction of biases leaves no error of the mean", () => {
    const rows = fc.array(fc.array(float, { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(rows, fc.array(float, { minLength: 12, maxLength: 12 }), (inputs, list) => {
        const weight = tensorOf("float32", [2, 6, 1, 1], list);
        const exact = numbers(weight);
        const { values: rounded } = quantizeWeight(exact, weight.dims, 0, weightFormats.int8);
        const means = Float64Array.from(
          { length: 6 },
          (_, c) => inputs.reduce((sum, row) => sum + row[c]!, 0) / inputs.length,
        );
        const node = makeNode("Conv", ["x", "w"], ["y"], { kernel_shape: { kind: "ints", value: [1n, 1n] } });
        const shift = biasShift(node, weight, rounded, means);
        const errorOf = (o: number): number =>
          inputs.reduce(
            (sum, row) => sum + row.reduce((all, x, c) => all + (exact[o * 6 + c]! - rounded[o * 6 + c]!) * x, 0),
            0,
          ) / inputs.length;
        for (const o of [0, 1]) {
          const before = Math.abs(errorOf(o));
          expect(Math.abs(errorOf(o) - shift[o]!)).toBeLessThanOrEqual(before + 1e-9);
          expect(errorOf(o) - shift[o]!).toBeCloseTo(0, 2);
        }
      }),
      { numRuns: 100 },
    );
  });
});
