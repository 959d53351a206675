// What the fits of one layer share: the target, the covariance of its input, and what is computed of them once.
import { FilterBasisError } from "../errors/error.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { composed } from "./composed.js";
import { type Candidate, type Factors, type LayerShape, makeFactors } from "./factors.js";
import { dot } from "./output-error.js";

/** Factors W~ of a target T [n x d], d = c kh kw, are sought with the least tr (T - W~) C (T - W~)^T. */
export interface FitProblem {
  readonly shape: LayerShape;
  /** T, [n x d]. */
  readonly target: Matrix;
  /** C, [d x d], positive definite. */
  readonly covariance: Matrix;
  /** The multiple of the identity that C contains and errors are reported without. */
  readonly ridge: number;
  readonly algebra: LinearAlgebra;
  /** T C, [n x d]. */
  readonly crossed: Matrix;
  /** tr(T C T^T) */
  readonly energy: number;
}

/** Of the largest entry of the diagonal: what a covariance gains at least, so that its factors exist. */
const leastRidge = 1e-10;

export interface ProblemOptions {
  /**
   * The multiple of the identity that the covariance contains beside what the layer sees, as `ridged` adds it: the
   * factors' errors are reported without it.
   */
  readonly ridge?: number;
  /** Of the mean of the diagonal: what the covariance gains here, of which errors know nothing either. */
  readonly floor?: number;
}

/** Checks and prepares. @throws FilterBasisError `shape-mismatch`, `non-finite` */
export function fitProblem(
  target: Matrix,
  covariance: Matrix,
  shape: LayerShape,
  algebra: LinearAlgebra,
  { ridge = 0, floor = 0 }: ProblemOptions = {},
): FitProblem {
  const d = shape.c * shape.kernel[0] * shape.kernel[1];
  requireSize("target", target, shape.n, d);
  requireSize("covariance", covariance, d, d);
  for (const [field, { data }] of Object.entries({ target, covariance })) {
    const at = firstNotFinite(data);
    if (at < 0) continue;
    throw new FilterBasisError("non-finite", `the ${field} holds a value that is not finite`, {
      got: `${data[at]} at ${at}`,
    });
  }
  let [largest, trace] = [0, 0];
  for (let i = 0; i < d; i++) {
    largest = Math.max(largest, covariance.data[i * (d + 1)]!);
    trace += covariance.data[i * (d + 1)]!;
  }
  // An input that never changes: all directions alike.
  const added = largest > 0 ? leastRidge * largest + (floor * trace) / Math.max(1, d) : 1;
  const crossed = algebra.multiply(target, covariance);
  for (let i = 0; i < crossed.data.length; i++) crossed.data[i] = crossed.data[i]! + added * target.data[i]!;
  let positive: Matrix | undefined;
  return {
    shape,
    target,
    // A copy of the layer's largest matrix: not all families want it.
    get covariance() {
      return (positive ??= plusIdentity(covariance, added));
    },
    ridge: ridge + added,
    algebra,
    crossed,
    energy: dot(crossed, target),
  };
}

/** A call for each element would take as long as the products. */
function firstNotFinite(data: Float64Array): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

/** C' = C + share mean(diag C) I, and the multiple of the identity that it is. */
export function ridged(covariance: Matrix, share: number): { readonly covariance: Matrix; readonly ridge: number } {
  const { rows, data } = covariance;
  let trace = 0;
  for (let i = 0; i < rows; i++) trace += data[i * (rows + 1)]!;
  const ridge = (share * trace) / Math.max(1, rows);
  return { covariance: plusIdentity(covariance, ridge), ridge };
}

function plusIdentity({ rows, cols, data }: Matrix, factor: number): Matrix {
  const out = Float64Array.from(data);
  for (let i = 0; i < rows; i++) out[i * (cols + 1)] = out[i * (cols + 1)]! + factor;
  return matrix(rows, cols, out);
}

function requireSize(field: string, { rows, cols }: Matrix, expectedRows: number, expectedCols: number): void {
  if (rows === expectedRows && cols === expectedCols) return;
  throw new FilterBasisError("shape-mismatch", `the ${field} is not that of the layer's shape`, {
    expected: `${expectedRows} x ${expectedCols}`,
    got: `${rows} x ${cols}`,
  });
}

/**
 * The factors with their error, from what they lose under C.
 * @param lost tr (T - W~) C (T - W~)^T
 */
export function fitted(
  problem: FitProblem,
  candidate: Candidate,
  weights: readonly Float64Array[],
  lost: number,
  over?: Pick<Factors, "basis" | "coefficients">,
): Factors {
  const { shape, target, ridge, energy, algebra } = problem;
  const factors = makeFactors(candidate, shape, weights, over);
  const replaced = composed(factors, algebra.multiply).data;
  let [square, difference] = [0, 0];
  for (let i = 0; i < replaced.length; i++) {
    square += target.data[i]! ** 2;
    difference += (target.data[i]! - replaced[i]!) ** 2;
  }
  const all = energy - ridge * square;
  const error = all > 1e-12 * energy ? Math.max(1e-12, (lost - ridge * difference) / all) : difference > 0 ? 1 : 1e-12;
  return { ...factors, error: Math.min(1, error) };
}
