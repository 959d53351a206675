// The squared singular values of layers stacked as one matrix: what each further basis filter is worth.
import { type LinearAlgebra, pureLinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, stackRows } from "../linalg/matrix.js";
import { type Filters, splitMatrix } from "./initialise.js";
import { type SliceEnd, sliceStart } from "./split.js";

/**
 * The spectrum of the stack. With `slice`, narrower layers are padded with zeros where they read nothing of the
 * basis.
 */
export function stackSpectrum(
  layers: readonly Filters[],
  slice?: SliceEnd,
  linear: LinearAlgebra = pureLinearAlgebra,
): Spectrum {
  const parts = layers.map(splitMatrix);
  if (parts.length === 1) return spectrum(parts[0]!, linear);
  const width = Math.max(...parts.map((part) => part.cols));
  const kernelElements = layers[0]!.kernelElements;
  const start = (part: Matrix) =>
    sliceStart(width / kernelElements, part.cols / kernelElements, slice ?? "first") * kernelElements;
  return spectrum(stackRows(slice ? parts.map((part) => padColumns(part, width, start(part))) : parts), linear);
}

/** The matrix with zero columns before `start` and after, up to `width`. */
export function padColumns({ rows, cols, data }: Matrix, width: number, start: number): Matrix {
  if (cols === width) return { rows, cols, data };
  const out = new Float64Array(rows * width);
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * cols, (i + 1) * cols), i * width + start);
  return matrix(rows, width, out);
}

/** tail[m] = what is lost with m basis filters: the sum of all squares from the m-th (counted from 0) on. */
export function tails(squares: Float64Array): Float64Array {
  const out = new Float64Array(squares.length + 1);
  for (let i = squares.length - 1; i >= 0; i--) out[i] = out[i + 1]! + squares[i]!;
  return out;
}
