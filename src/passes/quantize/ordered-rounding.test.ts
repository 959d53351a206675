import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numbers, roundEven } from "../../graph/values.js";
import { type Matrix, matrix } from "../../linalg/matrix.js";
import { pureLinearAlgebra } from "../../linalg/pure.js";
import { Random } from "../../linalg/random.js";
import { orderedRounding } from "./ordered-rounding.js";
import { quantizeWeight, weightFormats } from "./steps.js";

const { most } = weightFormats.int8;
const scalesOf = ({ rows, cols, data }: Matrix): Float32Array =>
  quantizeWeight(data, [rows, cols], 0, weightFormats.int8).scales;

function nearestOf({ cols, data }: Matrix, scales: Float32Array): Int32Array {
  return Int32Array.from(data, (value, i) => roundEven(value / scales[Math.floor(i / cols)]!));
}

/** e H e^T of every row e of W - Q. */
function errorsOf({ rows, cols, data }: Matrix, scales: Float32Array, steps: Int32Array, { data: h }: Matrix) {
  return Array.from({ length: rows }, (_, row) => {
    const errors = Float64Array.from({ length: cols }, (_e, i) => {
      const at = row * cols + i;
      return data[at]! - steps[at]! * scales[row]!;
    });
    return errors.reduce((sum, a, i) => sum + a * errors.reduce((all, b, j) => all + b * h[i * cols + j]!, 0), 0);
  });
}

/** Weights with a row of zeros, and moments of inputs of which one is constant and one is an outlier. */
function drawn(n: number, d: number, seed: number, outlier = 1): { weight: Matrix; moments: Matrix } {
  const random = new Random(seed);
  const weight = matrix(n, d);
  for (let i = d; i < n * d; i++) weight.data[i] = random.normal() * (i % 7 === 0 ? outlier : 1);
  const samples = matrix(2 * d + 3, d);
  for (let row = 0; row < samples.rows; row++) {
    const common = random.normal();
    for (let i = 0; i < d; i++) samples.data[row * d + i] = 2 * common + random.normal();
    samples.data[row * d] = 0;
    samples.data[row * d + d - 1]! *= outlier;
  }
  return { weight, moments: pureLinearAlgebra.gram(samples) };
}

/** GPTQ as it was published: by the upper Cholesky factor of the inverse, column by column in the order given. */
function published(weight: Matrix, scales: Float32Array, moments: Matrix, order: readonly number[]): Int32Array {
  const { rows: n, cols: d } = weight;
  const mean = order.reduce((sum, i) => sum + moments.data[i * (d + 1)]!, 0) / d;
  const sorted = matrix(d, d);
  const unit = matrix(d, d);
  for (let i = 0; i < d; i++) {
    unit.data[i * (d + 1)] = 1;
    for (let j = 0; j < d; j++)
      sorted.data[i * d + j] = moments.data[order[i]! * d + order[j]!]! + (i === j ? 0.01 * mean : 0);
  }
  const lower = pureLinearAlgebra.cholesky(pureLinearAlgebra.solve(sorted, unit)).data; // its transpose is the factor
  const left = Float64Array.from({ length: n * d }, (_, at) => weight.data[at - (at % d) + order[at % d]!]!);
  const steps = new Int32Array(n * d);
  for (let row = 0; row < n; row++)
    for (let k = 0; k < d; k++) {
      const step = Math.min(most, Math.max(-most, roundEven(left[row * d + k]! / scales[row]!)));
      steps[row * d + order[k]!] = step;
      const error = (left[row * d + k]! - step * scales[row]!) / lower[k * (d + 1)]!;
      for (let j = k; j < d; j++) left[row * d + j]! -= error * lower[j * d + k]!;
    }
  return steps;
}

