import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { squaredNorm, stackRows, transpose } from "../linalg/matrix.js";
import { multiply } from "../linalg/product.js";
import { Random } from "../linalg/random.js";
import { svd } from "../linalg/svd.js";
import { type Filters, initialise, reconstruct, splitMatrix } from "./initialise.js";
import { initialiseSliced } from "./sliced.js";
import {
  basisMacs,
  basisWeights,
  bestSplits,
  chooseSplits,
  denseWeights,
  divisors,
  fullRank,
  nearestDivisor,
  optimalSplits,
  rate,
  sliceStart,
} from "./split.js";

function filters(outChannels: number, inChannels: number, kernelElements: number, splits: number, seed = 1): Filters {
  const random = new Random(seed);
  const values = Float64Array.from({ length: outChannels * inChannels * kernelElements }, () => random.normal());
  return { name: "conv", outChannels, inChannels, kernelElements, splits, values };
}

const lost = (a: Float64Array, b: Float64Array): number => squaredNorm(a.map((value, i) => value - b[i]!));

/** Layers of one p and one kernel, any splits and outputs. */
const shared = fc
  .record({
    p: fc.integer({ min: 1, max: 4 }),
    kernelElements: fc.constantFrom(1, 3, 9),
    seed: fc.integer({ min: 0, max: 1000 }),
  })
  .chain(({ p, kernelElements, seed }) =>
    fc
      .array(fc.record({ n: fc.integer({ min: 1, max: 6 }), s: fc.integer({ min: 1, max: 4 }) }), {
        minLength: 1,
        maxLength: 3,
      })
      .map((sizes) => sizes.map(({ n, s }, i) => filters(n, s * p, kernelElements, s, seed + i))),
  );

describe("splits", () => {
  const shape = { outChannels: 128, inChannels: 128, kernelElements: 9 };

  test("the counts are those of the paper's Eq. 4 to 6", () => {
    expect(basisWeights(shape, 4, 32)).toBe(32 * 32 * 9 + 128 * 32 * 4);
    expect(basisMacs(shape, 4, 32)).toBe(32 * 128 * 9 + 128 * 32 * 4);
    expect(denseWeights(shape)).toBe(147456);
    expect(rate(shape, 1, 32)).toBeCloseTo(32 / 128 + 32 / (128 * 9), 12); // Eq. 4
    expect(rate(shape, 128, 32)).toBeCloseTo(32 / (128 * 128) + 32 / 9, 12); // Eq. 5
    expect(rate(shape, 4, 32)).toBeCloseTo(32 / (128 * 4) + 32 / (32 * 9), 12); // Eq. 6
  });

  test("the best split is Eq. 7's moved to a divisor", () => {
    expect(optimalSplits(shape)).toBe(3);
    expect(bestSplits(shape)).toBe(4);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 256 }),
        fc.integer({ min: 1, max: 256 }),
        fc.constantFrom(1, 9, 25),
        (n, c, kernelElements) => {
          const one = { outChannels: n, inChannels: c, kernelElements };
          for (const s of divisors(c))
            expect(rate(one, bestSplits(one), 1)).toBeLessThanOrEqual(rate(one, s, 1) + 1e-12);
          expect(bestSplits(one)).toBe(optimalSplits(one) <= 1 ? 1 : bestSplits(one));
        },
      ),
    );
  });

  test("divisors are found in order", () => {
    expect(divisors(36)).toEqual([1, 2, 3, 4, 6, 9, 12, 18, 36]);
    expect(divisors(1)).toEqual([1]);
    expect(divisors(13)).toEqual([1, 13]);
  });

  test("a split that does not divide the channels is moved to the nearest divisor, and says so", () => {
    expect(chooseSplits(64, 4)).toEqual({ splits: 4 });
    expect(chooseSplits(64, 5)).toEqual({
      splits: 4,
      note: "4 splits instead of 5, the nearest divisor of its 64 input channels",
    });
    expect(chooseSplits(3, 100).splits).toBe(3);
    expect(nearestDivisor(50, 7)).toBe(5);
    for (const wanted of [0, -1, 1.5, Number.NaN])
      expect(() => chooseSplits(64, wanted)).toThrow(expect.objectContaining({ code: "invalid-plan" }));
  });

  test("a slice lies at the first or at the last channels", () => {
    expect(sliceStart(10, 4, "first")).toBe(0);
    expect(sliceStart(10, 4, "last")).toBe(6);
  });
});

