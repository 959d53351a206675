// A convolution of a network, with what stands around it: what the passes that replace convolutions by other layers need to know.
import { type Convolution, isSkipped, readConvolution } from "../basis/convolution.js";
import { nodeName, readInts } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { operatorOf } from "../ops/table.js";
import { matches } from "./pattern.js";

export interface ConvLayer extends Convolution {
  readonly input: string;
  readonly output: string;
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
export interface Selection {
  /** Names (of nodes) that are taken; * stands for anything. Default: all. */
  readonly only?: string | undefined;
  /** The first so many convolutions stay as they are. Default 1: the one that reads the image. */
  readonly keepFirst?: number | undefined;
}

/** Every convolution of the graph: what it is, or why it cannot be replaced. */
export function convLayers(
  graph: Graph,
  { only = "*", keepFirst = 1 }: Selection = {},
): readonly { readonly node: Node; readonly layer: ConvLayer | undefined; readonly reason: string }[] {
  const { producers, soleReader, stored } = indexOf(graph);
  return graph.nodes
    .filter((node) => node.op === "Conv" && node.domain === "")
    .map((node, index) => {
      const skip = (reason: string) => ({ node, layer: undefined, reason });
      if (!matches(nodeName(node), [only])) return skip(`its name does not match ${only}`);
      if (index < keepFirst)
        return skip(`the first ${keepFirst === 1 ? "convolution stays" : `${keepFirst} convolutions stay`} as it was`);
      const found = readConvolution(node, stored);
      if (found === undefined) return skip("it has no filters");
      if (isSkipped(found)) return skip(found.reason);
      const [input = "", output = ""] = [node.inputs[0], node.outputs[0]];
      const after = soleReader(output);
      const norm = after?.op === "BatchNormalization" ? after : undefined;
      const behind = norm === undefined ? after : soleReader(norm.outputs[0] ?? "");
      const before = producers.get(input);
      const layer: ConvLayer = {
        ...found,
        input,
        output,
        strided: readInts(node, "strides", []).some((stride) => stride > 1),
        norm,
        activation: isActivation(behind) ? behind : undefined,
        activationBefore: isActivation(before) ? before : undefined,
      };
      return { node, layer, reason: "" };
    });
}

const isActivation = (node: Node | undefined): boolean => node !== undefined && operatorOf(node)?.activation === true;
