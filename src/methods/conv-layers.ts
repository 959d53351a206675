// Convolutions with what stands around them: what the passes that replace convolutions by other layers need to know.
import type { Convolution, SkippedLayer } from "../basis/convolution.js";
import { nodeName, readInts } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { operatorOf } from "../ops/table.js";
import { findLayers } from "./layers.js";
import { type Selection as NamedSelection, skipReason } from "./pattern.js";

export interface ConvLayer extends Convolution {
  readonly input: string;
  readonly output: string;
  /** Where it has one that is stored. */
  readonly bias: Float64Array | undefined;
  /** Whether it makes the image smaller. */
  readonly strided: boolean;
  /** The batch norm that reads the result, if nothing else does. */
  readonly norm: Node | undefined;
  /** The activation that reads the result (or that of `norm`), if nothing else does. */
  readonly activation: Node | undefined;
  /** The activation that made the input. */
  readonly activationBefore: Node | undefined;
}

/** Which convolutions a pass takes. */
export interface Selection extends NamedSelection {
  /** The first so many convolutions stay as they are. Default 1: the one that reads the image. */
  readonly keepFirst?: number;
}

/**
 * Every layer that `findLayers` finds or skips, in the order of the graph: what it is, or why it cannot be replaced.
 */
export function convLayers(graph: Graph, selection: Selection = {}): readonly (ConvLayer | SkippedLayer)[] {
  const { layers, skipped } = findLayers(graph);
  const found = new Map(layers.flatMap(({ nodes }) => nodes.map((one) => [one.node, one] as const)));
  const left = new Map(skipped.map((one) => [one.name, one]));
  const around = surroundings(graph);
  const { keepFirst = 1 } = selection;
  const kept = `the first ${keepFirst === 1 ? "convolution stays" : `${keepFirst} convolutions stay`} as it was`;
  let index = 0;
  const all = graph.nodes.flatMap((node): readonly (ConvLayer | SkippedLayer)[] => {
    const name = nodeName(node);
    const early = node.op === "Conv" && node.domain === "" && index++ < keepFirst;
    const layer = found.get(node);
    if (layer !== undefined) {
      const reason = skipReason(name, selection) ?? (early ? kept : undefined);
      return [reason === undefined ? around(layer) : { name, reason }];
    }
    const one = left.get(name);
    left.delete(name);
    return one === undefined ? [] : [one];
  });
  return [...all, ...left.values()];
}

function surroundings(graph: Graph): (layer: Convolution) => ConvLayer {
  const { producers, soleReader, stored } = indexOf(graph);
  return (layer) => {
    const { node } = layer;
    const [input = "", output = ""] = [node.inputs[0], node.outputs[0]];
    const after = soleReader(output);
    const norm = after?.op === "BatchNormalization" ? after : undefined;
    const behind = norm === undefined ? after : soleReader(norm.outputs[0] ?? "");
    const before = producers.get(input);
    const bias = stored(node.inputs[2] ?? "")?.tensor;
    return {
      ...{ ...layer, input, output, norm, bias: bias && numbers(bias) },
      strided: readInts(node, "strides", []).some((stride) => stride > 1),
      activation: isActivation(behind) ? behind : undefined,
      activationBefore: isActivation(before) ? before : undefined,
    };
  };
}

const isActivation = (node: Node | undefined): boolean => node !== undefined && operatorOf(node)?.activation === true;