describe("initialisation", () => {
  test("error^2 is the sum of the squares of the discarded singular values, for one layer and for a stack", () => {
    fc.assert(
      fc.property(shared, fc.double({ min: 0, max: 1, noNaN: true }), (layers, part) => {
        const stack = stackRows(layers.map(splitMatrix));
        const values = svd(stack).values;
        const m = Math.max(1, Math.round(part * values.length));
        const { basis, coefficients, squaredErrors } = initialise(layers, m);
        const errors = layers.map((layer, i) => lost(layer.values, reconstruct(basis, coefficients[i]!, m)));
        const discarded = squaredNorm(values.slice(m));
        const total = squaredNorm(stack.data);
        const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
        expect(Math.abs(sum(errors) - discarded)).toBeLessThan(1e-10 * total);
        for (const [i, error] of errors.entries())
          expect(Math.abs(error - squaredErrors[i]!)).toBeLessThan(1e-10 * total);
      }),
      { numRuns: 150, seed: 4 },
    );
  });

  test("W[o, g p + i, y, x] = sum_j A[o, g m + j] B[j, i, y, x], index by index", () => {
    const [n, c, kernelElements, s, m] = [5, 6, 4, 3, 7];
    const layer = filters(n, c, kernelElements, s);
    const { basis, coefficients } = initialise([layer], m);
    const a = coefficients[0]!;
    const p = c / s;
    const rebuilt = new Float64Array(layer.values.length);
    for (let o = 0; o < n; o++)
      for (let g = 0; g < s; g++)
        for (let i = 0; i < p; i++)
          for (let y = 0; y < kernelElements; y++)
            for (let j = 0; j < m; j++)
              rebuilt[(o * c + g * p + i) * kernelElements + y]! +=
                a[o * s * m + g * m + j]! * basis[(j * p + i) * kernelElements + y]!;
    expect(lost(rebuilt, reconstruct(basis, a, m))).toBeLessThan(1e-20);
    expect(lost(rebuilt, layer.values) / squaredNorm(layer.values)).toBeLessThan(0.5);
  });

  test("full rank gives the filters back", () => {
    for (const s of [1, 2, 4, 8]) {
      const layer = filters(6, 8, 9, s);
      const m = fullRank(layer, s);
      const { basis, coefficients, squaredErrors } = initialise([layer], m);
      expect(lost(layer.values, reconstruct(basis, coefficients[0]!, m))).toBeLessThan(
        1e-22 * squaredNorm(layer.values),
      );
      expect(squaredErrors).toEqual([0]);
    }
  });

  // The two older methods, computed here in their own way: a truncated SVD of the matrix that their papers state.
  test.each([
    ["s = 1 is the 3D filter-wise method: the SVD of [n x (c h w)]", 1, 6, 8 * 9],
    ["s = c is the 2D channel-wise method: the SVD of [(n c) x (h w)]", 8, 6 * 8, 9],
  ])("%s", (_, s, rows, cols) => {
    const layer = filters(6, 8, 9, s);
    const m = 3;
    const { basis, coefficients, squaredErrors } = initialise([layer], m);
    expect(basis).toHaveLength(m * cols);
    const values = svd({ rows, cols, data: layer.values }).values;
    expect(squaredErrors[0]).toBeCloseTo(squaredNorm(values.slice(m)), 9);
    // What is left is orthogonal to the basis: the product is the projection on its rows, which the SVD's is too.
    const product = reconstruct(basis, coefficients[0]!, m);
    const b = { rows: m, cols, data: basis };
    const own = { rows, cols, data: layer.values };
    const residual = { rows, cols, data: own.data.map((value, i) => value - product[i]!) };
    expect(squaredNorm(multiply(residual, transpose(b)).data)).toBeLessThan(1e-18 * squaredNorm(own.data));
  });

  test("a basis beyond the full rank of the stack is refused, by name", () => {
    const layers = [filters(2, 4, 9, 1, 1), filters(2, 4, 9, 1, 2)];
    expect(initialise(layers, 4).basisSize).toBe(4); // the rank counts over all the layers that share
    expect(() => initialise(layers, 5)).toThrow(
      expect.objectContaining({ code: "invalid-plan", expected: "at most 4 basis filters" }),
    );
  });

  test("a weight that is not finite is refused, by layer", () => {
    const layer = filters(4, 4, 9, 1);
    layer.values[7] = Number.NaN;
    expect(() => initialise([layer], 2)).toThrow(
      expect.objectContaining({ code: "non-finite", place: { layer: "conv" } }),
    );
  });
});

