// A basis and its coefficients out of trained filters: truncated SVD, over one layer or over several that share the
// basis. W[n, c, h, w] read row-major IS the matrix [(n s) x (p h w)] of the paper's split filters, so no value has
// to move.
import { FilterBasisError } from "../errors/error.js";
import { type LinearAlgebra, pureLinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm, stackRows } from "../linalg/matrix.js";
import { multiply } from "../linalg/product.js";
import { denseWeights, type FilterShape } from "./split.js";

/** Filters to be decomposed. */
export interface Filters extends FilterShape {
  readonly name: string;
  /** W, row-major [n, c, h, w]. */
  readonly values: Float64Array;
  /** s */
  readonly splits: number;
}

/** The factors of one or more layers over one basis. */
export interface Factors {
  /** m */
  readonly basisSize: number;
  /** B, row-major [m, p, h, w]. */
  readonly basis: Float64Array;
  /** For each layer A, row-major [n, s m]: column g m + j is split g, basis filter j. */
  readonly coefficients: readonly Float64Array[];
  /** For each layer ||W - B A||_F^2. */
  readonly squaredErrors: readonly number[];
  /** For each layer ||W||_F^2. */
  readonly squaredNorms: readonly number[];
  /**
   * For each layer (W - BA) E[x], [n], which its bias gains; where coefficients were fitted to outputs and the mean
   * E[x] of the input is known.
   */
  readonly shifts?: readonly (Float64Array | undefined)[];
}

/** W as [(n s) x (p h w)]. */
export function splitMatrix({ name, values, splits, ...shape }: Filters): Matrix {
  if (values.length !== denseWeights(shape)) {
    throw new FilterBasisError("shape-mismatch", "the filters do not fill their shape", {
      layer: name,
      expected: `${denseWeights(shape)} values`,
      got: `${values.length}`,
    });
  }
  if (shape.inChannels % splits !== 0) {
    throw new FilterBasisError("invalid-plan", "the splits must divide the input channels", {
      layer: name,
      expected: `a divisor of ${shape.inChannels}`,
      got: `${splits}`,
    });
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new FilterBasisError("non-finite", "a weight is not a finite number", {
        layer: name,
        got: `${values[i]} at ${i}`,
      });
    }
  }
  return matrix(shape.outChannels * splits, (shape.inChannels / splits) * shape.kernelElements, values);
}

/**
 * The best basis of m filters, in the Frobenius norm over all the layers together: their split matrices stacked,
 * truncated SVD. All layers need one p and one kernel. `known` is the stack's spectrum, if it was computed already.
 * @throws FilterBasisError `invalid-plan` for m beyond the rank of the stack, `non-finite`
 */
export function initialise(
  layers: readonly Filters[],
  basisSize: number,
  known?: Spectrum,
  linear: LinearAlgebra = pureLinearAlgebra,
): Factors {
  const parts = layers.map(splitMatrix);
  const found = known ?? spectrum(parts.length === 1 ? parts[0]! : stackRows(parts), linear);
  checkRank(layers, found, basisSize);
  const { coefficients: stacked, basis, squaredError } = found.lowRank(basisSize);
  const coefficients: Float64Array[] = [];
  let row = 0;
  for (const part of parts) {
    coefficients.push(stacked.data.slice(row * basisSize, (row + part.rows) * basisSize));
    row += part.rows;
  }
  const squaredErrors =
    parts.length === 1
      ? [squaredError]
      : parts.map((part, i) =>
          difference(part, linear.multiply(matrix(part.rows, basisSize, coefficients[i]!), basis)),
        );
  return {
    basisSize,
    basis: basis.data,
    coefficients,
    squaredErrors,
    squaredNorms: parts.map((part) => squaredNorm(part.data)),
  };
}

/** Refuses a basis larger than what the filters span at most. */
export function checkRank(layers: readonly Filters[], { squares }: Spectrum, basisSize: number): void {
  if (basisSize <= squares.length) return;
  throw new FilterBasisError("invalid-plan", "the basis is larger than the full rank of the filters it is made from", {
    layer: layers.map(({ name }) => name).join(", "),
    expected: `at most ${squares.length} basis filters`,
    got: `${basisSize}`,
  });
}

/** ||a - b||_F^2 */
export function difference(a: Matrix, b: Matrix): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return sum;
}

/** W = B A: the dense filters, row-major [n, c, h, w], of coefficients [n, s m] over a basis [m, p, h, w]. */
export function reconstruct(basis: Float64Array, coefficients: Float64Array, basisSize: number): Float64Array {
  const rows = coefficients.length / basisSize;
  return multiply(matrix(rows, basisSize, coefficients), matrix(basisSize, basis.length / basisSize, basis)).data;
}
