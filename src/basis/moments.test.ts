// A basis made for what a layer sees: its outputs' error is least, at full rank nothing changes, a constant goes into
// the bias.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cholesky } from "../linalg/cholesky.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { gram, multiply } from "../linalg/product.js";
import { Random } from "../linalg/random.js";
import { type Factors, type Filters, initialise, reconstruct, splitMatrix } from "./initialise.js";
import { type ActivationMoments, blockMoments, fitToOutputs, outputSpectrum, sharedMoments } from "./moments.js";

const kernelElements = 4;

function layer(outChannels: number, inChannels: number, splits: number, seed = 1): Filters {
  const random = new Random(seed);
  const values = Float64Array.from({ length: outChannels * inChannels * kernelElements }, () => random.normal());
  return { name: "conv", outChannels, inChannels, kernelElements, splits, values };
}

/** Patches [count, c h w] whose numbers hang together and differ in strength, around a mean that is not 0. */
function patchesOf(inChannels: number, count = 400, seed = 2): Matrix {
  const random = new Random(seed);
  const width = inChannels * kernelElements;
  const mixing = matrix(
    width,
    width,
    Float64Array.from({ length: width * width }, () => random.normal()).map((value, i) => value / (1 + (i % width))),
  );
  const noise = matrix(
    count,
    width,
    Float64Array.from({ length: count * width }, () => random.normal()),
  );
  const { data } = multiply(noise, mixing);
  return matrix(
    count,
    width,
    data.map((value, i) => value + 2 + (i % width) / width),
  );
}

function centred({ rows, cols, data }: Matrix): { mean: Float64Array; rest: Matrix } {
  const mean = new Float64Array(cols);
  for (let i = 0; i < data.length; i++) mean[i % cols] = mean[i % cols]! + data[i]! / rows;
  const rest = matrix(
    rows,
    cols,
    data.map((value, i) => value - mean[i % cols]!),
  );
  return { mean, rest };
}

function momentsOf(patches: Matrix, channels: number): ActivationMoments {
  const { mean, rest } = centred(patches);
  const blocks = matrix((rest.rows * rest.cols) / (channels * kernelElements), channels * kernelElements, rest.data);
  const second = gram(blocks);
  return {
    channels,
    second: matrix(
      second.rows,
      second.cols,
      second.data.map((value) => value / blocks.rows),
    ),
    mean,
  };
}

/** E|(W - BA)(x - E x)|^2 over the patches. */
function outputError(filters: Filters, { basis, coefficients, basisSize }: Factors, patches: Matrix): number {
  const rebuilt = reconstruct(basis, coefficients[0]!, basisSize);
  const lost = matrix(
    filters.outChannels,
    patches.cols,
    filters.values.map((value, i) => value - rebuilt[i]!),
  );
  return squaredNorm(multiply(centred(patches).rest, transpose(lost)).data) / patches.rows;
}

function calibrated(filters: Filters, basisSize: number, moments: ActivationMoments): Factors {
  const block = blockMoments(moments, kernelElements, filters.inChannels / filters.splits);
  const spectrum = outputSpectrum(splitMatrix(filters), block, pureLinearAlgebra);
  return fitToOutputs(initialise([filters], basisSize, spectrum), [filters], [moments]);
}

