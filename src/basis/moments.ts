// Activation second moments: with those of its input patches x, C = E[x x^T], the mean squared error of a layer's
// outputs is E|(W - BA) x|^2 = tr (W - BA) C (W - BA)^T, which a basis can make least instead of ||W - BA||_F^2: the
// truncated SVD of W L with C = L L^T, and then, over all splits together, the coefficients of least squares. The
// aim, outputs instead of filters, is that of Zhang et al., Accelerating Very Deep Convolutional Networks, section 2;
// the way to it by splits is our own.
import { FilterBasisError } from "../errors/error.js";
import { balance, type LinearAlgebra, pureLinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { columns, type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { difference, type Factors, type Filters, splitMatrix } from "./initialise.js";
import { greatestCommonDivisor } from "./split.js";

/** Second moments of the patches [c, h, w] that a layer's filters are multiplied with. */
export interface ActivationMoments {
  /** Channels of a block: c, or a divisor of it where the moments of all channels together would be too large. */
  readonly channels: number;
  /** E[x x^T] of a block, [channels h w, channels h w], the mean over the blocks; of x - mean, where that is given. */
  readonly second: Matrix;
  /**
   * E[x], [c h w]: given where a bias or a batch norm makes good what becomes of a constant, which then is no error.
   */
  readonly mean: Float64Array | undefined;
}

/**
 * Of the mean of the diagonal: what directions that no sample showed still weigh, so that their filters are not lost.
 */
const floor = 1e-3;
/**
 * Of the mean of the diagonal: how much the coefficients of least squares are held to those of the SVD. Splits that
 * nearly say the same make large coefficients that cancel out; held like this the filters stay about as near to the
 * original's as those of the SVD alone.
 */
const ridge = 0.1;

/**
 * The moments for blocks of `channels` channels: averaged where they are smaller, side by side where they are larger;
 * positive definite.
 * @throws FilterBasisError `shape-mismatch` for moments of something else
 */
export function blockMoments(
  { channels: known, second }: ActivationMoments,
  kernelElements: number,
  channels: number,
): Matrix {
  if (second.rows !== known * kernelElements || second.cols !== second.rows) {
    const expected = `${known * kernelElements} x ${known * kernelElements}`;
    const got = `${second.rows} x ${second.cols}`;
    throw new FilterBasisError("shape-mismatch", "the moments are not those of this layer's patches", {
      expected,
      got,
    });
  }
  const common = greatestCommonDivisor([known, channels]);
  const [width, blocks, side] = [common * kernelElements, known / common, second.rows];
  const mean = new Float64Array(width * width);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < width; i++) {
      const from = (block * width + i) * side + block * width;
      for (let j = 0; j < width; j++) mean[i * width + j] = mean[i * width + j]! + second.data[from + j]! / blocks;
    }
  }
  let trace = 0;
  for (let i = 0; i < width; i++) trace += mean[i * width + i]!;
  const least = trace > 0 ? (floor * trace) / width : 1; // an input that is always the same: all directions alike
  for (let i = 0; i < width; i++) mean[i * width + i] = mean[i * width + i]! + least;
  const repeats = channels / common;
  if (repeats === 1) return matrix(width, width, mean);
  const whole = new Float64Array((width * repeats) ** 2);
  for (let block = 0; block < repeats; block++)
    for (let i = 0; i < width; i++)
      whole.set(mean.subarray(i * width, (i + 1) * width), (block * width + i) * width * repeats + block * width);
  return matrix(width * repeats, width * repeats, whole);
}

/**
 * The spectrum of split filters [(n s) x (p h w)] in the norm of their outputs: squares and errors are the outputs'
 * variances.
 */
export function outputSpectrum(split: Matrix, moments: Matrix, linear: LinearAlgebra): Spectrum {
  const lower = linear.cholesky(moments);
  const weighted = spectrum(linear.multiply(split, lower), linear);
  return {
    squares: weighted.squares,
    lowRank(rank) {
      const found = weighted.lowRank(rank);
      const [coefficients, basis] = balance(found.coefficients, linear.solveTriangular(found.basis, lower));
      return { coefficients, basis, squaredError: found.squaredError };
    },
  };
}

