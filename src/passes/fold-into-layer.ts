// Scaling and shifting the channels of a layer by changing its weights: what folding a normalisation comes down to.
import { float, nodeName, readFloat, readInt, readInts, readString } from "../graph/attributes.js";
import { isBasisConv, readBasisConv } from "../graph/basis-conv.js";
import type { Node, TensorData } from "../graph/types.js";
import { floats, isFloat, numbers, tensorOf } from "../graph/values.js";
import type { Affine } from "./fold-batch-norm.js";

export interface SkippedLayer {
  readonly reason: string;
}

/** The layer with the attributes that go with its new constants; its inputs are still the old ones. */
export interface Folded {
  readonly node: Node;
  readonly weight: TensorData;
  readonly bias: TensorData | undefined;
}

/** Gives the tensor behind a name. */
type ConstantOf = (name: string) => TensorData | undefined;

/** The weights of a layer: W[o, i, rest] as three sizes, with the place of each channel in the stored order. */
interface Layer {
  readonly weight: TensorData;
  readonly bias: Float64Array;
  readonly outChannels: number;
  readonly inChannels: number;
  /** For each stored element: its output and its input channel. */
  readonly channels: (index: number) => readonly [out: number, into: number];
  /** Attributes that change because the bias now holds what they said. */
  readonly node: Node;
  /** Does every output see every weight, so that a shift of the input is the same everywhere? */
  readonly padded: boolean;
}

/** The layer followed by k y + t on its output channels. */
export function foldBefore(constant: ConstantOf, node: Node, { k, t }: Affine): Folded | SkippedLayer {
  const layer = layerOf(constant, node);
  if ("reason" in layer) return layer;
  if (k.length !== layer.outChannels)
    return { reason: `${nodeName(node)} has ${layer.outChannels} output channels, not ${k.length}` };
  const weight = numbers(layer.weight).map((value, index) => value * k[layer.channels(index)[0]]!);
  const bias = layer.bias.map((value, channel) => value * k[channel]! + t[channel]!);
  return written(layer, weight, bias);
}

/** Which inputs of a layer hold the weight and the bias that scaling its output changes: of a convolution over a basis its coefficients. */
export function weightPlaces(node: Node): readonly [weight: number, bias: number] {
  const site = readBasisConv(node);
  if (site === undefined) return [1, 2];
  return site.coefficients === "" ? [1, 4] : [2, 3];
}

