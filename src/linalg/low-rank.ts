// The best approximation of a matrix by one of lower rank (Eckart and Young), and the squared singular values that
// say which rank is worth it. Both come from the eigenvalues of the smaller side's Gram matrix; vectors are computed
// for the chosen rank only.
import type { LinearAlgebra } from "./linear-algebra.js";
import { type Matrix, squaredNorm, transpose } from "./matrix.js";
import { requireCount, requireFinite } from "./require.js";

export type { LinearAlgebra } from "./linear-algebra.js";
export { pureLinearAlgebra } from "./pure.js";

/** coefficients [rows x rank] times basis [rank x cols] is the best approximation of that rank. */
interface LowRank {
  readonly coefficients: Matrix;
  readonly basis: Matrix;
  /** Squared Frobenius norm of what is lost: the sum of the discarded squared singular values. */
  readonly squaredError: number;
}

/** A matrix's squared singular values, and its approximations of any rank. */
export interface Spectrum {
  /** All min(rows, cols) of them, descending, to about 1e-15 of the largest; what is below 1e-14 of it is 0. */
  readonly squares: Float64Array;
  /** @throws FilterBasisError `invalid-plan` for a rank outside 1 .. min(rows, cols) */
  lowRank(rank: number): LowRank;
}

/**
 * Of rank m, the truncated singular value decomposition W = U S V^T, split evenly: coefficients = U S^1/2, basis =
 * S^1/2 V^T, so that both factors train at the same pace. Directions that W does not have at all get a zero column of
 * coefficients and a unit row of the basis. The product is exact at full rank whatever the condition of W, since U (or
 * V) is orthonormal to working precision and the other factor is W itself in its coordinates.
 * @throws FilterBasisError `non-finite`, also for squares beyond the largest double
 */
export function spectrum(matrix: Matrix, linear: LinearAlgebra): Spectrum {
  requireFinite(matrix);
  const { rows, cols } = matrix;
  const wide = rows < cols;
  const { values, vectors } = linear.eigen(linear.gram(wide ? transpose(matrix) : matrix));
  const least = noise * (values[0] ?? 0);
  const squares = values.map((value) => (value > least ? value : 0));
  return {
    squares,
    lowRank(rank) {
      requireCount(rank, squares.length);
      const found = upright(vectors(rank));
      const [coefficients, basis] = wide
        ? balance(transpose(found), linear.multiply(found, matrix)) // U [rows x rank], U^T W
        : balance(linear.multiply(matrix, transpose(found)), found); // W V, V^T [rank x cols]
      return { coefficients, basis, squaredError: lost(matrix, coefficients, basis, squares, linear) };
    },
  };
}

/**
 * Of the largest squared singular value: rounding noise of the Gram matrix and its eigenvalues stays below (measured
 * up to 4e-15, of 2048 x 2048 matrices of rank 1), so that a direction which a matrix does not have is worth nothing
 * whichever implementation looked for it.
 */
const noise = 2 ** -46;

/**
 * Each row with the sign that makes its largest entry positive: the same vectors whichever implementation found them.
 */
function upright({ rows, cols, data }: Matrix): Matrix {
  const out = Float64Array.from(data);
  for (let i = 0; i < rows; i++) {
    const row = out.subarray(i * cols, (i + 1) * cols);
    const largest = row.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    if (largest < 0) for (let j = 0; j < cols; j++) row[j] = -row[j]!;
  }
  return { rows, cols, data: out };
}

/** Scales column j of a and row j of b so that both get the same length, leaving the product alone. */
export function balance(a: Matrix, b: Matrix): [Matrix, Matrix] {
  const rank = a.cols;
  const columns = Float64Array.from(a.data);
  const rows = Float64Array.from(b.data);
  for (let j = 0; j < rank; j++) {
    let first = 0;
    for (let i = 0; i < a.rows; i++) first += columns[i * rank + j]! ** 2;
    let second = squaredNorm(rows.subarray(j * b.cols, (j + 1) * b.cols));
    [first, second] = [Math.sqrt(first), Math.sqrt(second)];
    const usable = first * second > 1e-150;
    const up = usable ? Math.sqrt(second / first) : 0;
    for (let i = 0; i < a.rows; i++) columns[i * rank + j] = columns[i * rank + j]! * up;
    if (usable) for (let i = 0; i < b.cols; i++) rows[j * b.cols + i] = rows[j * b.cols + i]! / up;
    else if (second === 0) rows[j * b.cols + (j % b.cols)] = 1;
  }
  return [
    { ...a, data: columns },
    { ...b, data: rows },
  ];
}

/** The sum of the discarded squared singular values; where rounding would drown it, the residual itself is computed. */
function lost(
  matrix: Matrix,
  coefficients: Matrix,
  basis: Matrix,
  squares: Float64Array,
  { multiply }: LinearAlgebra,
): number {
  const rank = coefficients.cols;
  if (rank === squares.length) return 0;
  const discarded = squares.subarray(rank).reduce((sum, value) => sum + value, 0);
  const total = squares.reduce((sum, value) => sum + value, 0);
  if (discarded > 1e-7 * total) return discarded;
  const product = multiply(coefficients, basis).data;
  return squaredNorm(product.map((value, i) => value - matrix.data[i]!));
}
