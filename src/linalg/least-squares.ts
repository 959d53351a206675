// Normal equations N X = R: by Cholesky where that is safe, else by the eigenvectors whose eigenvalues are not
// rounding noise.
import { isError } from "../errors/error.js";
import type { LinearAlgebra } from "./linear-algebra.js";
import { type Matrix, matrix, transpose } from "./matrix.js";

/** Eigenvalues below this share of the largest count as 0. */
const negligible = 1e-12;
/**
 * The least share of the largest pivot of a Cholesky factor that is still safe: its square is about the inverse of
 * the condition.
 */
const safe = Math.sqrt(negligible);

/** The Cholesky factor, or undefined where N is not positive definite or too badly conditioned to be solved by it. */
export function safeFactor(normal: Matrix, { cholesky }: Pick<LinearAlgebra, "cholesky">): Matrix | undefined {
  try {
    const lower = cholesky(normal);
    let [least, most] = [Infinity, 0];
    for (let i = 0; i < lower.rows; i++) {
      const pivot = lower.data[i * lower.rows + i]!;
      least = Math.min(least, pivot);
      most = Math.max(most, pivot);
    }
    return least > safe * most ? lower : undefined;
  } catch (error) {
    if (isError(error, "invalid-plan")) return undefined;
    throw error;
  }
}

/**
 * The shortest X with N X = R, as far as R lies in the range of N: V diag(1 / values) V^T R over the eigenvalues that
 * are not 0.
 */
export function shortestSolution(
  normal: Matrix,
  right: Matrix,
  { eigen, multiply }: Pick<LinearAlgebra, "eigen" | "multiply">,
): Matrix {
  const { values, vectors } = eigen(normal);
  const largest = values[0] ?? 0;
  const rank = values.findLastIndex((value) => value > negligible * largest) + 1;
  if (!(largest > 0)) return matrix(right.rows, right.cols);
  const found = vectors(rank);
  const { data, cols } = multiply(found, right); // V^T R [rank x q]
  const scaled = data.map((value, i) => value / values[Math.floor(i / cols)]!);
  return multiply(transpose(found), matrix(rank, cols, scaled));
}
