// Fitted factors into a graph that knows what was done to it: a basis and its coefficients become one BasisConv node,
// all other families a chain of ordinary nodes with its record.

import type { Layout } from "../basis/layouts.js";
import type { PlannedChoice } from "../calibrate/calibrated.js";
import { type Chained, chained } from "../calibrate/chain.js";
import type { CalibratedLayer, LayerNode } from "../calibrate/layers.js";
import { type Replacement, sidesOf } from "../calibrate/replacement.js";
import { makeBasisConv } from "../graph/basis-conv.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { type ChainRecord, readChains, withChainRecord } from "../methods/chain-record.js";
import { attributesToJson } from "../methods/record.js";
import { dropUnread } from "../passes/remove-unread.js";

/**
 * @param replacements - of every layer, in the order of `chosen`
 * @param layout - of layers over a basis: `separate` saves their multiply-accumulates, `dense` only their bytes
 */
export function writeChains(
  graph: Graph,
  replacements: readonly Replacement[],
  chosen: readonly PlannedChoice[],
  layout: Layout = "split",
): Chained {
  const choices = new Map(chosen.map((choice) => [choice.layer, choice]));
  const isBasis = ({ layer, factors }: Replacement) =>
    layer.kind === "conv" && ["one-split", "shared-bases"].includes(factors?.candidate.family ?? "");
  const basis = replacements.filter(isBasis);
  const { graph: over, names } = chained(
    graph,
    replacements.filter((one) => !isBasis(one)),
  );
  const records = replacements.flatMap((one) =>
    recordsOf(one, names.get(one.layer)?.weights ?? [], choices.get(one.layer)),
  );
  const recorded = withChainRecord(over, [...readChains(over), ...records]);
  return { graph: withBases(recorded, basis, choices, layout), names };
}

function recordsOf(
  { layer, factors }: Replacement,
  weights: readonly string[],
  choice: PlannedChoice | undefined,
): readonly ChainRecord[] {
  if (factors === undefined || weights.length < 2) return [];
  const { geometry, kind, shape, weightName } = layer;
  const { family, splits, ranks } = factors.candidate;
  return layer.nodes.map(({ node, output }) => ({
    ...{ name: node.name, kind, output, family, ranks: [...ranks], shape },
    ...(splits === undefined ? {} : { splits }),
    axes: geometry.kind === "window" ? geometry.axes : 2,
    weights: [...weights],
    weight: weightName,
    attributes: attributesToJson(node.attributes),
    error: choice?.error ?? null,
  }));
}

function withBases(
  graph: Graph,
  basis: readonly Replacement[],
  choices: ReadonlyMap<CalibratedLayer, PlannedChoice>,
  layout: Layout,
): Graph {
  if (basis.length === 0) return graph;
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorData>();
  const store = (stem: string, tensor: TensorData): string => {
    const name = fresh(stem);
    initializers.set(name, tensor);
    return name;
  };
  const nodes = new Map<Node, readonly Node[]>();
  for (const replacement of basis) {
    const { layer, biases } = replacement;
    const names = storeFactors(replacement, store);
    const error = choices.get(layer)?.error ?? null;
    for (const [i, one] of layer.nodes.entries()) {
      const bias = store(`${one.name}.bias`, tensorOf(layer.type, [layer.shape.n], biases[i]!));
      nodes.set(one.node, [basisNode(replacement, one, { ...names, bias }, layout, error)]);
    }
  }
  const replaced = replaceNodes(graph, nodes, initializers);
  return dropUnread(
    replaced,
    [...nodes.keys()].flatMap(({ inputs }) => inputs.slice(1)),
  );
}

/** B [m, c / s, k...] and A [n, s m, 1...]. */
function storeFactors({ layer, factors }: Replacement, store: (stem: string, tensor: TensorData) => string) {
  const { candidate, stages } = factors!;
  const { splits = 1, ranks } = candidate;
  const { n, c, kernel } = layer.shape;
  const axes = layer.geometry.kind === "window" ? layer.geometry.axes : 2;
  const dims = [ranks[0]!, c / splits, ...sidesOf(axes, kernel)];
  const size = dims.reduce((product, dim) => product * dim, 1);
  const ones = sidesOf(axes, [1, 1]);
  return {
    basis: store(`${layer.weightName}.basis`, tensorOf(layer.type, dims, stages[0]!.weight.subarray(0, size))),
    coefficients: store(
      `${layer.weightName}.coefficients`,
      tensorOf(layer.type, [n, splits * ranks[0]!, ...ones], stages[1]!.weight),
    ),
  };
}

function basisNode(
  { layer, factors }: Replacement,
  { node, input, output }: LayerNode,
  names: { readonly basis: string; readonly coefficients: string; readonly bias: string },
  layout: Layout,
  error: number | null,
): Node {
  const { splits = 1, ranks } = factors!.candidate;
  const { shape, weightName, geometry } = layer;
  return makeBasisConv({
    ...{ name: node.name, input, output, ...names, basisBias: "", splits, basisSize: ranks[0]! },
    ...{ outChannels: shape.n, inChannels: shape.c, slice: null, layout },
    kernel: sidesOf(geometry.kind === "window" ? geometry.axes : 2, shape.kernel),
    attributes: node.attributes,
    // The record's error is of filters; of outputs it is the root of their energy's lost share.
    provenance: { method: "basis", error: error === null ? null : Math.sqrt(Math.max(0, error)), weight: weightName },
  });
}