describe("a basis for what a layer sees", () => {
  test("loses less of the outputs than the filters' own, for every number of splits and basis size", () => {
    for (const splits of [1, 2, 4]) {
      const filters = layer(6, 4, splits);
      const patches = patchesOf(4);
      const most = Math.min(6 * splits, (4 / splits) * kernelElements);
      for (let basisSize = 1; basisSize < most; basisSize++) {
        const own = outputError(filters, initialise([filters], basisSize), patches);
        expect(outputError(filters, calibrated(filters, basisSize, momentsOf(patches, 4)), patches)).toBeLessThan(own);
      }
    }
  });

  test("with one split is the best there is: its error is the sum of the discarded squares", () => {
    const filters = layer(6, 4, 1);
    const patches = patchesOf(4);
    const moments = momentsOf(patches, 4);
    const { squares } = outputSpectrum(
      splitMatrix(filters),
      blockMoments(moments, kernelElements, 4),
      pureLinearAlgebra,
    );
    for (const basisSize of [1, 2, 4]) {
      const discarded = squares.subarray(basisSize).reduce((sum, square) => sum + square, 0);
      const found = outputError(filters, calibrated(filters, basisSize, moments), patches);
      expect(Math.abs(found / discarded - 1)).toBeLessThan(0.02); // what unseen directions still weigh makes the difference
    }
  });

  test("has coefficients that no change makes better, counting a little how far they went from those of the SVD", () => {
    const filters = layer(6, 4, 2);
    const patches = patchesOf(4);
    const moments = momentsOf(patches, 4);
    const start = initialise(
      [filters],
      3,
      outputSpectrum(splitMatrix(filters), blockMoments(moments, kernelElements, 2), pureLinearAlgebra),
    );
    const best = fitToOutputs(start, [filters], [moments]);
    // What the basis makes of the patches, split by split: a tenth of its mean square is what a coefficient's way
    // weighs.
    const blocks = matrix(patches.rows * 2, 8, centred(patches).rest.data);
    const seen = multiply(blocks, transpose(matrix(3, 8, start.basis)));
    const held = (0.1 * squaredNorm(seen.data)) / patches.rows / 6;
    const objective = (coefficients: Float64Array) =>
      outputError(filters, { ...best, coefficients: [coefficients] }, patches) +
      held * squaredNorm(coefficients.map((value, i) => value - start.coefficients[0]![i]!));
    const random = new Random(5);
    for (let i = 0; i < 50; i++) {
      const change = best.coefficients[0]!.map((value) => value + 0.01 * random.normal());
      expect(objective(change)).toBeGreaterThan(objective(best.coefficients[0]!));
    }
    expect(squaredNorm(best.coefficients[0]!.map((value, i) => value - start.coefficients[0]![i]!))).toBeGreaterThan(
      0.01,
    );
  });

  test("gives the filters themselves back at full rank", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 99 }),
        (splits, n, seed) => {
          const filters = layer(n, 4, splits, seed);
          const full = Math.min(n * splits, (4 / splits) * kernelElements);
          const { basis, coefficients, squaredErrors, shifts } = calibrated(
            filters,
            full,
            momentsOf(patchesOf(4, 60, seed + 1), 4),
          );
          const rebuilt = reconstruct(basis, coefficients[0]!, full);
          filters.values.forEach((value, i) => void expect(rebuilt[i]).toBeCloseTo(value, 8));
          expect(squaredErrors[0]).toBeLessThan(1e-14);
          for (const value of shifts![0]!) expect(value).toBeCloseTo(0, 8);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("puts what becomes of the mean into the bias, and says the error of the filters", () => {
    const filters = layer(5, 4, 2);
    const patches = patchesOf(4);
    const moments = momentsOf(patches, 4);
    const found = calibrated(filters, 2, moments);
    const rebuilt = reconstruct(found.basis, found.coefficients[0]!, 2);
    const lost = filters.values.map((value, i) => value - rebuilt[i]!);
    expect(found.squaredErrors[0]).toBeCloseTo(squaredNorm(lost), 9);
    for (let n = 0; n < 5; n++) {
      const expected = moments.mean!.reduce((sum, value, k) => sum + value * lost[n * 16 + k]!, 0);
      expect(found.shifts![0]![n]).toBeCloseTo(expected, 9);
    }
    const { mean: _, ...uncentred } = moments;
    expect(calibrated(filters, 2, { ...uncentred, mean: undefined }).shifts).toEqual([undefined]);
  });

  test("is shared by layers that see different things, each with coefficients of its own", () => {
    const layers = [layer(4, 4, 2, 1), layer(6, 2, 1, 2)];
    const [first, second] = [patchesOf(4, 300, 3), patchesOf(2, 300, 4)];
    const moments = [momentsOf(first, 4), momentsOf(second, 2)];
    const block = sharedMoments(moments, kernelElements, 2);
    const stacked = layers.map(splitMatrix);
    const all = matrix(
      stacked[0]!.rows + stacked[1]!.rows,
      8,
      Float64Array.from(stacked.flatMap(({ data }) => [...data])),
    );
    const start = initialise(layers, 3, outputSpectrum(all, block, pureLinearAlgebra));
    const fitted = fitToOutputs(start, layers, moments);
    for (const [i, patches] of [first, second].entries()) {
      const alone = (factors: Factors) =>
        outputError(layers[i]!, { ...factors, coefficients: [factors.coefficients[i]!] }, patches);
      expect(alone(fitted)).toBeLessThanOrEqual(alone(start) * (1 + 1e-9));
    }
  });

  test("keeps its coefficients where nothing is known of one split beside another", () => {
    const filters = layer(6, 4, 2);
    const moments = momentsOf(patchesOf(4), 2);
    const start = initialise(
      [filters],
      3,
      outputSpectrum(splitMatrix(filters), blockMoments(moments, kernelElements, 2), pureLinearAlgebra),
    );
    expect(fitToOutputs(start, [filters], [moments]).coefficients).toEqual(start.coefficients);
  });
});

