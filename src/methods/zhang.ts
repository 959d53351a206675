// Responses in a subspace (Zhang et al., 2016): W' [d, c, kh, kw] and a 1x1 [n, d].
//   filters      without data: the truncated SVD of the filters
//   linear       with activation moments: the principal components of the responses
//   asymmetric   with responses of the original network and of the network compressed so far: layer after layer, the best of
//                rank d for what the layer then gets
//   nonlinear    the same through the ReLU that follows (basis/reduced-rank.ts)
// Ranks: the largest product of the shares of the squared singular values (of the responses where they are known) that
// are kept, under the budget. Batch norms are to be folded before, so that the ReLU follows the convolution. Source:
// the paper's algebra, the optimum checked against alternating least squares; the lambdas of the nonlinear steps are
// remembered. Form 3d is the paper's "asym. 3D": this on the second convolution of kh x 1 and 1 x kw (zhang-3d.ts).
import * as z from "zod/mini";
import { composed } from "../basis/composed.js";
import { type Factors, makeFactors } from "../basis/factors.js";
import type { ActivationMoments } from "../basis/moments.js";
import { centred, type ReducedRank, reducedRank, reducedRankRelu } from "../basis/reduced-rank.js";
import { tails } from "../basis/spectrum.js";
import { FilterBasisError } from "../errors/error.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { type LinearAlgebra, pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { applyChains, type Rewritten } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import { filtersOverBasis } from "./expand-bases.js";
import { filtersOfChain } from "./expand-chains.js";
import { spatialOnly } from "./jaderberg.js";
import type { Method } from "./method.js";
import { oneSplitLine, writeOneSplit } from "./one-split.js";
import { about, type OptionsOf, optional } from "./options.js";
import { chainFields, type PlannedChain } from "./plan-chains.js";
import { afterSplit, type SpatialLine, spatialFactors, spatialLine } from "./zhang-3d.js";

const fields = {
  ...chainFields,
  ...optional({
    mode: about(
      "what is kept; default: the last for which there is data",
      z.enum(["filters", "linear", "asymmetric", "nonlinear"]),
    ),
    form: about(
      "whole: filters of the kernel, then 1 x 1 (default); 3d: kh x 1, 1 x kw, 1 x 1",
      z.enum(["whole", "3d"]),
    ),
  }),
};

/** What is known beside the options. */
export interface ZhangKnown {
  readonly moments?: ReadonlyMap<string, ActivationMoments>;
  readonly linear?: LinearAlgebra;
  /** Of a value of a graph, its channels at sampled positions [N x n], the same positions in every call. */
  readonly responses?: (graph: Graph, value: string) => Matrix;
}

type Options = OptionsOf<typeof fields> & ZhangKnown;
type Mode = NonNullable<Options["mode"]>;

export const zhang: Method<"zhang", typeof fields> = {
  name: "zhang",
  summary: "whole filters over a basis that keeps the layers' responses (Zhang et al.)",
  remembered: "the lambdas of the nonlinear steps",
  from: "weights",
  options: fields,
  apply(graph, options: Options) {
    const mode = modeOf(options);
    const responses = mode === "filters" ? undefined : options.responses;
    if (options.form === "3d")
      return applyChains(graph, options, {
        name: "zhang",
        takes: spatialOnly,
        line: (layer, filters, linear) => spatialLine(layer, filters, linear),
        ...(mode === "filters" ? {} : { rewrite: rewriteFor(graph, options, mode) }),
      });
    const moments = mode === "linear" ? options.moments : undefined;
    return applyChains(graph, options, {
      name: "zhang",
      takes: () => undefined,
      line: (layer, filters, linear) => {
        const line = oneSplitLine(layer, filters, linear, moments?.get(layer.layer.name));
        const seen = responses?.(graph, outputOf(layer));
        return seen === undefined ? line : { ...line, lost: lostResponses(seen, linear) };
      },
      write: writeOneSplit,
      ...(mode === "filters" ? {} : { rewrite: rewriteFor(graph, options, mode) }),
    });
  },
  reconstruct: (graph, layer) =>
    layer.kind === "chain" ? filtersOfChain(graph, layer) : filtersOverBasis(graph, layer),
  fullRank: ({ outChannels: n, inChannels: c, kernelElements }) => ({
    rank: Math.min(n, c * kernelElements),
    keepFirst: 0,
  }),
};

