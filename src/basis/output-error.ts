// What replaced filters lose of a layer's output under the covariance of its input.
import { type Matrix, matrix } from "../linalg/matrix.js";
import { multiply as product } from "../linalg/product.js";

type Multiply = (a: Matrix, b: Matrix) => Matrix;

/** The least share of a layer's output energy that an error can be: below it lies rounding. */
const errorFloor = 1e-12;

/**
 * e = tr(dW C dW^T) / tr(W C W^T), dW = W - W~: the share of the output's energy that is lost, at least 1e-12.
 * Where the output never moves, only W~ = W loses nothing: 1e-12, else 1.
 */
export function outputError(
  original: Matrix,
  replaced: Matrix,
  covariance: Matrix,
  multiply: Multiply = product,
): number {
  const difference = matrix(
    original.rows,
    original.cols,
    original.data.map((value, i) => value - replaced.data[i]!),
  );
  const lost = energy(difference, covariance, multiply);
  const all = energy(original, covariance, multiply);
  if (all > 0) return Math.max(errorFloor, lost / all);
  return lost > 0 ? 1 : errorFloor;
}

/** tr(W C W^T): the variance of the outputs, summed over them. */
function energy(filters: Matrix, covariance: Matrix, multiply: Multiply): number {
  return dot(multiply(filters, covariance), filters);
}

/** The sum of the products of all entries: tr(a b^T). */
export function dot({ data: a }: Matrix, { data: b }: Matrix): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
