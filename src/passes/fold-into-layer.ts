// Scaling and shifting the channels of a layer by changing its weights: what folding a normalisation comes down to.
import { nodeName } from "../graph/attributes.js";
import { isBasisConv } from "../graph/basis-conv.js";
import type { Node, TensorData } from "../graph/types.js";
import { floats, isFloat, numbers, tensorOf } from "../graph/values.js";
import type { AffineLayer, Skipped } from "../ops/rules/affine.js";
import { operatorOf } from "../ops/table.js";
import type { Affine } from "./fold-batch-norm.js";

/** The layer with the attributes that go with its new constants; its inputs are still the old ones. */
export interface Folded {
  readonly node: Node;
  readonly weight: TensorData;
  readonly bias: TensorData | undefined;
}

/** Gives the tensor behind a name. */
type ConstantOf = (name: string) => TensorData | undefined;

/** The layer followed by k y + t on its output channels. */
export function foldBefore(constant: ConstantOf, node: Node, { k, t }: Affine): Folded | Skipped {
  const layer = layerOf(constant, node);
  if ("reason" in layer) return layer;
  if (k.length !== layer.outChannels)
    return { reason: `${nodeName(node)} has ${layer.outChannels} output channels, not ${k.length}` };
  const weight = numbers(layer.weight).map((value, index) => value * k[layer.channels(index)[0]]!);
  const bias = layer.bias.map((value, channel) => value * k[channel]! + t[channel]!);
  return written(layer, weight, bias);
}

/**
 * Which inputs of a layer hold the weight and the bias that scaling its output changes: of a convolution over a basis
 * its coefficients.
 */
export const weightPlaces = (node: Node): readonly [weight: number, bias: number] =>
  operatorOf(node)?.absorbsAffine?.places(node) ?? [1, 2];

/** The layer fed with k x + t on its input channels; `value` names that input. */
export function foldAfter(constant: ConstantOf, node: Node, value: string, { k, t }: Affine): Folded | Skipped {
  if (node.inputs[0] !== value || node.inputs.lastIndexOf(value) !== 0)
    return { reason: `${nodeName(node)} does not read it as its data` };
  if (isBasisConv(node))
    return { reason: `${nodeName(node)} is a convolution over a basis, which only what follows can be folded into` };
  const layer = layerOf(constant, node);
  if ("reason" in layer) return layer;
  if (k.length !== layer.inChannels)
    return { reason: `${nodeName(node)} has ${layer.inChannels} input channels, not ${k.length}` };
  if (layer.padded && t.some((shift) => shift !== 0))
    return { reason: `${nodeName(node)} pads with zeros, which are not shifted` };
  const weight = numbers(layer.weight);
  const bias = layer.bias.slice();
  const scaled = weight.map((element, index) => {
    const [out, into] = layer.channels(index);
    bias[out]! += element * t[into]!;
    return element * k[into]!;
  });
  return written(layer, scaled, bias);
}

function layerOf(constant: ConstantOf, node: Node): AffineLayer | Skipped {
  const rule = operatorOf(node)?.absorbsAffine;
  if (rule === undefined) return { reason: `${nodeName(node)} (${node.op}) has no weights` };
  const [weightName = "", biasName = ""] = rule.places(node).map((place) => node.inputs[place] ?? "");
  const weight = constant(weightName);
  if (weight === undefined) return { reason: `the weight of ${nodeName(node)} is not a stored constant` };
  if (!isFloat(weight.type)) return { reason: `the weight of ${nodeName(node)} is of type ${weight.type}` };
  const bias = biasName === "" ? undefined : constant(biasName);
  if (biasName !== "" && bias === undefined)
    return { reason: `the bias of ${nodeName(node)} is not a stored constant` };
  return rule.read(node, weight, bias);
}

/** The layer with new weights; without a bias where it had none and needs none. */
function written(layer: AffineLayer, weight: Float64Array, bias: Float64Array): Folded | Skipped {
  const { node } = layer;
  const { type, dims } = layer.weight;
  const [newWeight, newBias] = [tensorOf(type, dims, weight), tensorOf(type, [bias.length], bias)];
  if (![newWeight, newBias].every((tensor) => floats(tensor).every(Number.isFinite)))
    return { reason: `the weights of ${nodeName(node)} would not be finite in ${type}` };
  const none = !layer.biased && (node.inputs[weightPlaces(node)[1]] ?? "") === "" && bias.every((value) => value === 0);
  return { node, weight: newWeight, bias: none ? undefined : newBias };
}