function modeOf({ mode, moments, responses }: Options): Mode {
  const known: Mode = responses !== undefined ? "nonlinear" : moments !== undefined ? "linear" : "filters";
  const wanted = mode ?? known;
  const missing =
    wanted === "linear"
      ? moments === undefined && responses === undefined
      : wanted !== "filters" && responses === undefined;
  if (!missing) return wanted;
  throw new FilterBasisError("usage", `the mode ${wanted} of the method zhang needs data`, {
    field: "mode",
    expected: "filters, or data to calibrate on",
    got: wanted,
    cures: ["in a recipe: calibrate: 4"],
  });
}

const outputOf = ({ layer }: ChainLayer): string => layer.nodes[0]!.node.outputs[0]!;

/** The share of the responses' variance beyond k directions. */
function lostResponses(seen: Matrix, linear: LinearAlgebra): (k: number) => number {
  const lost = tails(linear.eigen(linear.gram(centred(seen))).values.map((value) => Math.max(0, value)));
  return (k) => (lost[k] ?? 0) / (lost[0]! || 1);
}

function rewriteFor(graph: Graph, { responses, moments, linear = pureLinearAlgebra }: Options, mode: Mode) {
  return ({ layer, line, k }: PlannedChain, soFar: Graph): Rewritten => {
    const { nodes, name } = layer.layer;
    if (responses === undefined || nodes.length > 1)
      return withMean(line.factors(k), layer, graph, moments?.get(name)?.mean);
    const original = responses(graph, outputOf(layer));
    const candidate = line.at(k);
    const before = mode === "linear" ? graph : soFar;
    const spatial = "spatial" in line ? (line as SpatialLine) : undefined;
    const seenIn = spatial === undefined ? before : afterSplit(before, layer, spatial, candidate);
    const seen = seenIn === graph ? original : responses(seenIn, outputOf(layer));
    const rectified = mode === "nonlinear" && isRectified(graph, outputOf(layer));
    const reduced = (rectified ? reducedRankRelu : reducedRank)(original, seen, candidate.ranks.at(-1)!, linear);
    const factors =
      spatial === undefined
        ? wholeFactors(reduced, layer, candidate, linear)
        : spatialFactors(reduced, layer, spatial, candidate, linear);
    return { factors, bias: [movedBias(reduced, layer, graph, linear)] };
  };
}

/** Whether the ReLU alone reads the responses. */
const isRectified = (graph: Graph, value: string): boolean => {
  const reader = indexOf(graph).soleReader(value);
  return reader?.op === "Relu" && reader.domain === "";
};

/** P (Q W) of M = P Q. */
function wholeFactors(
  { p, q }: ReducedRank,
  { layer, shape }: ChainLayer,
  candidate: Factors["candidate"],
  linear: LinearAlgebra,
): Factors {
  const filters = matrix(shape.n, shape.c * layer.kernelElements, numbers(layer.weight));
  return makeFactors(candidate, shape, [linear.multiply(q, filters).data, p.data]);
}

/** M (W x + b0) + b = P (Q W) x + (M b0 + b). */
function movedBias({ p, q, shift }: ReducedRank, layer: ChainLayer, graph: Graph, linear: LinearAlgebra): Float64Array {
  const own = linear.multiply(p, linear.multiply(q, matrix(layer.shape.n, 1, biasOf(layer, graph)))).data;
  return own.map((value, i) => value + shift[i]!);
}

/** The bias that makes good what the filters lose of the input's mean: b + (W - W~) E[x]. */
function withMean(factors: Factors, layer: ChainLayer, graph: Graph, mean: Float64Array | undefined): Rewritten {
  if (mean === undefined || layer.layer.nodes.length > 1) return { factors };
  const [own, made] = [numbers(layer.layer.weight), composed(factors)];
  const bias = biasOf(layer, graph).map((value, o) => {
    let sum = value;
    for (let i = 0; i < made.cols; i++) sum += (own[o * made.cols + i]! - made.data[o * made.cols + i]!) * mean[i]!;
    return sum;
  });
  return { factors, bias: [bias] };
}

function biasOf({ layer, shape }: ChainLayer, graph: Graph): Float64Array {
  const stored = indexOf(graph).stored(layer.nodes[0]!.node.inputs[2] ?? "");
  return stored === undefined ? new Float64Array(shape.n) : numbers(stored.tensor);
}
