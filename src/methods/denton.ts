// Denton et al., 2014: input channels in G clusters, filters in H, and for each of the G H blocks of the weight
//   biclustered    HOSVD with K1 filters and K2 channels: GH ((c/G) K2 + K1 K2 kh kw + K1 n/H) weights; G = H = 1: Tucker-2
//   outer-product  K outer products of channels, kernel and filters: GH K (c/G + kh kw + n/H) weights
//   monochromatic  of the first convolution alone: one of C' colours for each filter: c C' + n kh kw weights
// Written as grouped convolutions; a Gather puts channels in the order of their clusters where they are not. Source:
// the authors' code. Their metrics (the data's covariance, gradients) are not here.
import * as z from "zod/mini";
import { biclustered, biclusteredCandidate } from "../basis/biclustered.js";
import { blockOf, type Clusters, clustered } from "../basis/blocks.js";
import { monochromatic, monochromaticCandidate } from "../basis/monochromatic.js";
import { deflated, outerProduct, outerProductCandidate } from "../basis/outer-product.js";
import { tails } from "../basis/spectrum.js";
import type { Graph, PassResult } from "../graph/types.js";
import { type LinearAlgebra, spectrum } from "../linalg/low-rank.js";
import { type Matrix, matrix, squaredNorm } from "../linalg/matrix.js";
import { applyChains } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { filtersOfChain } from "./expand-chains.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional } from "./options.js";
import { chainFields } from "./plan-chains.js";

const fields = {
  ...chainFields,
  ...optional({
    form: about(
      "how a block is written; default biclustered; monochromatic: the first convolution by colours",
      z.enum(["biclustered", "outer-product", "monochromatic"]),
    ),
    channelClusters: about("G, clusters of input channels; default 1", count),
    filterClusters: about("H, clusters of filters; default 1", count),
    grouping: about("how clusters are found; default kmeans, of one size each", z.enum(["kmeans", "contiguous"])),
    seed: about("of k-means; default 1", z.int().check(z.nonnegative())),
  }),
};

export const denton: Method<"denton", typeof fields> = {
  name: "denton",
  summary: "blocks of clustered channels and filters, each of low rank (Denton et al.)",
  from: "weights",
  options: fields,
  apply(graph, options) {
    const {
      form = "biclustered",
      channelClusters: g = 1,
      filterClusters: h = 1,
      grouping = "kmeans",
      seed = 1,
    } = options;
    if (form === "monochromatic") return byColours(graph, options, seed);
    return applyChains(graph, options, {
      name: "denton",
      takes: ({ shape: { n, c }, layer }) => {
        if (layer.kernelElements === 1) return "its kernel is 1 x 1";
        return c % g === 0 && n % h === 0
          ? undefined
          : `${c} channels and ${n} filters do not go into ${g} x ${h} clusters`;
      },
      line: (layer, filters, linear) => {
        const clusters = clustered(filters, layer.shape, [g, h], grouping, seed);
        const line = form === "biclustered" ? biclusteredLine : outerProductLine;
        return line(layer, filters, clusters, linear);
      },
    });
  },
  reconstruct: filtersOfChain,
  fullRank: ({ outChannels: n, inChannels: c }) => ({ rank: Math.max(n, c), keepFirst: 0 }),
};

/** k colours at most, as many as divide the filters. */
function byColours(graph: Graph, options: OptionsOf<typeof fields>, seed: number): PassResult {
  const first = graph.nodes.find(({ op, domain }) => op === "Conv" && domain === "");
  const { rank } = options;
  return applyChains(
    graph,
    { keepFirst: 0, ...options },
    {
      name: "denton",
      takes: ({ shape: { n }, layer }) => {
        if (layer.nodes[0]!.node !== first) return "only the first convolution is written by colours";
        if (layer.kernelElements === 1) return "its kernel is 1 x 1";
        return rank === undefined || n % rank === 0 ? undefined : `${n} filters do not go into ${rank} colours`;
      },
      line: ({ shape }, filters, linear) => {
        const colours = (k: number) => [...Array(k).keys()].map((i) => k - i).find((one) => shape.n % one === 0)!;
        return {
          most: shape.n,
          at: (k) => monochromaticCandidate(colours(k)),
          factors: (k) => monochromatic(filters, shape, colours(k), linear, seed),
        };
      },
    },
  );
}

/** k of the larger of c/G and n/H; the other in proportion. */
function biclusteredLine({ shape }: ChainLayer, filters: Matrix, clusters: Clusters, linear: LinearAlgebra): Line {
  const [width, height] = [shape.c / clusters.counts[0], shape.n / clusters.counts[1]];
  const area = shape.kernel[0] * shape.kernel[1];
  const most = Math.max(width, height);
  const ranks = (k: number): readonly [number, number] => {
    const k1 = Math.min(Math.ceil((k * height) / most), height, width * area);
    return [Math.min(Math.ceil((k * width) / most), width, k1 * area), k1];
  };
  let known: readonly [Float64Array, Float64Array] | undefined;
  const all = squaredNorm(filters.data) || 1;
  return {
    most,
    at: (k) => biclusteredCandidate(clusters, ranks(k)),
    lost(k) {
      known ??= blockTails(shape, filters, clusters, linear);
      const [k2, k1] = ranks(k);
      return Math.min(1, ((known[0][k2] ?? 0) + (known[1][k1] ?? 0)) / all);
    },
    factors: (k) => biclustered(filters, shape, clusters, ranks(k), linear),
  };
}

/** What K2 channels, and what K1 filters, leave of all blocks: their sum bounds what both together lose. */
function blockTails(
  shape: ChainLayer["shape"],
  filters: Matrix,
  clusters: Clusters,
  linear: LinearAlgebra,
): readonly [Float64Array, Float64Array] {
  const [g, h] = clusters.counts;
  const [width, height, area] = [shape.c / g, shape.n / h, shape.kernel[0] * shape.kernel[1]];
  const sums = [new Float64Array(width + 1), new Float64Array(height + 1)] as const;
  for (let from = 0; from < g; from++)
    for (let to = 0; to < h; to++) {
      const block = blockOf(filters, shape, clusters, from, to);
      const byChannel = matrix(width, height * area);
      for (let i = 0; i < height; i++)
        for (let j = 0; j < width; j++)
          byChannel.data.set(
            block.data.subarray((i * width + j) * area, (i * width + j + 1) * area),
            (j * height + i) * area,
          );
      for (const [k, unfolded] of [byChannel, block].entries())
        for (const [rank, left] of tails(spectrum(unfolded, linear).squares).entries())
          sums[k]![rank] = (sums[k]![rank] ?? 0) + left;
    }
  return sums;
}

function outerProductLine({ shape }: ChainLayer, filters: Matrix, clusters: Clusters): Line {
  const [g, h] = clusters.counts;
  return {
    most: (shape.c / g) * (shape.n / h),
    at: (k) => outerProductCandidate(clusters, k),
    factors: (k) => outerProduct(deflated(filters, shape, clusters, k), shape, clusters, k),
  };
}
