// Factors of a layer with the least error of its output under the covariance of its input: all candidates of a layer
// at once, so that they share what is computed once.
import { FilterBasisError } from "../errors/error.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import type { Matrix } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import {
  type Candidate,
  type Factors,
  type Family,
  type FittedFamily,
  type LayerShape,
  stageShapes,
} from "./factors.js";
import { fitOneSplit } from "./fit-one-split.js";
import { fitOwnBases } from "./fit-own-bases.js";
import { type FitProblem, fitProblem, fitted, type ProblemOptions } from "./fit-problem.js";
import { fitSeparable, fitSeparablePointwise } from "./fit-separable.js";
import { fitSharedBases } from "./fit-shared-bases.js";
import { fitTucker } from "./fit-tucker.js";
import { fullRanks } from "./full-ranks.js";
import type { FamilyFit } from "./slot-family.js";

export { ridged } from "./fit-problem.js";

const fits: Readonly<Record<FittedFamily, FamilyFit>> = {
  dense: (problem, candidates) =>
    candidates.map((candidate) => fitted(problem, candidate, [problem.target.data.slice()], 0)),
  "one-split": fitOneSplit,
  "low-rank": fitOneSplit,
  "shared-bases": fitSharedBases,
  "own-bases": fitOwnBases,
  "tucker-2": fitTucker,
  separable: fitSeparable,
  "separable-pointwise": fitSeparablePointwise,
};

export interface FitOptions extends ProblemOptions {
  /** Factors of the same candidate that are near: the fit begins with them. Of one candidate alone. */
  readonly from?: Factors | undefined;
  /**
   * Steps of the families that have no closed form; each makes the error smaller, the later ones by little. Without it
   * 6, or in large layers fewer from a better start, which the candidates of one family give each other.
   */
  readonly steps?: number;
}

/**
 * The factors of each candidate, in their order, with `error` set.
 * @param target T [n x c kh kw], the filters that the factors are to stand for
 * @param covariance of the input patches, [c kh kw x c kh kw] in the order [c, kh, kw], positive semi-definite
 * @throws FilterBasisError `shape-mismatch`, `non-finite`, `invalid-plan` for ranks beyond full rank or splits that do
 * not divide
 */
export function fitCandidates(
  target: Matrix,
  covariance: Matrix,
  shape: LayerShape,
  candidates: readonly Candidate[],
  algebra: LinearAlgebra = pureLinearAlgebra,
  options: FitOptions = {},
): readonly Factors[] {
  for (const candidate of candidates) requireRanks(candidate, shape);
  return fitAll(fitProblem(target, covariance, shape, algebra, options), candidates, options, (one) => one);
}

/** The errors of the candidates' factors, of which only one family's are held at once. */
export function candidateErrors(
  target: Matrix,
  covariance: Matrix,
  shape: LayerShape,
  candidates: readonly Candidate[],
  algebra: LinearAlgebra = pureLinearAlgebra,
  options: ProblemOptions = {},
): readonly number[] {
  for (const candidate of candidates) requireRanks(candidate, shape);
  const problem = fitProblem(target, covariance, shape, algebra, options);
  return fitAll(problem, candidates, {}, ({ error = 1 }) => error);
}

function fitAll<T>(
  problem: FitProblem,
  candidates: readonly Candidate[],
  { steps, from }: Pick<FitOptions, "steps" | "from">,
  take: (factors: Factors) => T,
): readonly T[] {
  const out: T[] = new Array(candidates.length);
  const options = {
    ...(steps === undefined ? {} : { steps }),
    ...(from === undefined || candidates.length > 1 ? {} : { from }),
  };
  for (const indices of alike(candidates)) {
    const group = indices.map((i) => candidates[i]!);
    const found = fitOf(group[0]!.family)(problem, group, options);
    for (const [k, i] of indices.entries()) out[i] = take(found[k]!);
  }
  return out;
}

function fitOf(family: Family): FamilyFit {
  if (Object.hasOwn(fits, family)) return fits[family as FittedFamily];
  throw new FilterBasisError("invalid-plan", `${family} is made from filters, and not fitted to what a layer sees`, {
    field: "family",
    expected: Object.keys(fits).join(", "),
    got: family,
  });
}

/** The places of candidates of one family and one number of splits, for each of these. */
function alike(candidates: readonly Candidate[]): Iterable<readonly number[]> {
  const groups = new Map<string, number[]>();
  for (const [i, { family, splits = 1 }] of candidates.entries()) {
    const key = `${family} ${splits}`;
    const group = groups.get(key);
    if (group) group.push(i);
    else groups.set(key, [i]);
  }
  return groups.values();
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
