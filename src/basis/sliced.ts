// One basis for layers of growing width (DenseNet): a layer with fewer channels to a split reads a slice of the basis's
// channels, the first ones or the last ones. Entries outside its slice are absent, not zero: the best basis is a least
// squares problem over the entries that are present, solved by alternating between coefficients and basis. It starts
// from the SVD of the zero-padded stack and never gets worse than that, since each half step is optimal.
import { type LinearAlgebra, pureLinearAlgebra, type Spectrum } from "../linalg/low-rank.js";
import { columns, type Matrix, matrix, squaredNorm, transpose } from "../linalg/matrix.js";
import { checkRank, difference, type Factors, type Filters, splitMatrix } from "./initialise.js";
import { stackSpectrum } from "./spectrum.js";
import { type SliceEnd, sliceStart } from "./split.js";

export interface SlicedOptions {
  readonly end?: SliceEnd;
  /** Alternations at most; it stops early when the error no longer falls. */
  readonly rounds?: number;
  /** The spectrum of the zero-padded stack, if it was computed already. */
  readonly known?: Spectrum;
  readonly linear?: LinearAlgebra;
}

/** As `initialise`, for layers that differ in p. B is [m, p of the widest layer, h, w]. All layers need one kernel. */
export function initialiseSliced(
  layers: readonly Filters[],
  basisSize: number,
  {
    end = "first",
    rounds = 30,
    linear = pureLinearAlgebra,
    known = stackSpectrum(layers, end, linear),
  }: SlicedOptions = {},
): Factors {
  const parts = layers.map(splitMatrix); // [(n s) x (p kernelElements)], p by layer
  const kernelElements = layers[0]!.kernelElements;
  const width = Math.max(...parts.map((part) => part.cols));
  const starts = parts.map(
    (part) => sliceStart(width / kernelElements, part.cols / kernelElements, end) * kernelElements,
  );
  checkRank(layers, known, basisSize);
  let basis = known.lowRank(basisSize).basis; // [m x width]
  let coefficients = parts.map((part, i) => fitCoefficients(part, columns(basis, starts[i]!, part.cols), linear));
  let errors = squaredErrors(parts, coefficients, basis, starts, linear);
  for (let round = 0; round < rounds; round++) {
    const nextBasis = fitBasis(parts, coefficients, starts, width, basisSize, linear);
    const nextCoefficients = parts.map((part, i) =>
      fitCoefficients(part, columns(nextBasis, starts[i]!, part.cols), linear),
    );
    const nextErrors = squaredErrors(parts, nextCoefficients, nextBasis, starts, linear);
    const [before, after] = [total(errors), total(nextErrors)];
    if (!(after < before)) break;
    [basis, coefficients, errors] = [nextBasis, nextCoefficients, nextErrors];
    if (before - after < 1e-6 * before) break;
  }
  return {
    basisSize,
    basis: basis.data,
    coefficients: coefficients.map(({ data }) => data),
    squaredErrors: errors,
    squaredNorms: parts.map((part) => squaredNorm(part.data)),
  };
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** A = W B^T (B B^T)^-1: [(n s) x m]. */
function fitCoefficients(part: Matrix, basis: Matrix, { gram, multiply, solve }: LinearAlgebra): Matrix {
  const turned = transpose(basis); // [p kernelElements x m]
  return transpose(solve(gram(turned), transpose(multiply(part, turned))));
}

/**
 * Each column of B over the layers that have it: (sum A^T A)^-1 sum A^T W. Columns that the same layers have go
 * together.
 */
function fitBasis(
  parts: readonly Matrix[],
  coefficients: readonly Matrix[],
  starts: readonly number[],
  width: number,
  m: number,
  { gram, multiply, solve }: LinearAlgebra,
): Matrix {
  const grams = coefficients.map((one) => gram(one));
  const products = parts.map((part, i) => multiply(transpose(coefficients[i]!), part)); // A^T W: [m x p kernelElements]
  const edges = [...new Set([0, width, ...starts, ...parts.map((part, i) => starts[i]! + part.cols)])].sort(
    (a, b) => a - b,
  );
  const out = new Float64Array(m * width);
  for (let e = 0; e + 1 < edges.length; e++) {
    const [from, to] = [edges[e]!, edges[e + 1]!];
    const normal = new Float64Array(m * m);
    const right = new Float64Array(m * (to - from));
    for (const [i, part] of parts.entries()) {
      const offset = from - starts[i]!;
      if (offset < 0 || to - starts[i]! > part.cols) continue;
      for (let k = 0; k < normal.length; k++) normal[k] = normal[k]! + grams[i]!.data[k]!;
      const piece = columns(products[i]!, offset, to - from).data;
      for (let k = 0; k < right.length; k++) right[k] = right[k]! + piece[k]!;
    }
    const solved = solve(matrix(m, m, normal), matrix(m, to - from, right)).data;
    for (let j = 0; j < m; j++) out.set(solved.subarray(j * (to - from), (j + 1) * (to - from)), j * width + from);
  }
  return matrix(m, width, out);
}

function squaredErrors(
  parts: readonly Matrix[],
  coefficients: readonly Matrix[],
  basis: Matrix,
  starts: readonly number[],
  { multiply }: LinearAlgebra,
): number[] {
  return parts.map((part, i) => difference(part, multiply(coefficients[i]!, columns(basis, starts[i]!, part.cols))));
}
