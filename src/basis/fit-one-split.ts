// One basis over all channels, and two matrices in place of one: the m directions of the output that move most.
// U = the leading eigenvectors of T C T^T, A = U, B = U^T T: the truncated SVD of T C^1/2 and the principal
// components of the outputs (Zhang et al., Accelerating Very Deep Convolutional Networks, section 2) are the same.
import { matrix, transpose } from "../linalg/matrix.js";
import type { Candidate, Factors } from "./factors.js";
import { type FitProblem, fitted } from "./fit-problem.js";
import { tails } from "./spectrum.js";

/** One eigenproblem [n x n] for all ranks. */
export function fitOneSplit(problem: FitProblem, candidates: readonly Candidate[]): readonly Factors[] {
  const { target, crossed, algebra } = problem;
  const { rows: n, cols: d } = target;
  const { values, vectors } = algebra.eigen(algebra.multiplyTransposed(crossed, target));
  const directions = vectors(n); // U^T, [n x n]
  const all = algebra.multiply(directions, target); // U^T T, [n x d]
  const lost = tails(values.map((value) => Math.max(0, value)));
  return candidates.map((candidate) => {
    const m = candidate.ranks[0]!;
    const exact = m === d; // as many as there are inputs: each is a basis filter
    const basis = exact ? identity(d) : all.data.slice(0, m * d);
    const coefficients = exact ? target.data.slice() : transpose(matrix(m, n, directions.data.subarray(0, m * n))).data;
    return fitted(problem, candidate, [basis, coefficients], exact ? 0 : lost[m]!, { basis, coefficients });
  });
}

function identity(size: number): Float64Array {
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++) out[i * (size + 1)] = 1;
  return out;
}
