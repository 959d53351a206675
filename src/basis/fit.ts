// Factors of a layer with the least error of its output under the covariance of its input: all candidates of a layer
// at once, so that they share what is computed once.
import { FilterBasisError } from "../errors/error.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import type { Matrix } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import { type Candidate, type Factors, type Family, fullRanks, type LayerShape, stageShapes } from "./factors.js";
import { fitOneSplit } from "./fit-one-split.js";
import { type FitProblem, fitProblem, fitted } from "./fit-problem.js";

export { ridged } from "./fit-problem.js";

/** Prepares what the candidates of one family and one number of splits share, and gives the fit of each. */
type Fit = (problem: FitProblem, splits: number) => Fitted;

type Fitted = (candidate: Candidate) => Factors;

const fits: Readonly<Partial<Record<Family, Fit>>> = {
  dense: (problem) => (candidate) => fitted(problem, candidate, [problem.target.data.slice()], 0),
  "one-split": fitOneSplit,
  "low-rank": fitOneSplit,
};

export interface FitOptions {
  /**
   * The multiple of the identity that the covariance contains beside what the layer sees, as `ridged` adds it: the
   * factors' errors are reported without it.
   */
  readonly ridge?: number;
}

/**
 * The factors of each candidate, in their order, with `error` set.
 * @param target T [n x c kh kw], the filters that the factors are to stand for
 * @param covariance of the input patches, [c kh kw x c kh kw] in the order [c, kh, kw], positive semi-definite
 * Errors: `shape-mismatch`, `non-finite`, `invalid-plan` for ranks beyond full rank or splits that do not divide.
 */
export function fitCandidates(
  target: Matrix,
  covariance: Matrix,
  shape: LayerShape,
  candidates: readonly Candidate[],
  algebra: LinearAlgebra = pureLinearAlgebra,
  { ridge = 0 }: FitOptions = {},
): readonly Factors[] {
  for (const candidate of candidates) requireRanks(candidate, shape);
  const problem = fitProblem(target, covariance, shape, algebra, ridge);
  const prepared = new Map<string, Fitted>();
  return candidates.map((candidate) => {
    const { family, splits = 1 } = candidate;
    const key = `${family} ${splits}`;
    const run = prepared.get(key) ?? fits[family]!(problem, splits);
    prepared.set(key, run);
    return run(candidate);
  });
}

/** The factors of one candidate. */
export function fitCandidate(
  target: Matrix,
  covariance: Matrix,
  shape: LayerShape,
  candidate: Candidate,
  algebra: LinearAlgebra = pureLinearAlgebra,
  options: FitOptions = {},
): Factors {
  return fitCandidates(target, covariance, shape, [candidate], algebra, options)[0]!;
}

function requireRanks(candidate: Candidate, shape: LayerShape): void {
  stageShapes(candidate, shape); // splits, and as many ranks as the family has
  const most = fullRanks(candidate, shape);
  if (candidate.ranks.every((rank, i) => rank <= most[i]!)) return;
  throw new FilterBasisError("invalid-plan", `a rank of ${candidate.family} is beyond full rank`, {
    field: "ranks",
    expected: `at most [${most.join(", ")}]`,
    got: `[${candidate.ranks.join(", ")}]`,
  });
}
