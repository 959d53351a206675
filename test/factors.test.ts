// Factors of real filters, and by both implementations of linear algebra.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { candidatesOf } from "../src/basis/candidates.js";
import { type Family, type LayerShape, macsOf } from "../src/basis/factors.js";
import { fitCandidates, ridged } from "../src/basis/fit.js";
import { readModel } from "../src/formats/onnx/index.js";
import { numbers } from "../src/graph/values.js";
import { matrix } from "../src/linalg/matrix.js";
import { Random } from "../src/linalg/random.js";
import { bestLinearAlgebra, torchLinearAlgebra } from "../src/torch/linalg.js";
import { describeEngine, liveTensorsAfterCollection } from "./engine.js";
import { imageCovariance, randomMatrix, shapeOf } from "./fit-cases.js";
import { noShared, shared } from "./shared.js";

const vdsr = shared("data/models/vdsr.onnx");

test.skipIf(vdsr === undefined)(
  `at half of the multiplications, separable filters lose least of a trained layer, shared bases most${vdsr ? "" : ` (skipped: ${noShared})`}`,
  () => {
    const graph = readModel(readFileSync(vdsr!));
    const weights = graph.nodes
      .filter(({ op }) => op === "Conv")
      .map(({ inputs }) => graph.initializers.get(inputs[1]!)!);
    for (const layer of [4, 12]) {
      const shape: LayerShape = shapeOf(64, 64);
      const { covariance, ridge } = ridged(imageCovariance(shape, new Random(layer), 12), 1e-3);
      const target = matrix(64, 576, numbers(weights[layer]!));
      const candidates = candidatesOf(shape, { fractions: [0.5], splits: [2, 4] });
      const found = fitCandidates(target, covariance, shape, candidates, bestLinearAlgebra(), { ridge });
      const least = (family: Family) =>
        Math.min(...found.filter(({ candidate }) => candidate.family === family).map(({ error }) => error!));
      for (const candidate of candidates) expect(macsOf(candidate, shape, [1, 1])).toBeLessThanOrEqual(0.5 * 64 * 576);
      expect(least("separable")).toBeLessThan(least("own-bases"));
      expect(least("separable")).toBeLessThan(least("tucker-2"));
      expect(least("own-bases")).toBeLessThan(least("shared-bases"));
      expect(least("tucker-2")).toBeLessThan(least("shared-bases"));
    }
  },
  60_000,
);

describeEngine("factors by libtorch", () => {
  test("have the errors of those in TypeScript and leave no tensor behind", () => {
    const before = liveTensorsAfterCollection();
    const random = new Random(5);
    for (const shape of [shapeOf(12, 12), shapeOf(8, 36)]) {
      const target = randomMatrix(shape.n, shape.c * 9, random);
      const { covariance } = ridged(imageCovariance(shape, random, 6), 1e-3);
      const candidates = candidatesOf(shape, { fractions: [0.2, 0.4, 0.6], splits: [2] });
      const expected = fitCandidates(target, covariance, shape, candidates);
      for (const algebra of [torchLinearAlgebra, bestLinearAlgebra()]) {
        const found = fitCandidates(target, covariance, shape, candidates, algebra);
        for (const [i, { error }] of found.entries()) expect(Math.abs(error! - expected[i]!.error!)).toBeLessThan(1e-6);
      }
    }
    expect(liveTensorsAfterCollection()).toBe(before);
  });
});
