// Normalisations.
import { readInt } from "../graph/attributes.js";
import type { Node } from "../graph/types.js";
import { calls, type Family, type Kinds, old } from "./operator.js";
import { axisOf, input, type Known, type Rule, same } from "./rules/call.js";
import { channels } from "./rules/demand.js";
import { everywhere } from "./rules/reach.js";
import { likeInput } from "./rules/shapes.js";

/**
 * Why a BatchNormalization computes with the statistics of its batch, or undefined where it uses those that it is
 * given. Since opset 14 an attribute says so; before, outputs after the first ask for it, read or not; before opset 7
 * it was the default (onnx/docs/Changelog.md).
 */
export function trainingMode(node: Node, opset: number): string | undefined {
  if (opset >= 14)
    return readInt(node, "training_mode", 0) === 0 ? undefined : "it runs in training mode (training_mode = 1)";
  if (node.outputs.slice(1).some((output) => output !== ""))
    return "it runs in training mode: before opset 14, outputs after the first ask for that, read or not";
  if (opset < 7 && readInt(node, "is_test", 0) === 0)
    return "it runs in training mode (is_test = 0, which is the default before opset 7)";
  return undefined;
}

/** BatchNormalization: y is like x; in training mode the statistics follow, [C] each. */
const shapesOfBatchNormalization: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const channels = dims === undefined ? null : dims.length > 1 ? dims[1]! : 1;
  for (const index of [1, 2, 3, 4]) {
    const own = input(call, index).dims;
    if (own?.length === 1) same(call, channels, own[0]!, "the channels of input and statistics");
  }
  const each: Known = { type: input(call, 3).type ?? type, dims: [channels] };
  return [{ type, dims }, each, each, each, each];
};

/** LayerNormalization: mean and inverse deviation keep the axes before `axis` and have 1 in the others. */
const shapesOfLayerNormalization: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axis = dims && axisOf(call, readInt(call.node, "axis", -1), dims.length);
  const each: Known = { type: "float32", dims: dims?.map((size, at) => (at < axis! ? size : 1)) };
  return [{ type, dims }, each, each];
};

const attributes = {
  axis: "int",
  epsilon: "float",
  momentum: "float",
  num_groups: "int",
  spatial: "int",
  stash_type: "int",
} as const satisfies Kinds;
const training = { is_test: "int", training_mode: "int", consumed_inputs: "ints" } as const satisfies Kinds;
const like = { shapes: likeInput };
const demands = channels((scale) => scale?.[0]);

export const normalisations = {
  BatchNormalization: {
    signature: calls(5, { ...attributes, ...training }, [1, 5]),
    operands: ["data", "scale", "shift", "mean", "variance"],
    shapes: shapesOfBatchNormalization,
    demands,
    reach: (node, reach, { opset }) => trainingMode(node, opset) ?? reach,
    channels: "kept",
    overwritable: true,
  },
  InstanceNormalization: {
    ...like,
    signature: calls(3, { ...attributes, ...old }),
    operands: ["data", "scale", "shift"],
    demands,
    reach: everywhere,
    channels: "kept",
    overwritable: true,
    since: 6,
  },
  GroupNormalization: { ...like, signature: calls(3, attributes), operands: ["data", "scale", "shift"] },
  LayerNormalization: {
    signature: calls([2, 3], attributes, [1, 3]),
    operands: ["data", "scale", "shift"],
    shapes: shapesOfLayerNormalization,
    demands: (_, known) => [[known(0).dims?.at(-1), known(1).dims?.at(-1)]],
  },
  LRN: { ...like, signature: calls(1, { alpha: "float", beta: "float", bias: "float", size: "int" }) },
  LpNormalization: like,
  MeanVarianceNormalization: like,
  RMSNormalization: like,
  // these left the standard, but networks of WinMLTools have them and ONNX Runtime runs them
  ImageScaler: like,
  Affine: like,
} satisfies Family;
