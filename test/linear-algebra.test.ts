// What every implementation of linear algebra promises: one suite over pure TypeScript, libtorch's LAPACK, and the
// choice by size.
import { Matrix as MlMatrix, SVD } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { FilterBasisError } from "../src/errors/error.js";
import { float32Tensor, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { type LinearAlgebra, pureLinearAlgebra, type Spectrum, spectrum } from "../src/linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../src/linalg/matrix.js";
import { Random } from "../src/linalg/random.js";
import { planCompression } from "../src/methods/plan.js";
import type { PlanOptions } from "../src/methods/plan-options.js";
import { buildNet } from "../src/nets/table.js";
import { unloadableReason } from "../src/torch/index.js";
import { bestLinearAlgebra, torchLinearAlgebra } from "../src/torch/linalg.js";
import { liveTensorsAfterCollection } from "./engine.js";
import { smallGraph } from "./small-graphs.js";

const reason = unloadableReason();
const implementations = [
  ["pure TypeScript", pureLinearAlgebra, undefined],
  ["libtorch", torchLinearAlgebra, reason],
  ["the choice by size", bestLinearAlgebra(), undefined],
] as const satisfies readonly (readonly [string, LinearAlgebra, string | undefined])[];

/** A double's rounding over sums of some hundred terms, as a share of the largest value. */
const rounding = 1e-12;

function filled(rows: number, cols: number, value: (row: number, col: number) => number): Matrix {
  return matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => value(Math.floor(i / cols), i % cols)),
  );
}

function random(rows: number, cols: number, seed = 1): Matrix {
  const source = new Random(seed);
  return filled(rows, cols, () => source.normal());
}

/** The plain sum over the inner index, beside every implementation under test. */
function product(a: Matrix, b: Matrix): Matrix {
  const out = new Float64Array(a.rows * b.cols);
  for (let i = 0; i < a.rows; i++)
    for (let k = 0; k < a.cols; k++)
      for (let j = 0; j < b.cols; j++)
        out[i * b.cols + j] = out[i * b.cols + j]! + a.data[i * a.cols + k]! * b.data[k * b.cols + j]!;
  return matrix(a.rows, b.cols, out);
}

const identity = (size: number) => filled(size, size, (i, j) => (i === j ? 1 : 0));
const diagonal = (values: readonly number[]) =>
  filled(values.length, values.length, (i, j) => (i === j ? values[i]! : 0));
const ofRank = (rows: number, cols: number, rank: number) => product(random(rows, rank, 2), random(rank, cols, 3));
const largest = ({ data }: Matrix) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The largest entry of |a - b|. */
function distance(a: Matrix, b: Matrix): number {
  expect([a.rows, a.cols]).toEqual([b.rows, b.cols]);
  return a.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.data[i]!)), 0);
}

/** Columns whose scales lie thirty powers of ten apart. */
function uneven(rows: number, cols: number): Matrix {
  const source = random(rows, cols, 7).data;
  return filled(rows, cols, (i, j) => source[i * cols + j]! * 10 ** (-30 * (j / cols)));
}

/**
 * Large matrices and networks take minutes with the pure implementation (npm run test:linear); smaller ones go the same
 * ways.
 */
const full = process.env.FILTERBASIS_FULL !== undefined;
const shapes: readonly (readonly [string, Matrix])[] = [
  ["random", random(30, 20)],
  ["wide", random(12, 60)],
  ["tall", random(60, 12)],
  ["square", random(25, 25)],
  ["1 x 1", matrix(1, 1, [-3])],
  ["one row", random(1, 9)],
  ["one column", random(9, 1)],
  ["zero", matrix(7, 5)],
  ["rank-deficient", ofRank(40, 30, 6)],
  ["steep", steep(20, 30)],
  ["with tied values", filled(24, 24, (i, j) => (i === j ? [5, 5, 5, 2, 2, 1][i % 6]! : 0))],
  ["orthogonal", filled(4, 4, (i, j) => (popcount(i & j) % 2 === 0 ? 0.5 : -0.5))],
  ["badly scaled", uneven(40, 30)],
  ["of columns that vanish beside others", filled(9, 7, (i, j) => (1 + ((i * i + j) % 5)) * 10 ** (-45 * j))],
  ["tiny", filled(9, 7, (i, j) => 1e-120 * (i + 2 * j + ((i * j) % 3)))],
  ["huge", filled(9, 7, (i, j) => 1e120 * (i + 2 * j + ((i * j) % 3)))],
  ...(full
    ? ([
        ["large", random(300, 260)],
        ["large and rank-deficient", ofRank(260, 300, 40)],
      ] as const)
    : ([
        ["large", random(120, 100)],
        ["large and rank-deficient", ofRank(100, 120, 20)],
      ] as const)),
];

