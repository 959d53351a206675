// Fitting a layer to outputs over inputs whose moments are known: the regression of the asymmetric refit, the candidate
// fitted to it, and the error that filters and a bias have.
import { composed } from "../basis/composed.js";
import { fitCandidate } from "../basis/fit.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { apply, type Replacement } from "./replacement.js";
import type { CrossMoments } from "./sums.js";

/** b = E[y] - W~ E[x'] */
export function withNewBias(replacement: Replacement, { mean, outputMean }: CrossMoments): Replacement {
  const made = apply(replacement.filters, mean);
  return { ...replacement, biases: [outputMean.map((value, o) => value - made[o]!)] };
}

/** The candidate of the replacement, fitted to the outputs over the inputs whose moments are given. */
export function refitted(
  replacement: Replacement,
  moments: CrossMoments,
  rho: number,
  algebra: LinearAlgebra,
): Replacement {
  const { layer, factors } = replacement;
  const { target, covariance } = regression(layer.weight, moments, rho, algebra);
  const made = fitCandidate(target, covariance, layer.shape, factors!.candidate, algebra, {
    from: factors,
  });
  const filters = composed(made, algebra.multiply);
  return withNewBias({ layer, filters, biases: replacement.biases, factors: made }, moments);
}

/**
 * Of the largest entry of the diagonal: in directions in which the input hardly moves the regression would make filters
 * of any size, of which the fit knows nothing but what it adds to the covariance itself.
 */
const leastRidge = 1e-9;

/** T = (C_yx + rho t W)(C_xx + rho t I)^-1, and the covariance with its ridge. */
function regression(
  weight: Matrix,
  { covariance, cross }: Pick<CrossMoments, "covariance" | "cross">,
  rho: number,
  algebra: LinearAlgebra,
): { readonly target: Matrix; readonly covariance: Matrix } {
  const d = covariance.rows;
  let [trace, largest] = [0, 0];
  for (let i = 0; i < d; i++) {
    trace += covariance.data[i * (d + 1)]!;
    largest = Math.max(largest, covariance.data[i * (d + 1)]!);
  }
  if (!(trace > 0)) return { target: weight, covariance }; // the input never changes
  const ridge = Math.max((rho * trace) / d, leastRidge * largest);
  const held = matrix(d, d, Float64Array.from(covariance.data));
  for (let i = 0; i < d; i++) held.data[i * (d + 1)] = held.data[i * (d + 1)]! + ridge;
  const right = matrix(
    cross.rows,
    d,
    cross.data.map((value, i) => value + ridge * weight.data[i]!),
  );
  return { target: transpose(algebra.solve(held, transpose(right))), covariance: held };
}

/** E|y - F x - b|^2 / var y, from moments. */
export function outputErrorOf(
  { filters, biases: [bias] }: Replacement,
  moments: CrossMoments,
  algebra: LinearAlgebra,
): number {
  const { covariance, cross, mean, outputMean, outputVariance } = moments;
  const through = algebra.multiply(filters, covariance).data;
  const made = apply(filters, mean);
  let error = 0;
  for (let i = 0; i < through.length; i++) error += filters.data[i]! * (through[i]! - 2 * cross.data[i]!);
  let variance = 0;
  for (let o = 0; o < made.length; o++) {
    variance += outputVariance[o]!;
    error += outputVariance[o]! + (outputMean[o]! - made[o]! - bias![o]!) ** 2;
  }
  return Math.max(0, error) / Math.max(variance, Number.MIN_VALUE);
}
