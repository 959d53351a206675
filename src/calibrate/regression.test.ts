// The sequential fit of one layer: never worse than the factors it began with, on the samples that it is fitted to.
import fc from "fast-check";
import { expect, test } from "vitest";
import { candidatesOf } from "../basis/candidates.js";
import { composed } from "../basis/composed.js";
import type { LayerShape } from "../basis/factors.js";
import { fitCandidate } from "../basis/fit.js";
import { int, makeNode } from "../graph/attributes.js";
import { matrix } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import { Random } from "../linalg/random.js";
import type { CalibratedLayer } from "./layers.js";
import { pureProducts } from "./ort-engine.js";
import { outputErrorOf, refitted, withNewBias } from "./regression.js";
import { corrected } from "./replacement.js";
import { addSamples, finishCross, newSums } from "./sums.js";

function layerOf(shape: LayerShape, random: Random): CalibratedLayer {
  const { n, c, kernel, stride } = shape;
  const d = c * kernel[0] * kernel[1];
  return {
    ...{ name: "layer", kind: "conv", shape, weightName: "w", type: "float32" },
    geometry: { kind: "window", axes: 2, kernel, stride, dilation: [1, 1], begin: [0, 0], end: [0, 0] },
    nodes: [{ node: makeNode("Conv", ["x", "w"], ["y"], { group: int(1) }), name: "layer", input: "x", output: "y" }],
    weight: matrix(
      n,
      d,
      Float64Array.from({ length: n * d }, () => random.normal()),
    ),
  };
}

/** Correlated inputs, and outputs that the layer's filters make of slightly other ones. */
function samplesOf({ weight }: CalibratedLayer, rows: number, random: Random) {
  const d = weight.cols;
  const mixing = Float64Array.from({ length: d * d }, (_, at) => random.normal() / (1 + (at % d)));
  const sums = newSums(d, weight.rows);
  const x = new Float32Array(rows * d);
  const y = new Float32Array(rows * weight.rows);
  for (let row = 0; row < rows; row++) {
    const own = Float64Array.from({ length: d }, () => random.normal());
    for (let i = 0; i < d; i++) {
      let value = 0.3;
      for (let j = 0; j < d; j++) value += mixing[i * d + j]! * own[j]!;
      x[row * d + i] = value;
      const before = value + 0.2 * random.normal();
      for (let o = 0; o < weight.rows; o++)
        y[row * weight.rows + o] = y[row * weight.rows + o]! + weight.data[o * d + i]! * before;
    }
  }
  addSamples(sums, rows, x, pureProducts, y);
  return finishCross(sums as Parameters<typeof finishCross>[0], "layer");
}

test("has no larger an error than the symmetric factors with the best bias, in every family", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 2, max: 6 }), (seed, n) => {
      const random = new Random(`regression ${seed}`);
      const shape: LayerShape = { n, c: 4, kernel: [3, 3], stride: [1, 1] };
      const layer = layerOf(shape, random);
      const moments = samplesOf(layer, 120, random);
      for (const candidate of candidatesOf(shape, { fractions: [0.3, 0.7] })) {
        const factors = fitCandidate(layer.weight, moments.covariance, shape, candidate);
        const symmetric = withNewBias(corrected(layer, factors, moments.mean, pureLinearAlgebra), moments);
        const made = refitted(symmetric, moments, 0, pureLinearAlgebra);
        const [before, after] = [symmetric, made].map((one) => outputErrorOf(one, moments, pureLinearAlgebra));
        expect(after! - before!).toBeLessThan(1e-9);
      }
    }),
    { numRuns: 8, examples: [[673073, 4]] }, // inputs that hardly move in some direction
  );
});

test("has no larger an error however far the inputs moved before the layer", () => {
  const shape = { n: 5, c: 2, kernel: [3, 1], stride: [1, 1] } as const;
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 4 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (seed, rank, noise) => {
        const draw = new Random(seed);
        const normal = (count: number) => Float32Array.from({ length: count }, () => draw.normal());
        const [rows, d, n] = [60, 6, 5];
        const filters = matrix(n, d, Float64Array.from(normal(n * d)));
        const x = normal(rows * d); // what the original reads
        const other = x.map((value) => value + noise * draw.normal()); // what the compressed network reads
        const y = Float32Array.from({ length: rows * n }, (_, at) => {
          let sum = 1;
          for (let i = 0; i < d; i++) sum += filters.data[(at % n) * d + i]! * x[Math.floor(at / n) * d + i]!;
          return sum;
        });
        const sums = newSums(d, n);
        addSamples(sums, rows, other.slice(), pureProducts, y.slice());
        const moments = finishCross(sums, "layer");
        const original = newSums(d, n);
        addSamples(original, rows, x.slice(), pureProducts, y.slice());
        const { covariance } = finishCross(original, "layer");
        const factors = fitCandidate(filters, covariance, shape, { family: "one-split", ranks: [rank] });
        const layer = { ...layerOf(shape, draw), weight: filters };
        const symmetric = withNewBias(
          { layer, filters: composed(factors), biases: [new Float64Array(n)], factors },
          moments,
        );
        const made = refitted(symmetric, moments, 0, pureLinearAlgebra);
        const [before, after] = [symmetric, made].map((replacement) =>
          outputErrorOf(replacement, moments, pureLinearAlgebra),
        );
        expect(after).toBeLessThanOrEqual(before! + 1e-6);
      },
    ),
    { numRuns: 60 },
  );
});
