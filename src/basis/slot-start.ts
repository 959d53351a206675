// The bank to begin with: what would be best if slots did not move together and all moved alike, and what makes later
// steps short. One eigenproblem serves all ranks: the bank of rank r is the first r rows.

import { safeFactor } from "../linalg/least-squares.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { columns, type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { type Banks, meanCovariance, type Slots, slotCovariance, throughCovariance } from "./slots.js";

export interface SlotStart {
  /** Banks of rank r, and D C of them. */
  at(rank: number): { readonly banks: Banks; readonly through: Matrix };
  /** The inverses of the covariances of slots: of their mean, or of each. */
  readonly inverses: readonly Matrix[];
}

/** Eigenvalues below this share of the largest are rounding: their directions are not made larger. */
const negligible = 1e-14;
/** The same of a covariance's own. */
const within = 1e-12;

export function slotStart(problem: Slots): SlotStart {
  const { slots, width, own, target, algebra } = problem;
  const covariances = own
    ? Array.from({ length: slots }, (_, q) => slotCovariance(problem, q))
    : [meanCovariance(problem)];
  const slices = () =>
    own
      ? covariances.map((_, q) => columns(target, q * width, width))
      : [matrix(target.rows * slots, width, target.data)];
  let found: Banks | undefined;
  const leadingBanks = (): Banks =>
    (found ??= slices().map((slice, i) => leadingFilters(slice, covariances[i]!, algebra)));
  const identity = matrix(width, width);
  for (let i = 0; i < width; i++) identity.data[i * (width + 1)] = 1;
  let inverses: readonly Matrix[] | undefined;
  let known: { readonly rank: number; readonly through: Matrix } | undefined;
  return {
    at(rank) {
      const leading = leadingBanks();
      const banks = leading.map((rows) => firstRows(rows, rank));
      if (!known || known.rank < rank) known = { rank, through: grown(problem, leading, known, rank) };
      return { banks, through: firstOfEach(known.through, slots, rank) };
    },
    get inverses() {
      return (inverses ??= covariances.map((covariance) => algebra.solve(covariance, identity)));
    },
  };
}

/** D C for a larger rank, computed for the rows that are new. */
function grown(
  problem: Slots,
  leading: Banks,
  known: { rank: number; through: Matrix } | undefined,
  rank: number,
): Matrix {
  const before = known?.rank ?? 0;
  const added = throughCovariance(
    problem,
    leading.map(({ cols, data }) => matrix(rank - before, cols, data.subarray(before * cols, rank * cols))),
  );
  if (!known) return added;
  const { cols } = added;
  const out = new Float64Array(problem.slots * rank * cols);
  for (let q = 0; q < problem.slots; q++) {
    out.set(known.through.data.subarray(q * before * cols, (q + 1) * before * cols), q * rank * cols);
    const count = (rank - before) * cols;
    out.set(added.data.subarray(q * count, (q + 1) * count), (q * rank + before) * cols);
  }
  return matrix(problem.slots * rank, cols, out);
}

const firstRows = ({ cols, data }: Matrix, count: number): Matrix => matrix(count, cols, data.slice(0, count * cols));

/** The first `count` rows of each of `parts` equal runs of rows. */
function firstOfEach({ rows, cols, data }: Matrix, parts: number, count: number): Matrix {
  const out = new Float64Array(parts * count * cols);
  for (let q = 0; q < parts; q++) {
    const from = (q * rows * cols) / parts;
    out.set(data.subarray(from, from + count * cols), q * count * cols);
  }
  return matrix(parts * count, cols, out);
}

/**
 * All filters V with V C V^T = I whose span holds most of slices X [k x w] in the norm of C: the right singular vectors
 * of X L with C = L L^T, times L^-1; the most important first, min(k, w) of them. Of the smaller side's Gram matrix.
 */
function leadingFilters(slices: Matrix, covariance: Matrix, algebra: LinearAlgebra): Matrix {
  const { rows: k, cols: w } = slices;
  if (k > w) {
    const lower = safeFactor(covariance, algebra);
    if (lower === undefined) return leadingWithin(slices, covariance, algebra);
    const directions = algebra.eigen(algebra.gram(algebra.multiply(slices, lower))).vectors(w);
    return algebra.solveTriangular(directions, lower);
  }
  const { values, vectors } = algebra.eigen(algebra.multiplyTransposed(algebra.multiply(slices, covariance), slices));
  const found = algebra.multiply(vectors(k), slices); // [k x w]
  const least = negligible * Math.max(values[0]!, 0);
  for (let i = 0; i < k; i++) {
    const scale = values[i]! > least ? 1 / Math.sqrt(values[i]!) : 0;
    for (let j = i * w; j < (i + 1) * w; j++) found.data[j] = found.data[j]! * scale;
  }
  return found;
}

/**
 * The same for a covariance of less than full rank, within its range: C = (Q S) (Q S)^T. The filters that are left
 * are 0. Such covariances come of channels that are 0 everywhere, and of banks of more filters than the target has.
 */
function leadingWithin(slices: Matrix, covariance: Matrix, algebra: LinearAlgebra): Matrix {
  const { rows: w } = covariance;
  const { values, vectors } = algebra.eigen(covariance);
  const largest = values[0] ?? 0;
  const rank = values.findLastIndex((value) => value > within * largest) + 1;
  const found = matrix(w, w);
  if (!(largest > 0)) return found;
  const scaled = (by: (value: number) => number): Matrix => {
    const range = vectors(rank); // Q^T [rank x w]
    return matrix(
      rank,
      w,
      range.data.map((entry, at) => entry * by(values[Math.floor(at / w)]!)),
    );
  };
  const whole = algebra.multiply(slices, transpose(scaled(Math.sqrt))); // X Q S
  const directions = algebra.eigen(algebra.gram(whole)).vectors(rank);
  found.data.set(
    algebra.multiply(
      directions,
      scaled((value) => 1 / Math.sqrt(value)),
    ).data,
  );
  return found;
}
