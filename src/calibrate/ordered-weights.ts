// Weights of a network rounded in order (passes/quantize/ordered-rounding.ts) by the moments of what its layers read.
import type { Graph } from "../graph/types.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { orderedRounding, type RoundedRows } from "../passes/quantize/ordered-rounding.js";
import { quantizeWeight, type WeightFormat } from "../passes/quantize/steps.js";
import type { CalibrationImages, Sampling } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import type { MomentSource } from "./moment-source.js";
import type { Moments } from "./sums.js";

/** Wider layers stay as they are: the rounding takes the square of their width for each of their outputs. */
const widest = 4096;

/** Places of all images together: a quarter of what compression looks at rounds as well. */
export const placesForOrder = ({ count, each = 1 }: CalibrationImages): Pick<Sampling, "places"> => ({
  places: Math.ceil(2 ** 14 / Math.max(1, count * each)),
});

/**
 * By names of weights; grouped convolutions, whose moments are not measured, are not among them.
 * @param corrected biases make up for the mean of the outputs' errors: what is left is their variance
 * @throws FilterBasisError as the source of the moments
 */
export async function orderedWeights(
  graph: Graph,
  format: WeightFormat,
  corrected: boolean,
  moments: MomentSource,
  algebra: LinearAlgebra,
): Promise<ReadonlyMap<string, RoundedRows>> {
  const layers = findCalibratedLayers(graph).layers.filter(({ weight }) => weight.cols <= widest);
  const made = new Map<string, RoundedRows>();
  for await (const { layer, moments: found } of moments(layers)) {
    const { weight, nodes } = layer;
    const { scales } = quantizeWeight(weight.data, [weight.rows, weight.cols], 0, format);
    const squares = corrected ? found.covariance : aboutZero(found);
    const rows = orderedRounding(weight, scales, squares, format.most, algebra);
    for (const { node } of nodes) made.set(node.inputs[1]!, rows);
  }
  return made;
}

/** E[x x^T] = C + E[x] E[x]^T */
function aboutZero({ mean, covariance: { rows: d, data } }: Moments): Matrix {
  return matrix(
    d,
    d,
    data.map((value, i) => value + mean[Math.floor(i / d)]! * mean[i % d]!),
  );
}
