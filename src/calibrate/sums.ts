// Moments of a layer, summed over samples of patches in double precision. Sums are kept about their own means and are
// put together by the formulas of Chan, Golub and LeVeque (1983): the order and the grouping of the samples change
// nothing but rounding, and a mean that is large beside the deviations costs no digits.
import { FilterBasisError } from "../errors/error.js";
import { type Matrix, matrix } from "../linalg/matrix.js";

/** The products of samples, where they are fastest. */
export interface Products {
  /**
   * Adds x^T x of x [rows x cols] to the lower triangle of a row-major [cols x cols]; what is above it may be anything.
   */
  addGram(into: Float64Array, x: Float32Array, rows: number, cols: number): void;
  /** y^T x of y [rows x left] and x [rows x right]: [left x right]. */
  cross(y: Float32Array, left: number, x: Float32Array, right: number, rows: number): Float64Array;
  /** x f^T of x [rows x d] and f [n x d]: [rows x n]. */
  project(x: Float32Array, rows: number, f: Matrix): Float32Array;
}

/** Sums over samples so far. Functions of this file write into them. */
export interface MomentSums {
  places: number;
  /** [d] */
  readonly mean: Float64Array;
  /** Sum of (x - mean)(x - mean)^T, [d x d]: its lower triangle. */
  readonly products: Float64Array;
  /** Of the outputs beside the inputs, where they are wanted. */
  readonly outputs?: OutputSums;
}

export interface OutputSums {
  /** [n] */
  readonly mean: Float64Array;
  /** Sum of (y - mean)^2, [n]. */
  readonly squares: Float64Array;
  /** Sum of (y - mean)(x - mean)^T, [n x d]. */
  readonly cross: Float64Array;
}

export interface Moments {
  /** Samples that the moments are of. */
  readonly places: number;
  /** E[x], [d] */
  readonly mean: Float64Array;
  /** The covariance of x, [d x d]. */
  readonly covariance: Matrix;
}

export interface CrossMoments extends Moments {
  /** E[y], [n] */
  readonly outputMean: Float64Array;
  /** The variance of y, [n]. */
  readonly outputVariance: Float64Array;
  /** The covariance of y with x, [n x d]. */
  readonly cross: Matrix;
}

export function newSums(inputs: number, outputs?: number): MomentSums {
  const made = { places: 0, mean: new Float64Array(inputs), products: new Float64Array(inputs * inputs) };
  if (outputs === undefined) return made;
  const [mean, squares] = [new Float64Array(outputs), new Float64Array(outputs)];
  return { ...made, outputs: { mean, squares, cross: new Float64Array(outputs * inputs) } };
}

/** Adds samples x [rows x d] and, where outputs are summed, y [rows x n]. Both arrays are used up. */
export function addSamples(
  sums: MomentSums,
  rows: number,
  x: Float32Array,
  products: Products,
  y?: Float32Array,
): void {
  if (rows === 0) return;
  const [d, n] = [sums.mean.length, sums.outputs?.mean.length ?? 0];
  const mean = centre(x, rows, d);
  if (d > 0) products.addGram(sums.products, x, rows, d);
  if (sums.outputs === undefined) {
    shiftSums(sums, { places: rows, mean });
    return;
  }
  if (y === undefined) throw new FilterBasisError("internal", "outputs are summed but were not given");
  const outputMean = centre(y, rows, n);
  const squares = new Float64Array(n);
  for (let row = 0, at = 0; row < rows; row++)
    for (let o = 0; o < n; o++, at++) squares[o] = squares[o]! + y[at]! * y[at]!;
  const cross = d === 0 ? new Float64Array(0) : products.cross(y, n, x, d, rows);
  shiftSums(sums, { places: rows, mean, outputs: { mean: outputMean, squares, cross } });
}

/** Subtracts the mean of every column and returns the means. */
function centre(x: Float32Array, rows: number, cols: number): Float64Array {
  const mean = new Float64Array(cols);
  for (let row = 0, at = 0; row < rows; row++) for (let i = 0; i < cols; i++, at++) mean[i] = mean[i]! + x[at]!;
  for (let i = 0; i < cols; i++) mean[i] = Math.fround(mean[i]! / rows);
  const rest = new Float64Array(cols); // what rounding leaves: then the sums are about the true mean
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++, at++) {
      const value = x[at]! - mean[i]!;
      x[at] = value;
      rest[i] = rest[i]! + value;
    }
  }
  for (let i = 0; i < cols; i++) mean[i] = mean[i]! + rest[i]! / rows;
  return mean;
}