describe("moments of blocks", () => {
  const floorless = (moments: ActivationMoments, channels: number) => {
    const found = blockMoments(moments, kernelElements, channels);
    const trace = found.data.reduce((sum, value, i) => sum + (i % (found.cols + 1) === 0 ? value : 0), 0);
    const floor = (trace / found.rows / 1.001) * 0.001; // what was added is a thousandth of the mean of the diagonal
    return found.data.map((value, i) => (i % (found.cols + 1) === 0 ? value - floor : value));
  };

  test("that are smaller are averages, as if taken from the data", () => {
    const patches = patchesOf(4);
    for (const channels of [1, 2, 4]) {
      const direct = momentsOf(patches, channels).second.data;
      floorless(momentsOf(patches, 4), channels).forEach((value, i) => void expect(value).toBeCloseTo(direct[i]!, 9));
    }
  });

  test("that are larger stand side by side, of the greatest common width", () => {
    const moments = momentsOf(patchesOf(4), 2);
    const larger = blockMoments(moments, kernelElements, 4);
    const smaller = blockMoments(moments, kernelElements, 2);
    expect([larger.rows, larger.cols]).toEqual([16, 16]);
    for (let i = 0; i < 16; i++)
      for (let j = 0; j < 16; j++) {
        const same = Math.floor(i / 8) === Math.floor(j / 8);
        expect(larger.data[i * 16 + j]).toBe(same ? smaller.data[(i % 8) * 8 + (j % 8)] : 0);
      }
    expect(blockMoments(momentsOf(patchesOf(6), 6), kernelElements, 4).rows).toBe(16); // by blocks of 2
  });

  test("of an input that never changes, or of fewer samples than numbers, are positive definite still", () => {
    const nothing: ActivationMoments = { channels: 2, second: matrix(8, 8), mean: new Float64Array(8) };
    expect(() => cholesky(blockMoments(nothing, kernelElements, 2))).not.toThrow();
    expect(() => cholesky(blockMoments(momentsOf(patchesOf(4, 3), 4), kernelElements, 4))).not.toThrow();
    const filters = layer(3, 2, 1);
    expect(squaredNorm(calibrated(filters, 2, nothing).coefficients[0]!)).toBeGreaterThan(0);
    expect(() => cholesky(matrix(2, 2, [1, 2, 2, 1]))).toThrow(expect.objectContaining({ code: "invalid-plan" }));
    expect(() => blockMoments(nothing, 9, 2)).toThrow(
      expect.objectContaining({ code: "shape-mismatch", expected: "18 x 18" }),
    );
  });
});