describe("rounding in order", () => {
  test("no row has a larger error than rounded to nearest, whatever the inputs", () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 24 }), fc.nat());
    fc.assert(
      fc.property(sizes, fc.constantFrom(1, 1e4), ([n, d, seed], outlier) => {
        const { weight, moments } = drawn(n, d, seed, outlier);
        const scales = scalesOf(weight);
        const { steps } = orderedRounding(weight, scales, moments, most, pureLinearAlgebra);
        expect(steps.every((step) => Math.abs(step) <= most)).toBe(true);
        const before = errorsOf(weight, scales, nearestOf(weight, scales), moments);
        for (const [row, error] of errorsOf(weight, scales, steps, moments).entries())
          expect(error).toBeLessThanOrEqual(before[row]! * (1 + 1e-9) + 1e-12);
      }),
      { numRuns: 200 },
    );
  });

  test("with inputs that move together it leaves less than half of the error of rounding to nearest", () => {
    const { weight, moments } = drawn(16, 48, 5);
    const scales = scalesOf(weight);
    const total = (steps: Int32Array) => errorsOf(weight, scales, steps, moments).reduce((a, b) => a + b, 0);
    const { steps } = orderedRounding(weight, scales, moments, most, pureLinearAlgebra);
    expect(total(steps)).toBeLessThan(total(nearestOf(weight, scales)) / 2);
  });

  test("a row that it changes is what GPTQ makes by the factor of the inverse", () => {
    const { weight, moments } = drawn(12, 20, 11);
    const scales = scalesOf(weight);
    const size = (i: number) => moments.data[i * 21]!;
    const order = Array.from({ length: 20 }, (_, i) => i).sort((a, b) => size(b) - size(a));
    const expected = published(weight, scales, moments, order);
    const { steps } = orderedRounding(weight, scales, moments, most, pureLinearAlgebra);
    const nearest = nearestOf(weight, scales);
    const rows = (all: Int32Array) =>
      Array.from({ length: 12 }, (_, row) => [...all.subarray(row * 20, row * 20 + 20)]);
    const changed = rows(steps).flatMap((own, row) => (`${own}` === `${rows(nearest)[row]}` ? [] : [row]));
    expect(changed.length).toBeGreaterThan(5);
    for (const row of changed) expect(rows(steps)[row]).toEqual(rows(expected)[row]);
  });

  test("inputs that are independent and of one size, and inputs that are always 0, give rounding to nearest", () => {
    const { weight } = drawn(5, 9, 3);
    const scales = scalesOf(weight);
    const unit = matrix(9, 9);
    for (let i = 0; i < 9; i++) unit.data[i * 10] = 1;
    for (const moments of [unit, matrix(9, 9)]) {
      const { steps } = orderedRounding(weight, scales, moments, most, pureLinearAlgebra);
      expect(steps).toEqual(nearestOf(weight, scales));
    }
  });
});

describe("a weight that is rounded already", () => {
  const values = Float64Array.from([0.5, -1, 0.25, 1, 0.125, -0.5]); // [3, 2], each column an output
  const { scales } = quantizeWeight(values, [3, 2], 1, weightFormats.int8);
  const steps = Int32Array.from([1, 2, 3, 4, 5, 6]); // [2 x 3]

  test("is taken, channels as rows", () => {
    const made = quantizeWeight(values, [3, 2], 1, weightFormats.uint8, undefined, { scales, steps });
    expect([...numbers(made.integers)].map((one) => one - 128)).toEqual([1, 4, 2, 5, 3, 6]);
    const conv = quantizeWeight(values, [2, 3, 1], 0, weightFormats.int8);
    const given = { scales: conv.scales, steps };
    expect([...numbers(quantizeWeight(values, [2, 3, 1], 0, weightFormats.int8, undefined, given).integers)]).toEqual([
      ...steps,
    ]);
  });

  test("is rounded to nearest where its bias needs larger steps", () => {
    const least = [1, 1];
    const made = quantizeWeight(values, [3, 2], 1, weightFormats.int8, least, { scales, steps });
    expect(made.integers).toEqual(quantizeWeight(values, [3, 2], 1, weightFormats.int8, least).integers);
  });
});
