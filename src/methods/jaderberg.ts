// Separable filters (Jaderberg et al., 2014). Scheme 1: every filter of two dimensions is a combination of M separable
// ones, W[i, j] = sum_m a[i, j, m] v_m h_m^T, written as two depthwise convolutions (kh x 1, 1 x kw) and a 1x1; M (kh +
// kw) + c M n weights where all channels share the M filters, c M (kh + kw + n) where each has its own. Scheme 2: kh x
// 1 from c to K channels, then 1 x kw to n, K (c kh + n kw) weights, by one truncated SVD. Source: the schemes are
// those of the paper's abstract and of its two implementations in the field; that each channel has a basis of its own
// in scheme 1 is remembered, not read.
import * as z from "zod/mini";
import { channelSeparable } from "../basis/channel-separable.js";
import type { Candidate } from "../basis/factors.js";
import { separableFactors, separableSpectrum } from "../basis/separable-svd.js";
import { tails } from "../basis/spectrum.js";
import type { LinearAlgebra, Spectrum } from "../linalg/low-rank.js";
import type { Matrix } from "../linalg/matrix.js";
import { applyChains } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { filtersOfChain } from "./expand-chains.js";
import type { Method } from "./method.js";
import { about, optional } from "./options.js";
import { chainFields } from "./plan-chains.js";

const fields = {
  ...chainFields,
  ...optional({
    scheme: about(
      "1: separable filters of channels, then 1x1; 2 (default): kh x 1, then 1 x kw",
      z.union([z.literal(1), z.literal(2)]),
    ),
    basis: about(
      "of scheme 1: one set of separable filters for all channels (default), or one for each",
      z.enum(["shared", "own"]),
    ),
    seed: about("of the starts of scheme 1; default 1", z.int().check(z.nonnegative())),
  }),
};

export const jaderberg: Method<"jaderberg", typeof fields> = {
  name: "jaderberg",
  summary: "separable filters: kh x 1 and 1 x kw convolutions (Jaderberg et al.)",
  remembered: "that each channel has a basis of its own in scheme 1",
  from: "weights",
  options: fields,
  apply(graph, options) {
    const { scheme = 2, basis = "shared", seed = 1 } = options;
    return applyChains(graph, options, {
      name: "jaderberg",
      takes: spatialOnly,
      line: (layer, filters, linear) =>
        scheme === 2
          ? lineOfSpectrum(layer, separableSpectrum(filters, layer.shape, linear))
          : channelLine(layer, filters, linear, basis, seed),
    });
  },
  reconstruct: filtersOfChain,
  fullRank: ({ outChannels: n, inChannels: c, kernel }) => ({
    rank: Math.min(c * (kernel.length > 1 ? kernel[0]! : 1), n * kernel.at(-1)!),
    keepFirst: 0,
  }),
};

export const spatialOnly = ({ layer }: ChainLayer): string | undefined =>
  layer.kernelElements === 1 ? "its kernel is 1 x 1" : undefined;

/** All ranks of kh x 1 and 1 x kw; of a 1x1 convolution, of two matrices. */
export function lineOfSpectrum({ shape, layer }: ChainLayer, found: Spectrum): Line {
  const lost = tails(found.squares);
  const family = layer.kernelElements === 1 ? "low-rank" : "separable";
  return {
    most: found.squares.length,
    at: (k): Candidate => ({ family, ranks: [k] }),
    lost: (k) => lost[k]! / (lost[0]! || 1),
    factors: (k) => separableFactors(found, shape, k),
  };
}

function channelLine(
  { shape }: ChainLayer,
  filters: Matrix,
  linear: LinearAlgebra,
  basis: "shared" | "own",
  seed: number,
): Line {
  const shared = basis === "shared";
  return {
    most: shape.kernel[0] * shape.kernel[1],
    at: (k): Candidate => ({ family: shared ? "shared-separable" : "channel-separable", ranks: [k] }),
    factors: (k) => channelSeparable(filters, shape, k, shared, linear, seed),
  };
}
