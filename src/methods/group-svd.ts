// Filter groups from a trained network (Peng et al., 2018): W is cut along its input channels into g blocks [n, (c/g)
// kh kw], of each the truncated SVD with min(c/g, n) components; D = sqrt(S) V^T becomes a grouped convolution, P = U
// sqrt(S) a 1x1: c (c/g) kh kw + n c weights. The squared error is the sum of the blocks' discarded squared singular
// values, which is the least for this structure; nothing stands between D and P, so that g = 1 is the original where n
// <= c. Source: the closed form is checked; that Peng et al. begin so is remembered. As an architecture to be trained:
// `group`.
import { type Candidate, makeFactors } from "../basis/factors.js";
import { tails } from "../basis/spectrum.js";
import { divisors } from "../basis/split.js";
import { type LinearAlgebra, type Spectrum, spectrum } from "../linalg/low-rank.js";
import { columns, type Matrix, matrix } from "../linalg/matrix.js";
import { applyChains } from "./apply-chains.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { filtersOfChain } from "./expand-chains.js";
import type { Method } from "./method.js";
import { about, count, type OptionsOf, optional } from "./options.js";
import { chainFields } from "./plan-chains.js";

const { rank: _, layers: __, ...common } = chainFields;
const fields = {
  ...common,
  ...optional({
    groups: about("g of every layer, instead of a budget", count),
    channelsPerGroup: about("the same as input channels of a group", count),
  }),
};

export const groupSvd: Method<"group-svd", typeof fields> = {
  name: "group-svd",
  summary: "a grouped convolution and 1 x 1 from a trained network's filters (Peng et al.)",
  remembered: "that Peng et al. begin from this decomposition",
  from: "weights",
  options: fields,
  apply(graph, options) {
    const fixed = options.groups !== undefined || options.channelsPerGroup !== undefined;
    return applyChains(
      graph,
      { ...options, ...(fixed ? { rank: 1 } : {}) },
      {
        name: "group-svd",
        takes: ({ layer, shape: { c } }) => {
          if (layer.kernelElements === 1) return "its kernel is 1 x 1";
          const groups = groupsOf(c, options);
          if (groups === undefined || c % groups === 0) return undefined;
          return `${c} channels do not go into ${groups} groups`;
        },
        line: (layer, filters, linear) => {
          const groups = groupsOf(layer.shape.c, options);
          return groupLine(
            layer,
            filters,
            groups === undefined ? [...divisors(layer.shape.c)].reverse() : [groups],
            linear,
          );
        },
      },
    );
  },
  reconstruct: filtersOfChain,
  fullRank: () => ({ groups: 1, keepFirst: 0 }),
};

const groupsOf = (c: number, { groups, channelsPerGroup }: OptionsOf<typeof fields>): number | undefined =>
  groups ?? (channelsPerGroup === undefined ? undefined : c / channelsPerGroup);

/** @param groups by growing cost: from many groups to few */
function groupLine({ shape }: ChainLayer, filters: Matrix, groups: readonly number[], linear: LinearAlgebra): Line {
  const { n, c, kernel } = shape;
  const area = kernel[0] * kernel[1];
  const known = new Map<number, readonly Spectrum[]>();
  const blocks = (g: number): readonly Spectrum[] => {
    const width = (c / g) * area;
    const made =
      known.get(g) ?? Array.from({ length: g }, (_, q) => spectrum(columns(filters, q * width, width), linear));
    known.set(g, made);
    return made;
  };
  // n components lose nothing; c / g are what the structure has
  const rankOf = (g: number) => Math.min(g === 1 ? n : c / g, n, (c / g) * area);
  const at = (k: number): Candidate => ({
    family: "own-bases",
    splits: groups[k - 1]!,
    ranks: [rankOf(groups[k - 1]!)],
  });
  return {
    most: groups.length,
    at,
    lost(k) {
      const found = blocks(groups[k - 1]!).map(({ squares }) => tails(squares));
      const rank = rankOf(groups[k - 1]!);
      const all = found.reduce((sum, lost) => sum + lost[0]!, 0);
      return found.reduce((sum, lost) => sum + (lost[rank] ?? 0), 0) / (all || 1);
    },
    factors(k) {
      const g = groups[k - 1]!;
      const rank = rankOf(g);
      const width = (c / g) * area;
      const basis = new Float64Array(g * rank * width);
      const coefficients = matrix(n, g * rank);
      for (const [q, block] of blocks(g).entries()) {
        const found = block.lowRank(rank);
        basis.set(found.basis.data, q * rank * width);
        for (let o = 0; o < n; o++)
          coefficients.data.set(found.coefficients.data.subarray(o * rank, (o + 1) * rank), o * g * rank + q * rank);
      }
      return makeFactors(at(k), shape, [basis, coefficients.data]);
    },
  };
}
