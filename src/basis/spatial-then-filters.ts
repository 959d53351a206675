// A convolution as kh x 1, 1 x kw and 1 x 1 in two steps (Zhang et al., 2016, "asym. 3D"): W[o, i, y, x] = sum_r H[o,
// r, x] V[r, i, y] by one truncated SVD with V orthonormal, then H [n x r kw] ~ P H' by another, or by what responses
// say. As V is orthonormal, what both steps lose is at most the sum of what each alone would lose of W.
import { type LinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { type Factors, type LayerShape, makeFactors } from "./factors.js";
import { separableFactors } from "./separable-svd.js";

export interface SpatialSplit {
  /** [r, c, kh] with orthonormal rows, but for directions that the filters do not have. */
  readonly vertical: Float64Array;
  /** H [n x r kw], rows (r, x). */
  readonly horizontal: Matrix;
}

/** The first step. @param found what `separableSpectrum` gives */
export function spatialSplit(found: Spectrum, shape: LayerShape, rank: number): SpatialSplit {
  const [first, second] = separableFactors(found, shape, rank).stages;
  const [vertical, horizontal] = [Float64Array.from(first!.weight), Float64Array.from(second!.weight)];
  const [width, kw] = [vertical.length / rank, shape.kernel[1]];
  for (let r = 0; r < rank; r++) {
    const row = vertical.subarray(r * width, (r + 1) * width);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let i = 0; i < width; i++) row[i] = length > 0 ? row[i]! / length : Number(i === r % width);
    for (let o = 0; o < shape.n; o++)
      for (let x = 0; x < kw; x++) {
        const at = (o * rank + r) * kw + x;
        horizontal[at] = horizontal[at]! * length;
      }
  }
  return { vertical, horizontal: matrix(shape.n, rank * kw, horizontal) };
}

/** Both steps, from the filters alone. @param ranks channels between, and channels out */
export function spatialThenFilters(
  found: Spectrum,
  shape: LayerShape,
  ranks: readonly [number, number],
  linear: LinearAlgebra,
): Factors {
  const { vertical, horizontal } = spatialSplit(found, shape, ranks[0]);
  const { coefficients, basis } = spectrum(horizontal, linear).lowRank(ranks[1]);
  return makeFactors({ family: "separable-pointwise", ranks }, shape, [vertical, basis.data, coefficients.data]);
}
