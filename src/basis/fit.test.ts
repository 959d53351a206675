import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { distance, imageCovariance, randomMatrix, shapeOf } from "../../test/fit-cases.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { pureLinearAlgebra as pure } from "../linalg/pure.js";
import { Random } from "../linalg/random.js";
import { svd } from "../linalg/svd.js";
import { composed } from "./composed.js";
import { type Candidate, type Family, type LayerShape, makeFactors, type Pair, stageShapes } from "./factors.js";
import { fitCandidate, fitCandidates, ridged } from "./fit.js";
import { fullRanks } from "./full-ranks.js";
import { outputError } from "./output-error.js";

/** The families with the splits that fit the channels, at all ranks of a short list. */
function ladders(shape: LayerShape): readonly (readonly Candidate[])[] {
  const splits = [2, 3, 4, 6].filter((s) => s <= shape.c && shape.c % s === 0);
  const ladder = (family: Family, split?: number): Candidate[] => {
    const at = (...ranks: number[]): Candidate => ({ family, ...(split && { splits: split }), ranks });
    const [most] = fullRanks(at(1, 1), shape);
    const firsts = [...new Set([1, 2, Math.ceil(most! / 2), most!])].filter((rank) => rank <= most!);
    if (family !== "tucker-2" && family !== "separable-pointwise") return firsts.map((rank) => at(rank));
    return firsts.map((rank) => at(rank, fullRanks(at(rank, 1), shape)[1]!));
  };
  return [
    ladder("one-split"),
    ladder("low-rank"),
    ladder("tucker-2"),
    ladder("separable"),
    ladder("separable-pointwise"),
    ...splits.map((s) => ladder("shared-bases", s)),
    ...splits.map((s) => ladder("own-bases", s)),
  ];
}

