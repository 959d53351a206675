// The least error of factors by slots (slots.ts). For given banks the rest is a problem of least squares with one
// answer, of rank r2 the leading outputs of it; the banks descend by conjugate gradients on what remains, each step
// followed by the least squares (variable projection; Golub and Pereyra 1973), preconditioned by H^T H and the inverse
// covariance of a slot. No step makes the error larger.
import { type Matrix, matrix, squaredNorm, stackRows, transpose } from "../linalg/matrix.js";
import { dot } from "./output-error.js";
import type { SlotStart } from "./slot-start.js";
import { adjoint, type Banks, bankAt, features, type Slots, slotColumns, throughCovariance } from "./slots.js";

export interface SlotFit {
  readonly banks: Banks;
  /** H [n x S r], or G [r2 x S r] where the outer rank is limited. */
  readonly coefficients: Matrix;
  /** U^T [r2 x n], orthonormal rows: where the outer rank is limited. */
  readonly outer?: Matrix;
  /** tr (T - W~) C (T - W~)^T */
  readonly lost: number;
  /** H without a limit, [n x S r]. */
  readonly full: Matrix;
  /** T C D^T, [n x S r]. */
  readonly right: Matrix;
}

/** Banks with the products that the next step needs. */
export interface SlotState {
  readonly banks: Banks;
  /** D C, [S r x S w]. */
  readonly through: Matrix;
  /** D C D^T, [S r x S r]. */
  readonly normal: Matrix;
}

export interface Steps {
  readonly most: number;
  readonly gain: number;
}

/** Steps below this share of the energy are rounding. */
const settled = 1e-15;

/** The banks of a rank to begin with. */
export function firstState(problem: Slots, start: SlotStart, rank: number): SlotState {
  const { banks, through } = start.at(rank);
  return { banks, through, normal: features(problem, through, banks) };
}

/** Given banks with the products that steps need. */
export function stateOf(problem: Slots, banks: Banks): SlotState {
  const through = throughCovariance(problem, banks);
  return { banks, through, normal: features(problem, through, banks) };
}

/** The problem for banks within the span of those of a state: its slots hold what they give. */
export function inSpan(problem: Slots, { normal }: SlotState, { full, right }: SlotFit): Slots {
  const { slots, algebra } = problem;
  const width = normal.rows / slots;
  const blocks = Array.from({ length: slots }, (_, q) => {
    const from = q * width * normal.cols;
    return algebra.keep(matrix(width, normal.cols, normal.data.subarray(from, from + width * normal.cols)));
  });
  return { ...problem, width, target: full, crossed: right, blocks };
}

/** A state of the problem within another state, as one of the problem around it. */
export function outOf({ slots, algebra }: Slots, outer: SlotState, inner: SlotState): SlotState {
  const banks = inner.banks.map((bank, q) => algebra.multiply(bank, outer.banks[q]!));
  const { rows, cols, data } = outer.through;
  const size = (rows / slots) * cols;
  const through = Array.from({ length: slots }, (_, q) =>
    algebra.multiply(bankAt(inner.banks, q), matrix(rows / slots, cols, data.subarray(q * size, (q + 1) * size))),
  );
  return { banks, through: stackRows(through), normal: inner.normal };
}

/**
 * Descends from a state.
 * @param start what makes steps short; computed with the first step
 * @param outerRank r2; n or more for none
 * @param steps at most, and the share of the error that a step must take away for another one to follow
 * @param known the fit of that state, where it was made already
 */
export function fitSlots(
  problem: Slots,
  start: Pick<SlotStart, "inverses">,
  from: SlotState,
  outerRank: number,
  { most, gain }: Steps,
  known?: SlotFit,
): { readonly fit: SlotFit; readonly state: SlotState } {
  const { algebra, energy } = problem;
  let state = from;
  let fit = known ?? project(problem, state, outerRank);
  let search: Search | undefined;
  for (let step = 0; step < most && fit.lost > settled * energy; step++) {
    search = nextSearch(problem, start.inverses, fit, state.through, search);
    const cross = features(problem, state.through, search.direction);
    const square = features(problem, search.through, search.direction);
    const curvature = dot(algebra.gram(fit.coefficients), square);
    const length = sumOfDots(search.gradient, search.direction) / curvature;
    if (!(curvature > 0 && length > 0 && Number.isFinite(length))) break;
    const moved: SlotState = {
      banks: state.banks.map((bank, q) => sum(bank, length, search!.direction[q]!)),
      through: sum(state.through, length, search.through),
      normal: movedNormal(state.normal, cross, square, length),
    };
    const next = project(problem, moved, outerRank);
    if (!(next.lost < fit.lost)) break;
    const gained = 1 - next.lost / fit.lost;
    fit = next;
    state = moved;
    if (gained < gain) break;
  }
  return { fit, state };
}