/** The layer fed with k x + t on its input channels; `value` names that input. */
export function foldAfter(constant: ConstantOf, node: Node, value: string, { k, t }: Affine): Folded | SkippedLayer {
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

function layerOf(constant: ConstantOf, node: Node): Layer | SkippedLayer {
  const standard = node.domain === "" && Object.hasOwn(layers, node.op) ? layers[node.op] : undefined;
  const reader = isBasisConv(node) ? overBasis : standard;
  if (reader === undefined) return { reason: `${nodeName(node)} (${node.op}) has no weights` };
  const [weightName = "", biasName = ""] = weightPlaces(node).map((place) => node.inputs[place] ?? "");
  const weight = constant(weightName);
  if (weight === undefined) return { reason: `the weight of ${nodeName(node)} is not a stored constant` };
  if (!isFloat(weight.type)) return { reason: `the weight of ${nodeName(node)} is of type ${weight.type}` };
  const bias = biasName === "" ? undefined : constant(biasName);
  if (biasName !== "" && bias === undefined) return { reason: `the bias of ${nodeName(node)} is not a stored constant` };
  return reader(node, weight, bias);
}

type Reader = (node: Node, weight: TensorData, bias: TensorData | undefined) => Layer | SkippedLayer;

const biasOr0 = (bias: TensorData | undefined, channels: number): Float64Array =>
  bias === undefined ? new Float64Array(channels) : numbers(bias);

/** W[M, C/group, k...] */
const convolution: Reader = (node, weight, bias) => {
  const [outChannels, groupInputs, ...kernel] = weight.dims as [number, number, ...number[]];
  const group = readInt(node, "group", 1);
  const area = kernel.reduce((product, size) => product * size, 1);
  const perGroup = outChannels / group;
  const pads = readInts(node, "pads", []).some((pad) => pad !== 0) || readString(node, "auto_pad", "NOTSET").startsWith("SAME");
  return {
    ...{ weight, bias: biasOr0(bias, outChannels), outChannels, inChannels: groupInputs * group, node, padded: pads },
    channels: (index) => {
      const out = Math.floor(index / (groupInputs * area));
      return [out, Math.floor(out / perGroup) * groupInputs + (Math.floor(index / area) % groupInputs)];
    },
  };
};

/** A[n, s m, 1...], each row for one output; of a basis part B[m, p, k...], whose filters each make one channel where there is one split. */
const overBasis: Reader = (node, weight, bias) => {
  const site = readBasisConv(node)!;
  if (site.coefficients === "" && site.splits > 1)
    return { reason: `the basis of ${nodeName(node)} is the same for all its splits` };
  const outChannels = weight.dims[0]!;
  const row = weight.dims.slice(1).reduce((product, size) => product * size, 1);
  return {
    ...{ weight, bias: biasOr0(bias, outChannels), outChannels, inChannels: site.inChannels, node, padded: true },
    channels: (index) => [Math.floor(index / row), 0],
  };
};

/** W[C, M/group, k...]; which weights an output pixel sees depends on its place, as if padded. */
const transposed: Reader = (node, weight, bias) => {
  const [inChannels, groupOutputs, ...kernel] = weight.dims as [number, number, ...number[]];
  const group = readInt(node, "group", 1);
  const area = kernel.reduce((product, size) => product * size, 1);
  const perGroup = inChannels / group;
  return {
    ...{ weight, bias: biasOr0(bias, groupOutputs * group), outChannels: groupOutputs * group, inChannels, node, padded: true },
    channels: (index) => {
      const into = Math.floor(index / (groupOutputs * area));
      return [Math.floor(into / perGroup) * groupOutputs + (Math.floor(index / area) % groupOutputs), into];
    },
  };
};

/** y = alpha a b + beta c, b[K, N] (or [N, K] with transB): alpha stays, beta goes into the bias. */
const matrix: Reader = (node, weight, bias) => {
  const swapped = readInt(node, "transB", 0) !== 0;
  const [rows, columns] = weight.dims as [number, number];
  const [inChannels, outChannels] = swapped ? [columns, rows] : [rows, columns];
  if (readInt(node, "transA", 0) !== 0) return { reason: `${nodeName(node)} transposes its input` };
  const alpha = readFloat(node, "alpha", 1);
  if (alpha !== 1) return { reason: `${nodeName(node)} has alpha = ${alpha}` };
  const beta = readFloat(node, "beta", 1);
  const stored = bias && numbers(bias);
  if (stored !== undefined && stored.length !== 1 && (stored.length !== outChannels || bias!.dims.at(-1) !== outChannels)) {
    return { reason: `the bias of ${nodeName(node)} differs from row to row` };
  }
  const each = Float64Array.from(
    { length: outChannels },
    (_, channel) => beta * (stored?.[stored.length === 1 ? 0 : channel] ?? 0),
  );
  const attributes = new Map(node.attributes);
  if (attributes.has("beta")) attributes.set("beta", float(1));
  return {
    ...{ weight, bias: each, outChannels, inChannels, node: { ...node, attributes }, padded: false },
    channels: (index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      return swapped ? [row, column] : [column, row];
    },
  };
};

const layers: Readonly<Record<string, Reader>> = { Conv: convolution, ConvTranspose: transposed, Gemm: matrix };

/** The layer with new weights; without a bias where it had none and needs none. */
function written(layer: Layer, weight: Float64Array, bias: Float64Array): Folded | SkippedLayer {
  const { node } = layer;
  const { type, dims } = layer.weight;
  const [newWeight, newBias] = [tensorOf(type, dims, weight), tensorOf(type, [bias.length], bias)];
  if (![newWeight, newBias].every((tensor) => floats(tensor).every(Number.isFinite)))
    return { reason: `the weights of ${nodeName(node)} would not be finite in ${type}` };
  const none = node.op !== "Gemm" && (node.inputs[weightPlaces(node)[1]] ?? "") === "" && bias.every((value) => value === 0);
  return { node, weight: newWeight, bias: none ? undefined : newBias };
}
