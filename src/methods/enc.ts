// Efficient neural network compression (Kim et al., 2019): layers as kh x 1 and 1 x kw (basis/separable-svd.ts), 1x1
// convolutions as two, and a search for their ranks:
//   map    one quality y for all layers (basis/enc.ts): seconds, no data
//   model  the largest product of the layers' y whose ranks lie between those of map at budgets 10 % smaller and
//          larger; the paper enumerates layers of equal cost in groups and adds measured accuracies, here a Lagrange
//          multiplier solves it
//   inf    of twenty such, found with y perturbed, the one with the best result on validation data, which has to be
//          handed in; a recipe hands in its calibration batches (train/validate-ranks.ts)
// Source: the form and map are checked against the authors' published singular values and ranks of ResNet-56 (a test);
// the solver of model and inf is our own. The first convolution stays, as in the authors' settings. Their strides both
// stand in the first stage; here each axis strides in its own stage, so that the original is what full rank gives.
import * as z from "zod/mini";
import { encMostRank, encQuality, encRank } from "../basis/enc.js";
import { separableSpectrum } from "../basis/separable-svd.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { LinearAlgebra } from "../linalg/low-rank.js";
import type { Matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { applyChains } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { filtersOfChain } from "./expand-chains.js";
import { lineOfSpectrum } from "./jaderberg.js";
import type { Method } from "./method.js";
import { about, type OptionsOf, optional } from "./options.js";
import { type Boxed, chainFields, type Level } from "./plan-chains.js";

const fields = {
  ...chainFields,
  ...optional({
    search: about("how ranks are found under a budget; default map", z.enum(["map", "model", "inf"])),
    seed: about("of the perturbations of inf; default 1", z.int().check(z.nonnegative())),
  }),
};

/** What is known beside the options. */
export interface EncKnown {
  /** How good a network is on validation data; more is better. */
  readonly validate?: (graph: Graph) => number;
}

export const enc: Method<"enc", typeof fields> = {
  name: "enc",
  summary: "kh x 1 and 1 x kw convolutions of ranks with one quality in all layers (Kim et al.)",
  remembered: "how model and inf are solved",
  from: "weights",
  options: fields,
  apply(graph, options: OptionsOf<typeof fields> & EncKnown) {
    const { search = "map", validate, seed = 1 } = options;
    if (search === "inf" && validate === undefined)
      throw new FilterBasisError("usage", "the search inf of the method enc needs validation data", {
        field: "search",
        expected: "map, model, or data to calibrate on",
        got: search,
        cures: ["in a recipe: calibrate: 25"],
      });
    const qualities = new WeakMap<ChainLayer, Float64Array>();
    const quality = (layer: ChainLayer): Float64Array => qualities.get(layer)!;
    const line = (layer: ChainLayer, filters: Matrix, linear: LinearAlgebra): Line => {
      const found = separableSpectrum(filters, layer.shape, linear);
      const { n, c, kernel } = layer.shape;
      qualities.set(layer, encQuality(found.squares.map(Math.sqrt), encMostRank(n, c, kernel)));
      return lineOfSpectrum(layer, found);
    };
    const level: Level = ({ layer }, height) => encRank(quality(layer), height);
    const boxed: Boxed = {
      spread: 0.1,
      loss: ({ layer }, k) => -Math.log(Math.max(1e-12, quality(layer)[k - 1] ?? 1)),
      ...(search === "inf" ? { tries: 20, random: new Random(`enc ${seed}`), best: validate! } : {}),
    };
    return applyChains(graph, options, {
      ...{ name: "enc", takes: () => undefined, line, level },
      ...(search === "map" ? {} : { boxed }),
    });
  },
  reconstruct: filtersOfChain,
  fullRank: ({ outChannels: n, inChannels: c, kernel }) => ({
    rank: Math.min(c * (kernel.length > 1 ? kernel[0]! : 1), n * kernel.at(-1)!),
    keepFirst: 0,
  }),
};