/** What is best for given banks. */
function project(problem: Slots, { banks, normal }: SlotState, outerRank: number): SlotFit {
  const { algebra, crossed, energy } = problem;
  const right = features(problem, crossed, banks); // T C D^T [n x S r]
  const full = transpose(algebra.solve(normal, transpose(right)));
  if (outerRank >= crossed.rows) return { banks, coefficients: full, lost: energy - dot(full, right), full, right };
  const { values, vectors } = algebra.eigen(algebra.multiplyTransposed(full, right));
  const outer = vectors(outerRank);
  const explained = values.subarray(0, outerRank).reduce((total, value) => total + value, 0);
  return { banks, coefficients: algebra.multiply(outer, full), outer, lost: energy - explained, full, right };
}

interface Search {
  readonly gradient: Banks;
  readonly preconditioned: Banks;
  readonly direction: Banks;
  /** D C of the direction. */
  readonly through: Matrix;
}

/** The next direction, conjugate to the last one (Polak and Ribiere, never backwards). */
function nextSearch(problem: Slots, inverses: Banks, fit: SlotFit, through: Matrix, last?: Search): Search {
  const { algebra, crossed } = problem;
  const { coefficients, outer } = fit;
  const wanted = outer ? algebra.multiply(outer, crossed) : crossed;
  const rest = sum(wanted, -1, algebra.multiply(coefficients, through));
  const gradient = adjoint(problem, coefficients, rest);
  const parts = slotColumns(coefficients, problem.slots, problem.own);
  const preconditioned = gradient.map((part, q) =>
    algebra.solve(algebra.gram(parts[q]!), algebra.multiply(part, bankAt(inverses, q))),
  );
  const slope = sumOfDots(gradient, preconditioned);
  const before = last ? sumOfDots(last.gradient, last.preconditioned) : 0;
  const kept = last && before > 0 ? Math.max(0, (slope - sumOfDots(last.gradient, preconditioned)) / before) : 0;
  const added = throughCovariance(problem, preconditioned);
  if (!last || kept === 0) return { gradient, preconditioned, direction: preconditioned, through: added };
  const direction = preconditioned.map((part, q) => sum(part, kept, last.direction[q]!));
  return { gradient, preconditioned, direction, through: sum(added, kept, last.through) };
}

/** N + length (cross + cross^T) + length^2 square, symmetric to the last bit. */
function movedNormal(
  { rows, data }: Matrix,
  { data: cross }: Matrix,
  { data: square }: Matrix,
  length: number,
): Matrix {
  const out = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      const [a, b] = [i * rows + j, j * rows + i];
      out[a] = data[a]! + length * (cross[a]! + cross[b]!) + length * length * square[a]!;
      out[b] = out[a]!;
    }
  return matrix(rows, rows, out);
}

/** a + factor b */
function sum(a: Matrix, factor: number, b: Matrix): Matrix {
  const out = new Float64Array(a.data.length);
  for (let i = 0; i < out.length; i++) out[i] = a.data[i]! + factor * b.data[i]!;
  return matrix(a.rows, a.cols, out);
}

const sumOfDots = (a: Banks, b: Banks): number => a.reduce((total, part, q) => total + dot(part, b[q]!), 0);

/** The same with filters of norm 1 in the banks. */
export function normalised(fit: SlotFit): SlotFit {
  const { rows: r, cols: w } = fit.banks[0]!;
  const norms = fit.banks.map(({ data }) =>
    Float64Array.from({ length: r }, (_, a) => Math.sqrt(squaredNorm(data.subarray(a * w, (a + 1) * w))) || 1),
  );
  const banks = fit.banks.map(({ data }, q) =>
    matrix(
      r,
      w,
      data.map((value, at) => value / norms[q]![Math.floor(at / w)]!),
    ),
  );
  const { rows, cols, data } = fit.coefficients;
  const scale = Float64Array.from(
    { length: cols },
    (_, f) => (norms.length === 1 ? norms[0]! : norms[Math.floor(f / r)]!)[f % r]!,
  );
  return {
    ...fit,
    banks,
    coefficients: matrix(
      rows,
      cols,
      data.map((value, at) => value * scale[at % cols]!),
    ),
  };
}
