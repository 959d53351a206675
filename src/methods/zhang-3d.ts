// The form "3d" of the method zhang: kh x 1, 1 x kw and 1 x 1, the first two by the filters' SVD as in scheme 2 of the
// method jaderberg, then the second in a subspace of its responses (basis/spatial-then-filters.ts).
import { type Candidate, makeFactors } from "../basis/factors.js";
import type { ReducedRank } from "../basis/reduced-rank.js";
import { separableFactors, separableSpectrum } from "../basis/separable-svd.js";
import { spatialSplit, spatialThenFilters } from "../basis/spatial-then-filters.js";
import { tails } from "../basis/spectrum.js";
import type { Graph } from "../graph/types.js";
import { type LinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import type { Matrix } from "../linalg/matrix.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { writeLayerChains } from "./write-chain.js";

/** A line that knows its first step. */
export interface SpatialLine extends Line {
  readonly spatial: Spectrum;
}

/** k of the larger of both ranks at full rank; the other in proportion. What is lost is a bound. */
export function spatialLine({ shape }: ChainLayer, filters: Matrix, linear: LinearAlgebra): SpatialLine {
  const spatial = separableSpectrum(filters, shape, linear);
  const byFilters = tails(spectrum(filters, linear).squares);
  const bySplit = tails(spatial.squares);
  const [between, out] = [spatial.squares.length, byFilters.length - 1];
  const most = Math.max(between, out);
  const ranks = (k: number): readonly [number, number] => {
    const r1 = Math.ceil((k * between) / most);
    return [r1, Math.min(Math.ceil((k * out) / most), r1 * shape.kernel[1])];
  };
  return {
    spatial,
    most,
    at: (k): Candidate => ({ family: "separable-pointwise", ranks: ranks(k) }),
    lost(k) {
      const [r1, r2] = ranks(k);
      return Math.min(1, (bySplit[r1]! + byFilters[r2]!) / (bySplit[0]! || 1));
    },
    factors: (k) => spatialThenFilters(spatial, shape, ranks(k), linear),
  };
}

/** The network with the layer as kh x 1 and 1 x kw: what the second step's responses are taken in. */
export function afterSplit(graph: Graph, layer: ChainLayer, { spatial }: SpatialLine, candidate: Candidate): Graph {
  const factors = separableFactors(spatial, layer.shape, candidate.ranks[0]!);
  return writeLayerChains(graph, [{ layer, factors, lost: 0 }], "zhang");
}

/** P Q H in the place of H. */
export function spatialFactors(
  { p, q }: ReducedRank,
  { shape }: ChainLayer,
  { spatial }: SpatialLine,
  candidate: Candidate,
  linear: LinearAlgebra,
) {
  const { vertical, horizontal } = spatialSplit(spatial, shape, candidate.ranks[0]!);
  return makeFactors(candidate, shape, [vertical, linear.multiply(q, horizontal).data, p.data]);
}