/** Columns that fall by e^40 from the first to the last. */
function steep(rows: number, cols: number): Matrix {
  const source = random(rows, cols).data;
  return filled(rows, cols, (i, j) => source[i * cols + j]! * Math.exp((-40 * j) / cols));
}

const known = new Map<Matrix, Float64Array>();

/** By ml-matrix, to full accuracy; once for each matrix. */
function singularValues(a: Matrix): Float64Array {
  const source = MlMatrix.from1DArray(a.rows, a.cols, a.data);
  const found = known.get(a) ?? Float64Array.from(new SVD(source, { autoTranspose: true }).diagonal);
  known.set(a, found);
  return found;
}

function popcount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}

for (const [name, linear, skipped] of implementations) {
  describe.skipIf(skipped !== undefined)(`${name}${skipped === undefined ? "" : ` (skipped: ${skipped})`}`, () => {
    describe.each(shapes)("a matrix that is %s", (_, a) => {
      const scale = largest(a) || 1;

      test("multiplied by another is the sum over the inner index", () => {
        const b = random(a.cols, 11, 5);
        expect(distance(linear.multiply(a, b), product(a, b)) / scale).toBeLessThan(rounding);
      });

      test("multiplied by another's transpose is the product with the transpose", () => {
        const b = random(11, a.cols, 5);
        expect(distance(linear.multiplyTransposed(a, b), product(a, transpose(b))) / scale).toBeLessThan(rounding);
      });

      test("kept, whole or in part, gives what it gives otherwise", () => {
        const kept = linear.keep(a);
        try {
          const [b, turned] = [random(a.cols, 11, 5), random(11, a.cols, 6)];
          expect([kept.rows, kept.cols, distance(kept, a)]).toEqual([a.rows, a.cols, 0]);
          expect(distance(linear.multiply(kept, b), linear.multiply(a, b))).toBe(0);
          expect(distance(linear.multiplyTransposed(turned, kept), linear.multiplyTransposed(turned, a))).toBe(0);
          const slices = matrix(a.rows * a.cols, 1, kept.data); // the same elements, seen in another shape
          expect(distance(linear.multiply(slices, matrix(1, 1, [2])), product(slices, matrix(1, 1, [2])))).toBe(0);
          const last = matrix(1, a.cols, kept.data.subarray((a.rows - 1) * a.cols));
          expect(distance(linear.multiply(last, b), product(last, b)) / scale).toBeLessThan(rounding);
        } finally {
          kept.release();
        }
      });

      test("has a Gram matrix that is its transpose times itself, symmetric to the last bit", () => {
        const gram = linear.gram(a);
        expect(distance(gram, product(transpose(a), a)) / scale ** 2).toBeLessThan(rounding);
        expect(distance(gram, transpose(gram))).toBe(0);
      });

      test("has a singular value decomposition with orthonormal vectors and values in descending order", () => {
        const { u, values, v } = linear.svd(a);
        expect([u.rows, u.cols, values.length, v.rows, v.cols]).toEqual([
          a.rows,
          values.length,
          Math.min(a.rows, a.cols),
          a.cols,
          values.length,
        ]);
        const us = filled(u.rows, u.cols, (i, j) => u.data[i * u.cols + j]! * values[j]!);
        expect(distance(product(us, transpose(v)), a) / scale).toBeLessThan(rounding);
        expect(distance(product(transpose(u), u), identity(u.cols))).toBeLessThan(rounding);
        expect(distance(product(transpose(v), v), identity(v.cols))).toBeLessThan(rounding);
        expect([...values]).toEqual([...values].sort((x, y) => y - x));
        expect(values.every((value) => value >= 0)).toBe(true);
        for (const [i, value] of singularValues(a).entries())
          expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(rounding * values[0]!);
      });

      test("has eigenvalues of its Gram matrix in descending order, with orthonormal vectors that satisfy A v = lambda v", () => {
        const gram = product(transpose(a), a);
        const { values, vectors } = linear.eigen(gram);
        const norm = values[0]! || 1;
        const found = vectors(gram.rows);
        expect([...values]).toEqual([...values].sort((x, y) => y - x));
        expect(distance(product(found, transpose(found)), identity(gram.rows))).toBeLessThan(rounding);
        const scaled = filled(found.rows, found.cols, (i, j) => found.data[i * found.cols + j]! * values[i]!);
        expect(distance(product(found, gram), scaled) / norm).toBeLessThan(rounding);
      });

      test("is best approximated at every rank by the truncated singular value decomposition", () => {
        const values = singularValues(a);
        const total = squaredNorm(values);
        const found = spectrum(a, linear);
        expect(found.squares).toHaveLength(values.length);
        for (const [i, square] of found.squares.entries())
          expect(Math.abs(square - values[i]! ** 2)).toBeLessThanOrEqual(rounding * total);
        for (const rank of new Set([1, Math.ceil(values.length / 3), values.length])) {
          const { coefficients, basis, squaredError } = found.lowRank(rank);
          const rebuilt = product(coefficients, basis);
          const lost = squaredNorm(a.data.map((value, i) => value - rebuilt.data[i]!));
          const discarded = squaredNorm(values.slice(rank));
          expect(Math.abs(lost - discarded)).toBeLessThanOrEqual(rounding * total);
          expect(Math.abs(squaredError - discarded)).toBeLessThanOrEqual(rounding * total);
          for (let j = 0; j < rank; j++)
            expect(basis.data.subarray(j * a.cols, (j + 1) * a.cols).some((value) => value !== 0)).toBe(true);
          if (rank === values.length) expect(distance(rebuilt, a)).toBeLessThanOrEqual(1e-13 * Math.sqrt(total));
        }
      });

      test("weighted by a positive diagonal has a Cholesky factor, and systems over it are solved", () => {
        const { rows: size, data } = product(transpose(a), a);
        const normal = filled(size, size, (i, j) => data[i * size + j]! / scale ** 2 + (i === j ? 1 : 0));
        const lower = linear.cholesky(normal);
        expect(distance(product(lower, transpose(lower)), normal) / largest(normal)).toBeLessThan(rounding);
        for (let i = 0; i < size; i++)
          expect(lower.data.subarray(i * size + i + 1, (i + 1) * size).every((value) => value === 0)).toBe(true);
        const [left, right] = [random(5, size, 8), random(size, 5, 9)];
        // How far a solution may be off grows with the condition of the system, which these have below 1e6.
        expect(distance(linear.solveTriangular(product(left, lower), lower), left)).toBeLessThan(1e-9);
        expect(distance(linear.solve(normal, product(normal, right)), right)).toBeLessThan(1e-6);
      });
    });

    test.each([
      [
        "of which one column is another",
        product(
          transpose(filled(9, 4, (i, j) => [1, i, 1, i * i][j]!)),
          filled(9, 4, (i, j) => [1, i, 1, i * i][j]!),
        ),
      ],
      ["of zeros", matrix(4, 4)],
      ["whose numbers are all small", diagonal([3e-20, 2e-20, 1e-20, 0])],
    ])("a system that is singular, %s, is solved by the shortest of its solutions", (_, normal) => {
      const right = product(normal, random(4, 2));
      const found = linear.solve(normal, right);
      expect(distance(product(normal, found), right)).toBeLessThanOrEqual(1e-9 * largest(right));
      const { values, vectors } = pureLinearAlgebra.eigen(normal);
      const all = vectors(4);
      for (const [i, value] of values.entries()) {
        if (value > 1e-12 * values[0]!) continue;
        const along = product(matrix(1, 4, all.data.slice(4 * i, 4 * i + 4)), found);
        expect(largest(along)).toBeLessThan(1e-9);
      }
    });

    test("a matrix that is not positive definite has no Cholesky factor: a typed error", () => {
      for (const one of [matrix(2, 2), diagonal([1, -1, 1]), matrix(2, 2, [1, 2, 2, 1])])
        expect(() => linear.cholesky(one)).toThrow(expect.objectContaining({ code: "invalid-plan" }));
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
      "%d among the entries is refused with code non-finite",
      (value) => {
        for (const size of [3, 300]) {
          const bad = filled(size, size, (i, j) => (i === 1 && j === 2 ? value : i === j ? 1 : 0));
          const good = identity(size);
          const skipped = expect.objectContaining({ code: "non-finite" });
          for (const run of [linear.eigen, linear.svd, linear.cholesky, (one: Matrix) => spectrum(one, linear)])
            expect(() => run(bad)).toThrow(skipped);
          expect(() => linear.solve(bad, good)).toThrow(skipped);
          expect(() => linear.solve(good, bad)).toThrow(skipped);
          expect(() => linear.solveTriangular(good, bad)).toThrow(skipped);
        }
      },
    );

    test("a matrix whose squares are beyond the largest double is refused with code non-finite", () => {
      expect(() =>
        spectrum(
          filled(3, 3, (i, j) => (i === j ? 1e200 : 0)),
          linear,
        ),
      ).toThrow(expect.objectContaining({ code: "non-finite" }));
    });

    test("sizes that do not fit are refused", () => {
      const skipped = expect.objectContaining({ code: "shape-mismatch" });
      const [a, b] = [random(2, 3), random(2, 3, 2)];
      for (const run of [linear.multiply, linear.solve, linear.solveTriangular])
        expect(() => run(a, b)).toThrow(skipped);
      expect(() => linear.multiplyTransposed(a, random(3, 2))).toThrow(skipped);
      for (const run of [linear.eigen, linear.cholesky]) expect(() => run(a)).toThrow(skipped);
    });

    test("squares of directions that a matrix does not have are 0", () => {
      for (const rank of [1, 3, 15]) {
        for (const [rows, cols] of [
          [300, 260],
          [260, 300],
          [30, 20],
        ] as const)
          expect(spectrum(ofRank(rows, cols, rank), linear).squares.indexOf(0)).toBe(rank);
      }
    });

    test.each([0, 21, 1.5])("a rank of %d of a 30 x 20 matrix is refused", (rank) => {
      const skipped = expect.objectContaining({ code: "invalid-plan" });
      expect(() => spectrum(random(30, 20), linear).lowRank(rank)).toThrow(skipped);
      expect(() => linear.eigen(linear.gram(random(30, 20))).vectors(rank)).toThrow(skipped);
    });

    test("the factors are those of pure TypeScript, signs included, where no singular values are tied", () => {
      for (const a of [random(30, 20), random(20, 30), random(300, 260)]) {
        const [found, expected] = [spectrum(a, linear).lowRank(7), spectrum(a, pureLinearAlgebra).lowRank(7)];
        expect(distance(found.basis, expected.basis)).toBeLessThan(1e-9);
        expect(distance(found.coefficients, expected.coefficients)).toBeLessThan(1e-9);
      }
    });
  });
}

describe.skipIf(reason !== undefined)(
  `libtorch's tensors${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    test("are all disposed, also where a matrix is refused", () => {
      const before = liveTensorsAfterCollection();
      const a = random(30, 20);
      const found = spectrum(a, torchLinearAlgebra);
      found.lowRank(3);
      torchLinearAlgebra.svd(a);
      torchLinearAlgebra.solve(torchLinearAlgebra.gram(a), random(20, 2));
      const kept = torchLinearAlgebra.keep(a);
      torchLinearAlgebra.multiply(kept, random(20, 3));
      kept.release();
      expect(() => torchLinearAlgebra.cholesky(matrix(2, 2))).toThrow();
      expect(liveTensorsAfterCollection()).toBe(before);
    });
  },
);

/** Layers whose filters are those of another in another order: every basis filter of any is worth the same. */
function tiedLayers(): Graph {
  const { data } = random(256, 64);
  const weight = (turn: number) =>
    float32Tensor(
      [256, 64, 1, 1],
      Float32Array.from(
        { length: data.length },
        (_, i) => data[((i >> 6) ^ ((7 * turn) & 255)) * 64 + ((i & 63) ^ turn)]!,
      ),
    );
  return smallGraph({
    nodes: [0, 1, 2].map((turn) => makeNode("Conv", ["x", `w${turn}`], [`y${turn}`], {}, { name: `conv${turn}` })),
    initializers: Object.fromEntries([0, 1, 2].map((turn) => [`w${turn}`, weight(21 * turn)])),
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 64, 8, 8] } }],
    outputs: ["y0", "y1", "y2"],
  });
}

/** Filters that are all multiples of a few. */
function deficientLayers(): Graph {
  const width = full ? 128 : 32;
  const weight = (rank: number) => {
    const { data } = ofRank(2 * width, width * 9, rank);
    return float32Tensor([2 * width, width, 3, 3], Float32Array.from(data));
  };
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "few.weight"], ["y"], {}, { name: "few" }),
      makeNode("Conv", ["x", "one.weight"], ["z"], {}, { name: "one" }),
      makeNode("Conv", ["x", "zero.weight"], ["w"], {}, { name: "zero" }),
    ],
    initializers: {
      "few.weight": weight(12),
      "one.weight": weight(1),
      "zero.weight": float32Tensor([16, width, 3, 3], new Float32Array(16 * width * 9)),
    },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, width, 8, 8] } }],
    outputs: ["y", "z", "w"],
  });
}

const planned: readonly (readonly [string, () => Graph])[] = [
  ["ResNet-20", () => buildNet("resnet20")],
  ["VGG-16 of an eighth of the width", () => buildNet("vgg16", { widthDivisor: 8 })],
  ["DenseNet", () => buildNet("densenet", { depth: 22 })],
  ["SRResNet", () => buildNet("srresnet", { blocks: 2 })],
  ["EDSR", () => buildNet("edsr", { blocks: 2, width: full ? 64 : 24 })],
  ["layers with the same filters in another order", tiedLayers],
  ["layers of a rank far below their size", deficientLayers],
];

describe.skipIf(reason !== undefined)(`a plan${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  test.each(planned)("of %s is the same whichever implementation finds the squares", (_, build) => {
    const graph = build();
    const few: PlanOptions[] = [{ keepParams: 0.5 }, { keepMacs: 0.4 }, { keepParams: 0.5, share: "group" }];
    const all: PlanOptions[] = [
      ...[0.8, 0.5, 0.33, 0.25].map((keepParams) => ({ keepParams })),
      ...[0.7, 0.4].map((keepMacs) => ({ keepMacs })),
      { keepParams: 0.8, splits: 1 },
      { keepParams: 0.5, share: "group" },
      { keepParams: 0.5, share: "network" },
    ];
    const [expected, ...others] = [pureLinearAlgebra, torchLinearAlgebra, bestLinearAlgebra()].map((linear) => {
      const spectra = new Map<string, Spectrum>();
      return (full ? all : few).map((options) => choices(graph, { ...options, linear, spectra }));
    });
    for (const other of others) expect(other).toEqual(expected);
  });
});

/** What a plan chooses, or the code and message of its refusal. */
function choices(graph: Graph, options: PlanOptions): unknown {
  try {
    const { groups, skipped, after } = planCompression(graph, options);
    return { groups: groups.map(({ group, choice }) => ({ name: group.name, ...choice })), skipped, after };
  } catch (error) {
    if (error instanceof FilterBasisError) return [error.code, error.problem];
    throw error;
  }
}

test("which implementation computes depends on the sizes alone", () => {
  const [small, large] = [random(30, 20), random(300, 260)];
  const best = bestLinearAlgebra();
  const expected = reason === undefined ? torchLinearAlgebra : pureLinearAlgebra;
  const first = best.gram(small);
  expect(best.gram(large).data).toEqual(expected.gram(large).data);
  expect(best.gram(small).data).toEqual(first.data);
  expect(first.data).toEqual(pureLinearAlgebra.gram(small).data);
});

test("without libtorch everything is computed in TypeScript, and it is looked for once, when a large matrix comes", () => {
  let loads = 0;
  const best = bestLinearAlgebra(() => {
    loads++;
    throw new FilterBasisError("engine-missing", "not here");
  });
  const [small, large] = [random(30, 20), random(300, 260)];
  best.eigen(best.gram(small)).vectors(3);
  expect(loads).toBe(0);
  for (let i = 0; i < 2; i++) expect(best.gram(large).data).toEqual(pureLinearAlgebra.gram(large).data);
  expect(loads).toBe(1);
});

test("a libtorch that fails in another way than being absent is an error", () => {
  const best = bestLinearAlgebra(() => {
    throw new FilterBasisError("engine", "out of order");
  });
  expect(() => best.gram(random(300, 260))).toThrow(expect.objectContaining({ code: "engine" }));
});
