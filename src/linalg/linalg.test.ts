import { EVD, Matrix as MlMatrix } from "ml-matrix";
import { describe, expect, test } from "vitest";
import { eigen } from "./eigen.js";
import { inverseIteration } from "./inverse-iteration.js";
import { type Matrix, matrix, stackRows, transpose } from "./matrix.js";
import { gram, multiply } from "./product.js";
import { Random } from "./random.js";
import { tridiagonalise } from "./tridiagonal.js";

function random(rows: number, cols: number, seed = 1, decay = 0): Matrix {
  const source = new Random(seed);
  return matrix(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => source.normal() * Math.exp((-decay * (i % cols)) / cols)),
  );
}

/** The largest entry of |a - b|. */
function distance(a: Matrix, b: Matrix): number {
  expect([a.rows, a.cols]).toEqual([b.rows, b.cols]);
  return a.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.data[i]!)), 0);
}

const identity = (size: number) =>
  matrix(
    size,
    size,
    Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0)),
  );
const symmetric = (size: number, seed = 1) => {
  const a = random(size, size, seed);
  const turned = transpose(a);
  return matrix(
    size,
    size,
    a.data.map((value, i) => value + turned.data[i]!),
  );
};

describe("products", () => {
  test.each([
    [5, 7, 3],
    [8, 9, 16],
    [1, 1, 1],
    [3, 4, 5],
    [6, 300, 7],
    [1, 515, 2],
  ])("%i x %i times %i columns is the sum over the inner index", (rows, inner, cols) => {
    const [a, b] = [random(rows, inner, 1), random(inner, cols, 2)];
    const expected = new MlMatrix(rows, cols);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++)
        for (let k = 0; k < inner; k++)
          expected.set(i, j, expected.get(i, j) + a.data[i * inner + k]! * b.data[k * cols + j]!);
    expect(distance(multiply(a, b), matrix(rows, cols, expected.to1DArray()))).toBeLessThan(1e-13);
  });

  test.each([3, 8, 21, 300])("the Gram matrix of %i rows is the transpose times the matrix", (rows) => {
    const a = random(rows, 6);
    expect(distance(gram(a), multiply(transpose(a), a))).toBeLessThan(1e-13);
  });

  test("sizes that do not fit are refused", () => {
    expect(() => multiply(random(2, 3), random(2, 3))).toThrow(expect.objectContaining({ code: "shape-mismatch" }));
    expect(() => stackRows([random(2, 3), random(2, 4)])).toThrow(expect.objectContaining({ code: "shape-mismatch" }));
    expect(() => matrix(2, 2, [1])).toThrow(expect.objectContaining({ code: "shape-mismatch" }));
  });
});

describe("eigenvalues and eigenvectors", () => {
  test.each([1, 2, 3, 10, 60, 150])("of size %i agree with ml-matrix", (size) => {
    const a = symmetric(size);
    const reference = new EVD(MlMatrix.from1DArray(size, size, a.data), { assumeSymmetric: true }).realEigenvalues.sort(
      (x, y) => y - x,
    );
    const norm = Math.max(...reference.map(Math.abs));
    for (const [i, value] of eigen(a).values.entries())
      expect(Math.abs(value - reference[i]!)).toBeLessThan(1e-12 * norm);
  });

  // Sizes on both sides of the switch from QL to inverse iteration; clusters and zeros are what inverse iteration
  // finds hard.
  test.each<[string, Matrix]>([
    ["small", gram(random(50, 40))],
    ["large", gram(random(200, 160))],
    ["of low rank", gram(random(20, 160))],
    ["with a steep spectrum", gram(random(200, 160, 3, 30))],
    ["the identity", identity(130)],
    ["zero", matrix(120, 120)],
    [
      "of blocks that do not meet",
      matrix(
        120,
        120,
        Float64Array.from({ length: 14400 }, (_, i) => (Math.floor(i / 120) % 60 === (i % 120) % 60 ? 1 : 0)),
      ),
    ],
  ])("are orthonormal and satisfy A v = lambda v: a matrix %s", (_, a) => {
    const found = eigen(a);
    const { values } = found;
    const vectors = found.vectors(a.rows);
    const norm = Math.max(1e-300, ...values.map(Math.abs));
    expect(distance(multiply(vectors, transpose(vectors)), identity(a.rows))).toBeLessThan(1e-12);
    const scaled = matrix(
      a.rows,
      a.cols,
      vectors.data.map((value, i) => value * values[Math.floor(i / a.cols)]!),
    );
    expect(distance(multiply(vectors, a), scaled) / norm).toBeLessThan(1e-12);
  });

  test("the leading vectors alone are the first of all of them", () => {
    const a = gram(random(300, 120, 5, 4));
    const some = eigen(a).vectors(7);
    expect([some.rows, some.cols]).toEqual([7, 120]);
    const projected = multiply(
      some,
      transpose(
        matrix(
          7,
          120,
          eigen(a)
            .vectors(120)
            .data.slice(0, 7 * 120),
        ),
      ),
    );
    for (let i = 0; i < 7; i++) expect(Math.abs(projected.data[i * 7 + i]!)).toBeCloseTo(1, 9);
  });

  test("inverse iteration says so when it is given a number that is no eigenvalue", () => {
    const { diagonal, off } = tridiagonalise(gram(random(40, 30)).data, 30);
    expect(inverseIteration(diagonal, off, [-5])).toBeNull();
  });
});