describe("slices of one basis", () => {
  const growing = [filters(4, 3, 9, 1, 1), filters(4, 6, 9, 1, 2), filters(4, 9, 9, 1, 3)];

  /** The error of each layer over the part of the basis that it reads. */
  function errors(
    basis: Float64Array,
    coefficients: readonly Float64Array[],
    m: number,
    end: "first" | "last",
  ): number[] {
    const width = basis.length / m;
    return growing.map((layer, i) => {
      const own = layer.inChannels * 9;
      const start = end === "first" ? 0 : width - own;
      const part = Float64Array.from(
        { length: m * own },
        (_, k) => basis[Math.floor(k / own) * width + start + (k % own)]!,
      );
      return lost(layer.values, reconstruct(part, coefficients[i]!, m));
    });
  }

  test.each(["first", "last"] as const)(
    "read at the %s channels lose no more than the zero-padded SVD, at any size",
    (end) => {
      for (const m of [1, 3, 6, 11]) {
        const { basis, coefficients, squaredErrors } = initialiseSliced(growing, m, { end });
        expect(basis).toHaveLength(m * 9 * 9);
        const found = errors(basis, coefficients, m, end);
        for (const [i, error] of found.entries()) expect(error).toBeCloseTo(squaredErrors[i]!, 9);
        const padded = growing.map((layer) => {
          const values = new Float64Array(layer.outChannels * 81);
          const own = layer.inChannels * 9;
          for (let o = 0; o < layer.outChannels; o++)
            values.set(layer.values.subarray(o * own, (o + 1) * own), o * 81 + (end === "first" ? 0 : 81 - own));
          return { ...layer, inChannels: 9, values };
        });
        const zeros = initialise(padded, m).squaredErrors.reduce((a, b) => a + b, 0);
        expect(found.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(zeros * (1 + 1e-12));
      }
    },
  );

  test("further rounds never lose more", () => {
    const total = (rounds: number) => initialiseSliced(growing, 4, { rounds }).squaredErrors.reduce((a, b) => a + b, 0);
    const series = [0, 1, 2, 5, 20].map(total);
    for (const [i, value] of series.slice(1).entries()) expect(value).toBeLessThanOrEqual(series[i]! * (1 + 1e-12));
    expect(series.at(-1)!).toBeLessThan(series[0]! * 0.99);
  });

  test("of one width are the stacked SVD", () => {
    const same = [filters(4, 6, 9, 1, 1), filters(5, 6, 9, 1, 2)];
    const sliced = initialiseSliced(same, 3).squaredErrors.reduce((a, b) => a + b, 0);
    expect(sliced).toBeCloseTo(
      initialise(same, 3).squaredErrors.reduce((a, b) => a + b, 0),
      8,
    );
  });
});
