// CP decomposition (Lebedev et al., 2015): W[i, j, y, x] = sum_r A[i, r] B[j, r] C[y, r] D[x, r], written as 1x1 c ->
// R, depthwise kh x 1, depthwise 1 x kw, 1x1 R -> n: R (c + kh + kw + n) weights. How the terms are found: basis/cp.ts.
// Under a budget every layer keeps the same fraction of its cost, R = F c n kh kw / (c + kh + kw + n). Source: the form
// is the paper's (its identity is a test); that its solver is clearly better than plain ALS is its abstract's; solver
// and starts here are our own.
import * as z from "zod/mini";
import { cpTerms } from "../basis/cp.js";
import { type Candidate, type Factors, makeFactors } from "../basis/factors.js";
import type { LinearAlgebra } from "../linalg/low-rank.js";
import { type Matrix, transpose } from "../linalg/matrix.js";
import { applyChains } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import { filtersOfChain } from "./expand-chains.js";
import { spatialOnly } from "./jaderberg.js";
import type { Method } from "./method.js";
import { about, optional } from "./options.js";
import { chainFields } from "./plan-chains.js";

const fields = {
  ...chainFields,
  ...optional({ seed: about("of the starts; default 1", z.int().check(z.nonnegative())) }),
};

export const cp: Method<"cp", typeof fields> = {
  name: "cp",
  summary: "a sum of R outer products: 1x1, two depthwise convolutions, 1x1 (Lebedev et al.)",
  remembered: "its solver: the paper's was non-linear least squares",
  from: "weights",
  options: fields,
  apply: (graph, options) =>
    applyChains(graph, options, {
      name: "cp",
      takes: spatialOnly,
      line: (layer, filters, linear) => ({
        most: Math.min(layer.shape.n, layer.shape.c) * layer.layer.kernelElements,
        at: candidate,
        factors: (k) => factors(layer, filters, k, linear, options.seed),
      }),
    }),
  reconstruct: filtersOfChain,
  fullRank: ({ outChannels: n, inChannels: c, kernelElements }) => ({
    rank: Math.min(n, c) * kernelElements,
    keepFirst: 0,
  }),
};

const candidate = (rank: number): Candidate => ({ family: "cp", ranks: [rank] });

function factors({ shape }: ChainLayer, filters: Matrix, rank: number, linear: LinearAlgebra, seed = 1): Factors {
  const { n, c, kernel } = shape;
  const { a, b, y, x } = cpTerms({ dims: [n, c, ...kernel], values: filters.data }, rank, linear, { seed });
  const stages = [transpose(b).data, transpose(y).data, transpose(x).data, a.data];
  return makeFactors(candidate(rank), shape, stages);
}
