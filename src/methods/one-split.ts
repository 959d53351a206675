// Whole filters over a basis, W ~ A B with B [d, c, kh, kw]: what methods with one split share. Written as BasisConv
// nodes.
import { type Candidate, type Factors, makeFactors } from "../basis/factors.js";
import { type ActivationMoments, blockMoments, outputSpectrum } from "../basis/moments.js";
import { tails } from "../basis/spectrum.js";
import { makeBasisConv } from "../graph/basis-conv.js";
import type { Graph, Node } from "../graph/types.js";
import { type LinearAlgebra, spectrum } from "../linalg/low-rank.js";
import type { Matrix } from "../linalg/matrix.js";
import type { ChainLayer } from "./chain-layers.js";
import type { Line } from "./chain-line.js";
import { storeFor } from "./store.js";
import type { WrittenChain } from "./write-chain.js";

/** All ranks, from one SVD of the filters; with moments, of what their outputs are. */
export function oneSplitLine(
  { shape, layer }: ChainLayer,
  filters: Matrix,
  linear: LinearAlgebra,
  moments?: ActivationMoments,
): Line {
  const found =
    moments === undefined
      ? spectrum(filters, linear)
      : outputSpectrum(filters, blockMoments(moments, layer.kernelElements, shape.c), linear);
  const lost = tails(found.squares);
  const at = (k: number): Candidate => ({ family: "one-split", ranks: [k] });
  return {
    most: found.squares.length,
    at,
    lost: (k) => lost[k]! / (lost[0]! || 1),
    factors(k): Factors {
      const { coefficients, basis } = found.lowRank(k);
      return makeFactors(at(k), shape, [basis.data, coefficients.data]);
    },
  };
}

export function writeOneSplit(graph: Graph, written: readonly WrittenChain[], method: string): Graph {
  const store = storeFor(graph);
  const replacements = new Map<Node, readonly Node[]>();
  for (const { layer, factors, lost, bias } of written) {
    const { weightName, weight, type, nodes, outChannels, inChannels, kernel } = layer.layer;
    const types = { stored: weight.type, read: type };
    const size = factors.candidate.ranks[0]!;
    const [first, second] = factors.stages;
    const stem = weightName.replace(/\.weight$/, "");
    const basis = store.put(`${stem}.basis`, types, [size, inChannels, ...kernel], first!.weight);
    const coefficients = store.put(
      `${stem}.coefficients`,
      types,
      [outChannels, size, ...kernel.map(() => 1)],
      second!.weight,
    );
    for (const [i, { node }] of nodes.entries()) {
      const own = bias?.[i];
      const made = makeBasisConv({
        ...{ name: node.name, input: node.inputs[0]!, output: node.outputs[0]!, basis, coefficients, basisBias: "" },
        bias:
          own === undefined
            ? (node.inputs[2] ?? "")
            : store.put(`${stem}.bias`, { stored: type, read: type }, [own.length], own),
        ...{ splits: 1, basisSize: size, outChannels, inChannels, kernel, slice: null, layout: "split" },
        attributes: node.attributes,
        provenance: { method, error: Math.sqrt(lost), weight: weightName },
      });
      replacements.set(node, [made]);
    }
  }
  return store.replace(graph, replacements);
}