/** The mean of moments of layers that share a basis, for blocks of `channels` channels. */
export function sharedMoments(layers: readonly ActivationMoments[], kernelElements: number, channels: number): Matrix {
  const parts = layers.map((moments) => blockMoments(moments, kernelElements, channels));
  const sum = new Float64Array(parts[0]!.data.length);
  for (const { data } of parts) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + data[i]! / parts.length;
  return matrix(parts[0]!.rows, parts[0]!.cols, sum);
}

/**
 * For the basis found, the coefficients with the least error of each layer's outputs, all splits together. Errors and
 * norms stay the filters'.
 */
export function fitToOutputs(
  factors: Factors,
  layers: readonly Filters[],
  moments: readonly ActivationMoments[],
  linear: LinearAlgebra = pureLinearAlgebra,
): Factors {
  const { basisSize, basis } = factors;
  const width = basis.length / basisSize;
  const coefficients = layers.map((layer, i) =>
    fitted(layer, matrix(basisSize, width, basis), factors.coefficients[i]!, moments[i]!, linear),
  );
  const rebuilt = layers.map((layer, i) =>
    linear.multiply(
      matrix(layer.outChannels * layer.splits, basisSize, coefficients[i]!),
      matrix(basisSize, width, basis),
    ),
  );
  return {
    ...factors,
    coefficients,
    squaredErrors: layers.map((layer, i) => difference(splitMatrix(layer), rebuilt[i]!)),
    shifts: layers.map((layer, i) => shift(layer.values, rebuilt[i]!.data, moments[i]!.mean)),
  };
}

/**
 * With D [s m, c h w], the basis once for each split: A = W C D^T (D C D^T)^-1, held a little to the coefficients
 * that are there.
 */
function fitted(
  layer: Filters,
  basis: Matrix,
  coefficients: Float64Array,
  { channels, second }: ActivationMoments,
  { multiply, solve }: LinearAlgebra,
): Float64Array {
  const { inChannels, outChannels, splits } = layer;
  if (channels !== inChannels) return coefficients; // nothing is known of one split beside another
  const [m, width, side] = [basis.rows, basis.cols, second.rows];
  const turned = transpose(basis);
  const basisInputs = new Float64Array(side * splits * m); // C D^T [c h w, s m]
  for (let g = 0; g < splits; g++) {
    const block = multiply(columns(second, g * width, width), turned);
    for (let i = 0; i < side; i++) basisInputs.set(block.data.subarray(i * m, (i + 1) * m), (i * splits + g) * m);
  }
  const product = matrix(side, splits * m, basisInputs);
  const size = splits * m;
  const normal = new Float64Array(size * size); // D C D^T
  for (let g = 0; g < splits; g++) {
    const rows = matrix(width, size, basisInputs.subarray(g * width * size, (g + 1) * width * size));
    normal.set(multiply(basis, rows).data, g * m * size);
  }
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) normal[j * size + i] = normal[i * size + j]!; // to the last bit
  let trace = 0;
  for (let i = 0; i < size; i++) trace += normal[i * size + i]!;
  if (!(trace > 0)) return coefficients; // the input never changes
  const held = (ridge * trace) / size;
  for (let i = 0; i < size; i++) normal[i * size + i] = normal[i * size + i]! + held;
  const wanted = transpose(multiply(matrix(outChannels, side, layer.values), product)).data; // D C W^T [s m, n]
  for (let i = 0; i < size; i++)
    for (let n = 0; n < outChannels; n++)
      wanted[i * outChannels + n] = wanted[i * outChannels + n]! + held * coefficients[n * size + i]!;
  return transpose(solve(matrix(size, size, normal), matrix(size, outChannels, wanted))).data;
}

/** (W - BA) E[x], row by row of [n, c h w]. */
function shift(filters: Float64Array, rebuilt: Float64Array, mean: Float64Array | undefined): Float64Array | undefined {
  if (mean === undefined) return undefined;
  const length = mean.length;
  return Float64Array.from({ length: filters.length / length }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < length; k++) sum += (filters[n * length + k]! - rebuilt[n * length + k]!) * mean[k]!;
    return sum;
  });
}
