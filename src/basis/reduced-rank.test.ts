// Responses by fewer directions: the optimum against alternating least squares, and the nonlinear steps.
import { describe, expect, test } from "vitest";
import { pureLinearAlgebra as linear } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { applied, nearestTarget, reducedRank, reducedRankRelu } from "./reduced-rank.js";

const [samples, n] = [120, 6];

function responses(): { readonly original: Matrix; readonly seen: Matrix } {
  const random = new Random("responses");
  const mix = Float64Array.from({ length: n * n }, () => random.normal());
  const seen = matrix(
    samples,
    n,
    Float64Array.from({ length: samples * n }, () => random.normal() + 0.3),
  );
  const { data } = linear.multiply(seen, matrix(n, n, mix));
  return {
    original: matrix(
      samples,
      n,
      data.map((value) => value + 0.5 * random.normal() - 0.2),
    ),
    seen,
  };
}

const errorOf = (a: Matrix, b: Matrix, by = (value: number) => value): number =>
  squaredNorm(a.data.map((value, i) => by(value) - by(b.data[i]!)));

/** min over U, V and b of ||Y - (Z, 1) (V, b)||, V = Q^T P^T, by least squares for one factor after the other. */
function alternating({ data }: Matrix, seen: Matrix, rank: number): number {
  const random = new Random("start");
  let q = matrix(
    n,
    rank,
    Float64Array.from({ length: n * rank }, () => random.normal()),
  );
  const mean = (values: Matrix) =>
    Float64Array.from({ length: n }, (_, j) => {
      let sum = 0;
      for (let i = 0; i < samples; i++) sum += values.data[i * n + j]! / samples;
      return sum;
    });
  const less = (values: Matrix) => {
    const middle = mean(values);
    return matrix(
      samples,
      n,
      values.data.map((value, i) => value - middle[i % n]!),
    );
  };
  const [y, z] = [less(matrix(samples, n, data)), less(seen)];
  const free = linear.solve(linear.gram(z), linear.multiply(transpose(z), y));
  let error = Infinity;
  for (let sweep = 0; sweep < 300; sweep++) {
    const hidden = linear.multiply(z, q); // [N x r]
    const p = linear.solve(linear.gram(hidden), linear.multiply(transpose(hidden), y)); // [r x n]
    error = errorOf(y, linear.multiply(hidden, p));
    // z q p ~ y: q = (z^T z)^-1 z^T y p^T (p p^T)^-1
    q = transpose(linear.solve(linear.gram(transpose(p)), transpose(linear.multiplyTransposed(free, p))));
  }
  return error;
}

describe("responses by fewer directions", () => {
  const { original, seen } = responses();

  test.each([1, 2, 4, 6])("of rank %d lose what alternating least squares lose", (rank) => {
    const found = applied(reducedRank(original, seen, rank, linear), seen, linear);
    const other = alternating(original, seen, rank);
    expect(errorOf(original, found)).toBeLessThan(other * (1 + 1e-6));
    expect(errorOf(original, found)).toBeGreaterThan(other * (1 - 1e-3));
  });

  test("of all directions, where nothing was compressed before, are the responses", () => {
    const found = applied(reducedRank(original, original, n, linear), original, linear);
    expect(errorOf(original, found)).toBeLessThan(1e-18 * squaredNorm(original.data));
  });

  test.each([1, 2, 4])("of rank %d lose less behind the ReLU where they are fitted to it", (rank) => {
    const behind = (found: Matrix) => errorOf(original, found, (value) => Math.max(0, value));
    const plain = behind(applied(reducedRank(original, seen, rank, linear), seen, linear));
    const fitted = behind(applied(reducedRankRelu(original, seen, rank, linear), seen, linear));
    expect(fitted).toBeLessThan(plain);
  });

  test("aim at the least of both terms", () => {
    const random = new Random("targets");
    for (let i = 0; i < 200; i++) {
      const [u, t, lambda] = [2 * random.normal(), Math.max(0, random.normal()), 10 ** (4 * random.next() - 3)];
      const cost = (z: number) => (t - Math.max(0, z)) ** 2 + lambda * (z - u) ** 2;
      const others = Array.from({ length: 1200 }, (_, k) => cost(k / 100 - 6));
      expect(cost(nearestTarget(u, t, lambda))).toBeLessThanOrEqual(Math.min(...others) + 1e-12);
    }
  });
});