/** Adds what other sums hold beside their products, and moves all to the mean of both. */
function shiftSums(into: MomentSums, other: Omit<MomentSums, "products">): void {
  const total = into.places + other.places;
  if (other.places === 0) return;
  const weight = (into.places * other.places) / total;
  const share = other.places / total;
  const shift = other.mean.map((value, i) => value - into.mean[i]!);
  if (weight > 0) addOuter(into.products, shift, shift, weight, true);
  if (into.outputs !== undefined && other.outputs !== undefined) {
    const { mean, squares, cross } = other.outputs;
    const outputShift = mean.map((value, o) => value - into.outputs!.mean[o]!);
    addTo(into.outputs.cross, cross);
    if (weight > 0) addOuter(into.outputs.cross, outputShift, shift, weight, false);
    for (let o = 0; o < mean.length; o++) {
      into.outputs.squares[o] = into.outputs.squares[o]! + squares[o]! + weight * outputShift[o]! ** 2;
      into.outputs.mean[o] = into.outputs.mean[o]! + share * outputShift[o]!;
    }
  }
  for (let i = 0; i < shift.length; i++) into.mean[i] = into.mean[i]! + share * shift[i]!;
  into.places = total;
}

/** The sums of both. */
export function mergedSums(a: MomentSums, b: MomentSums): MomentSums {
  const merged = newSums(a.mean.length, a.outputs?.mean.length);
  for (const one of [a, b]) {
    addTo(merged.products, one.products);
    shiftSums(merged, one);
  }
  return merged;
}

/** One of several processes, each of which looks at its share of the images. */
export interface Shares {
  readonly rank: number;
  readonly size: number;
  /** Replaces numbers by their sums over all processes. */
  sum(values: Float64Array): Promise<void>;
}

/** Makes of the sums over each process's samples the sums over all, on every process. */
export async function sumShares(sums: MomentSums, { sum }: Shares): Promise<void> {
  const { places, mean, products } = sums;
  const totals = Float64Array.of(places, ...mean.map((value) => places * value));
  await sum(totals);
  const [all = 0] = totals;
  if (all === 0) return;
  const common = totals.subarray(1).map((value) => value / all);
  const shift = common.map((value, i) => value - mean[i]!);
  if (places > 0) addOuter(products, shift, shift, places, true);
  await sum(products);
  mean.set(common);
  sums.places = all;
}

function addTo(into: Float64Array, other: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i] = into[i]! + other[i]!;
}

/** into += weight left right^T, of a square one with `lower` only its lower triangle. */
function addOuter(into: Float64Array, left: Float64Array, right: Float64Array, weight: number, lower: boolean): void {
  const width = right.length;
  for (let i = 0; i < left.length; i++) {
    const factor = weight * left[i]!;
    const end = i * width + (lower ? i + 1 : width);
    for (let at = i * width, j = 0; at < end; at++, j++) into[at] = into[at]! + factor * right[j]!;
  }
}

/**
 * @throws FilterBasisError `non-finite`, `data-mismatch` where there was no sample
 * @param into where the covariance is written: the sums' own products, where they are not needed any more
 */
export function finishMoments(
  sums: MomentSums,
  layer: string,
  into: Float64Array = new Float64Array(sums.products.length),
): Moments {
  const { places, mean, products } = sums;
  if (places === 0) throw new FilterBasisError("data-mismatch", "no image reached the layer", { layer });
  const d = mean.length;
  let finite = mean.every(Number.isFinite);
  for (let i = 0; i < d; i++)
    for (let at = i * d; at <= i * (d + 1); at++) {
      const value = products[at]! / places;
      into[at] = value;
      finite &&= Number.isFinite(value);
    }
  if (!finite) throw new FilterBasisError("non-finite", "what a layer reads is not finite", { layer });
  mirror(into, d);
  return { places, mean, covariance: matrix(d, d, into) };
}

/** Rows and columns that are turned together, so that both stay in the processor's cache. */
const tile = 64;

/** Copies the lower triangle above the diagonal: symmetric to the last bit. */
function mirror(data: Float64Array, d: number): void {
  for (let top = 0; top < d; top += tile)
    for (let left = 0; left <= top; left += tile)
      for (let i = top; i < Math.min(d, top + tile); i++)
        for (let j = left; j < Math.min(i, left + tile); j++) data[j * d + i] = data[i * d + j]!;
}

/** As finishMoments, for sums with outputs. */
export function finishCross(sums: MomentSums & { readonly outputs?: OutputSums }, layer: string): CrossMoments {
  const moments = finishMoments(sums, layer);
  const { outputs, places } = sums;
  if (outputs === undefined) throw new FilterBasisError("internal", "outputs were not summed", { layer });
  const [n, d] = [outputs.mean.length, moments.mean.length];
  const cross = outputs.cross.map((sum) => sum / places);
  if (!cross.every(Number.isFinite))
    throw new FilterBasisError("non-finite", "what a layer makes is not finite", { layer });
  return {
    ...moments,
    outputMean: outputs.mean,
    outputVariance: outputs.squares.map((sum) => sum / places),
    cross: matrix(n, d, cross),
  };
}