const layer = fc.record({
  n: fc.integer({ min: 1, max: 9 }),
  c: fc.constantFrom(1, 2, 4, 6),
  kernel: fc.constantFrom<Pair>([3, 3], [1, 1], [1, 3], [3, 1], [2, 3], [7, 7]),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

const targetOf = ({ n, c, kernel: [kh, kw] }: LayerShape, random: Random) => randomMatrix(n, c * kh * kw, random);

test("at full rank every family gives the target", () => {
  fc.assert(
    fc.property(layer, ({ n, c, kernel, seed }) => {
      const [shape, random] = [shapeOf(n, c, kernel), new Random(seed)];
      const target = targetOf(shape, random);
      const covariance = ridged(imageCovariance(shape, random, 6), 1e-3).covariance;
      for (const candidates of ladders(shape)) {
        const last = candidates.at(-1)!;
        const found = fitCandidate(target, covariance, shape, last);
        expect(distance(target, composed(found)), JSON.stringify(last)).toBeLessThan(1e-8);
        expect(found.error).toBeLessThan(1e-10);
      }
    }),
    { numRuns: 25, seed: 1 },
  );
});

test("large layers of little rank with channels that are 0 everywhere have factors that lose nothing", () => {
  for (const c of [36, 72]) {
    const [shape, random] = [shapeOf(24, c), new Random(c)];
    const target = pure.multiply(randomMatrix(24, 4, random), randomMatrix(4, 9 * c, random));
    const covariance = withoutChannels(imageCovariance(shape, random, 12), shape, [0, 1, 2, c - 1]);
    for (const { family, ...rest } of bySlots) {
      const candidates = [24, 14, 3].map((rank): Candidate => ({ family, ...rest, ranks: rest.ranks.map(() => rank) }));
      const ranks = candidates.map((one) => fullRanks(one, shape)[0]!);
      const possible = candidates.filter(({ ranks: [rank] }, i) => rank! <= ranks[i]!);
      for (const { error, stages, candidate } of fitCandidates(target, covariance, shape, possible)) {
        const label = JSON.stringify(candidate);
        // Four filters have up to 36 different input channels, which Tucker's first rank is of.
        const whole = family !== "tucker-2" && candidate.ranks[0]! >= 14;
        expect(error, label).toBeLessThan(whole ? 1e-6 : 1);
        for (const { weight } of stages) expect(weight.every(Number.isFinite), label).toBe(true);
      }
    }
  }
});

/** What images show where some channels are 0. */
function withoutChannels({ rows: d, data }: Matrix, { kernel: [kh, kw] }: LayerShape, dead: readonly number[]): Matrix {
  const isDead = (at: number): boolean => dead.includes(Math.floor(at / (kh * kw)));
  return matrix(
    d,
    d,
    data.map((value, at) => (isDead(Math.floor(at / d)) || isDead(at % d) ? 0 : value)),
  );
}

test("the error that factors say is that of their filters, without the ridge, and falls with the rank", () => {
  fc.assert(
    fc.property(layer, ({ n, c, kernel, seed }) => {
      const [shape, random] = [shapeOf(n, c, kernel), new Random(seed)];
      const target = targetOf(shape, random);
      const seen = imageCovariance(shape, random, 6);
      const { covariance, ridge } = ridged(seen, 1e-3);
      for (const candidates of ladders(shape)) {
        const found = fitCandidates(target, covariance, shape, candidates, pure, { ridge });
        const errors = found.map((factors) => outputError(target, composed(factors), seen));
        for (const [i, { error }] of found.entries()) expect(Math.abs(error! - errors[i]!)).toBeLessThan(1e-9);
        const under = found.map((factors) => outputError(target, composed(factors), covariance));
        for (let i = 1; i < under.length; i++) expect(under[i]).toBeLessThanOrEqual(under[i - 1]! + 1e-9);
      }
    }),
    { numRuns: 25, seed: 2 },
  );
});

test("one split is the truncated singular value decomposition of T C^1/2", () => {
  const [shape, random] = [shapeOf(7, 3), new Random(3)];
  const target = targetOf(shape, random);
  const { covariance } = ridged(imageCovariance(shape, random), 1e-3);
  const { values, vectors } = pure.eigen(covariance);
  const rows = vectors(27);
  const scaled = matrix(
    27,
    27,
    rows.data.map((value, i) => value * Math.sqrt(values[Math.floor(i / 27)]!)),
  );
  const singular = svd(pure.multiply(target, transpose(scaled))).values; // T C^1/2 up to a rotation
  for (let m = 1; m < 7; m++) {
    const found = fitCandidate(target, covariance, shape, { family: "one-split", ranks: [m] });
    expect(found.error).toBeCloseTo(squaredNorm(singular.slice(m)) / squaredNorm(singular), 10);
    expect([found.basis?.length, found.coefficients?.length]).toEqual([m * 27, 7 * m]);
  }
});

const bySlots: readonly Candidate[] = [
  { family: "shared-bases", splits: 2, ranks: [3] },
  { family: "own-bases", splits: 3, ranks: [2] },
  { family: "tucker-2", ranks: [4, 3] },
  { family: "separable", ranks: [5] },
  { family: "separable-pointwise", ranks: [5, 3] },
];

test("filters that are such factors are found again", () => {
  for (const candidate of bySlots) {
    const [shape, random] = [shapeOf(7, 6), new Random(11)];
    const { covariance } = ridged(imageCovariance(shape, random), 1e-3);
    const weights = stageShapes(candidate, shape).map(
      ({ out, in: width, groups, kernel }) => randomMatrix(out, (width / groups) * kernel[0] * kernel[1], random).data,
    );
    if (candidate.family === "shared-bases") weights[0]!.copyWithin(weights[0]!.length / 2, 0, weights[0]!.length / 2);
    const target = composed(makeFactors(candidate, shape, weights));
    const found = fitCandidate(target, covariance, shape, candidate);
    expect(distance(target, composed(found)), candidate.family).toBeLessThan(1e-8);
  }
});

test("no step makes the error larger, and the first ones make it smaller", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.constantFrom(...bySlots), (seed, candidate) => {
      const [shape, random] = [shapeOf(8, 6), new Random(seed)];
      const target = targetOf(shape, random);
      const { covariance } = ridged(imageCovariance(shape, random, 12), 1e-3);
      const errors = [0, 1, 2, 3, 4, 6, 9].map((steps) => {
        const found = fitCandidate(target, covariance, shape, candidate, pure, { steps });
        return outputError(target, composed(found), covariance);
      });
      for (let i = 1; i < errors.length; i++) expect(errors[i]).toBeLessThanOrEqual(errors[i - 1]! + 1e-12);
      expect(errors[2]).toBeLessThan(errors[0]!);
    }),
    { numRuns: 20, seed: 3 },
  );
});

test("candidates of a large layer, found one within the other, are as good as each alone", () => {
  const [shape, random] = [shapeOf(24, 36), new Random(13)];
  const target = targetOf(shape, random);
  const { covariance } = ridged(imageCovariance(shape, random, 12), 1e-3);
  for (const { family, ...rest } of bySlots) {
    const candidates = [6, 14, 9].map((rank): Candidate => ({ family, ...rest, ranks: rest.ranks.map(() => rank) }));
    const together = fitCandidates(target, covariance, shape, candidates);
    for (const [i, candidate] of candidates.entries()) {
      expect(together[i]!.candidate).toEqual(candidate);
      const alone = fitCandidate(target, covariance, shape, candidate);
      expect(together[i]!.error! / alone.error!, JSON.stringify(candidate)).toBeLessThan(1.1); // random filters, the hardest: paths differ
      expect(Math.abs(outputError(target, composed(together[i]!), covariance) - together[i]!.error!)).toBeLessThan(
        1e-7,
      );
    }
  }
});

describe("what a layer may be like", () => {
  const inputs: Readonly<Record<string, (shape: LayerShape, random: Random) => Matrix>> = {
    "of images": (shape, random) => imageCovariance(shape, random),
    "of one image without noise, of low rank": (shape, random) => imageCovariance(shape, random, 1, 0),
    "that never changes": ({ c, kernel: [kh, kw] }) => matrix(c * kh * kw, c * kh * kw),
    "nearly without movement": ({ c, kernel: [kh, kw] }, random) => {
      const values = imageCovariance({ ...shapeOf(1, c, [kh, kw]) }, random).data;
      return matrix(
        c * kh * kw,
        c * kh * kw,
        values.map((value) => value * 1e-30),
      );
    },
    "with a channel that is always 0": (shape, random) => {
      const { rows, data } = imageCovariance(shape, random);
      const kernelElements = shape.kernel[0] * shape.kernel[1];
      return matrix(
        rows,
        rows,
        data.map((value, at) => (at % rows < kernelElements || at / rows < kernelElements ? 0 : value)),
      );
    },
  };
  const layers = [
    shapeOf(6, 4),
    shapeOf(1, 4),
    shapeOf(5, 1),
    shapeOf(1, 1),
    shapeOf(4, 4, [1, 1]),
    shapeOf(3, 4, [1, 3]),
    shapeOf(3, 4, [5, 1]),
    shapeOf(2, 2, [7, 7]),
  ];
  for (const [name, input] of Object.entries(inputs))
    test(`an input ${name}: finite factors, no error above 1`, () => {
      for (const shape of layers)
        for (const zero of [false, true]) {
          const random = new Random(7);
          const target = targetOf(shape, random);
          if (zero) target.data.fill(0);
          else target.data.fill(0, 0, target.cols); // one filter of zeros
          for (const candidate of ladders(shape).flat()) {
            const found = fitCandidate(target, input(shape, random), shape, candidate);
            for (const { weight } of found.stages)
              expect(weight.every(Number.isFinite), JSON.stringify(candidate)).toBe(true);
            expect(found.error).toBeLessThanOrEqual(1);
            expect(found.error).toBeGreaterThanOrEqual(1e-12);
          }
        }
    });

  test("sizes, values and ranks that cannot be are refused", () => {
    const shape = shapeOf(2, 2);
    const [target, covariance] = [matrix(2, 18), matrix(18, 18)];
    const candidate: Candidate = { family: "one-split", ranks: [1] };
    const refused = (code: string, run: () => unknown) => expect(run).toThrow(expect.objectContaining({ code }));
    refused("shape-mismatch", () => fitCandidate(matrix(2, 17), covariance, shape, candidate));
    refused("shape-mismatch", () => fitCandidate(target, matrix(17, 17), shape, candidate));
    refused("invalid-plan", () => fitCandidate(target, covariance, shape, { family: "one-split", ranks: [3] }));
    refused("non-finite", () =>
      fitCandidate(
        matrix(
          2,
          18,
          target.data.map(() => Number.NaN),
        ),
        covariance,
        shape,
        candidate,
      ),
    );
    refused("non-finite", () =>
      fitCandidate(
        target,
        matrix(
          18,
          18,
          covariance.data.map(() => 1 / 0),
        ),
        shape,
        candidate,
      ),
    );
  });
});
