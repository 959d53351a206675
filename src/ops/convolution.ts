// Convolutions and transposed convolutions.
import { elements, readInt, readInts, readString } from "../graph/attributes.js";
import { add, multiply, subtract } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { calls, type Family, type MacRule, type SumRule } from "./operator.js";
import { type AffineRule, biasOr0 } from "./rules/affine.js";
import {
  type Call,
  input,
  type Known,
  mismatch,
  needRank,
  type Rule,
  same,
  showDim,
  unknownDims,
} from "./rules/call.js";
import { channels } from "./rules/demand.js";
import { behindFirst, countOf, times } from "./rules/macs.js";
import { type ReachRule, windowAttributes } from "./rules/reach.js";
import { extentOf, kernelOf, places, slide, windowKinds, windowOf } from "./rules/window.js";

/** Conv and its quantised forms: x[N, C, ...], w[M, C/group, k...] -> [N, M, ...]. */
export function convolution(weightAt: number, typeOf: (call: Call) => Known["type"]): Rule {
  return (call) => {
    const [x, weight] = [input(call, 0), input(call, weightAt)];
    const kernel = kernelOf(call, weight);
    const rank = x.dims?.length ?? weight.dims?.length;
    if (rank === undefined) return [{ type: typeOf(call) }];
    if (rank < 3) throw mismatch(call, "the input has too few axes", "[N, C, D1, ...]", `rank ${rank}`);
    needRank(call, weightAt, rank);
    if (kernel !== undefined && kernel.length !== rank - 2) {
      throw mismatch(call, "the kernel does not fit the input", `${rank - 2} spatial axes`, String(kernel.length));
    }
    const group = readInt(call.node, "group", 1);
    const [outChannels, inChannels] = [weight.dims?.[0] ?? null, multiply(weight.dims?.[1] ?? null, group)];
    if (x.dims !== undefined) same(call, inChannels, x.dims[1]!, "the channels of weight and input");
    if (group < 1 || (typeof outChannels === "number" && outChannels % group !== 0)) {
      throw mismatch(call, "the filters do not divide into the groups", `a multiple of ${group}`, showDim(outChannels));
    }
    const window = windowOf(call, kernel ?? unknownDims(rank - 2));
    const space = window.kernel.map((_, axis) => places(call, window, axis, x.dims?.[axis + 2] ?? null));
    return [{ type: typeOf(call), dims: [x.dims?.[0] ?? null, outChannels, ...space] }];
  };
}

/** ConvTranspose: x[N, C, ...], w[C, M/group, k...] -> [N, M, ...]. */
const transposedConvolution: Rule = (call) => {
  const [x, weight] = [input(call, 0), input(call, 1)];
  const rank = x.dims?.length ?? weight.dims?.length;
  if (rank === undefined) return [{ type: x.type }];
  if (rank < 3) throw mismatch(call, "the input has too few axes", "[N, C, D1, ...]", `rank ${rank}`);
  needRank(call, 1, rank);
  const window = windowOf(call, kernelOf(call, weight) ?? unknownDims(rank - 2));
  if (x.dims !== undefined && weight.dims !== undefined)
    same(call, weight.dims[0]!, x.dims[1]!, "the channels of weight and input");
  const extra = readInts(call.node, "output_padding", new Array<number>(rank - 2).fill(0));
  const stated = readInts(call.node, "output_shape", undefined);
  const space = window.kernel.map((_, axis): Dim => {
    if (stated !== undefined) return stated[stated.length - (rank - 2) + axis] ?? null;
    const size = x.dims?.[axis + 2] ?? null;
    const [stride, [begin, end]] = [window.strides[axis]!, window.pads[axis]!];
    const extent = add(extentOf(window, axis), extra[axis] ?? 0);
    const grown = add(multiply(subtract(size, 1), stride), extent);
    // SAME_*: size * stride, but padding only takes away
    if (window.auto.startsWith("SAME"))
      return typeof extent !== "number" ? null : extent >= stride ? multiply(size, stride) : grown;
    return subtract(grown, begin + end);
  });
  if (space.some((size) => typeof size === "number" && size < 0)) {
    throw mismatch(
      call,
      "the padding removes the whole output",
      "sizes of 0 or more",
      `[${space.map(showDim).join(", ")}]`,
    );
  }
  const outChannels = multiply(weight.dims?.[1] ?? null, readInt(call.node, "group", 1));
  return [{ type: x.type, dims: [x.dims?.[0] ?? null, outChannels, ...space] }];
};

/** W[M, C/group, k...] */
const scaled: AffineRule["read"] = (node, weight, bias) => {
  const [outChannels, groupInputs, ...kernel] = weight.dims as [number, number, ...number[]];
  const group = readInt(node, "group", 1);
  const area = kernel.reduce((product, size) => product * size, 1);
  const perGroup = outChannels / group;
  const pads =
    readInts(node, "pads", []).some((pad) => pad !== 0) || readString(node, "auto_pad", "NOTSET").startsWith("SAME");
  return {
    ...{ weight, bias: biasOr0(bias, outChannels), outChannels, inChannels: groupInputs * group, node, padded: pads },
    channels: (index) => {
      const out = Math.floor(index / (groupInputs * area));
      return [out, Math.floor(out / perGroup) * groupInputs + (Math.floor(index / area) % groupInputs)];
    },
  };
};

/** W[C, M/group, k...]; which weights an output pixel sees depends on its place, as if padded. */
const scaledTransposed: AffineRule["read"] = (node, weight, bias) => {
  const [inChannels, groupOutputs, ...kernel] = weight.dims as [number, number, ...number[]];
  const group = readInt(node, "group", 1);
  const area = kernel.reduce((product, size) => product * size, 1);
  const perGroup = inChannels / group;
  return {
    ...{
      weight,
      bias: biasOr0(bias, groupOutputs * group),
      outChannels: groupOutputs * group,
      inChannels,
      node,
      padded: true,
    },
    channels: (index) => {
      const into = Math.floor(index / (groupOutputs * area));
      return [Math.floor(into / perGroup) * groupOutputs + (Math.floor(index / area) % groupOutputs), into];
    },
  };
};

/** Output pixel o is made of pixels (o + pad - t) / stride, t = 0 .. span. */
const spread: ReachRule = (node, { pitch, low, high }, context) => {
  const { kernel, strides, pads, auto, spans } = windowAttributes(node, context);
  if (kernel === undefined || kernel.length !== 2 || strides[0] !== strides[1])
    return "it is not two-dimensional with one stride";
  if (auto !== "NOTSET" || readInts(node, "output_shape", undefined))
    return "its padding depends on the size of the picture";
  const stride = strides[0]!;
  const first = Math.min(pads[0]! - spans[0]!, pads[1]! - spans[1]!) / stride;
  const last = Math.max(pads[0]!, pads[1]!) / stride;
  return { pitch: pitch / stride, low: low + first * pitch, high: high + last * pitch };
};

/** One for each element of a filter, at each output. */
export const convolutionMacs: MacRule = (node, weight, shapes) =>
  times(countOf(shapes, node.outputs[0]!), countOf(shapes, weight, behindFirst));

/** One for each element of a filter, at each input. */
const transposedMacs: MacRule = (node, weight, shapes) =>
  times(countOf(shapes, node.inputs[0]!), countOf(shapes, weight, behindFirst));

export const convolutionSums: SumRule = (_, sizes) => elements(sizes(1).slice(1));

const common = { signature: calls([2, 3], windowKinds), window: true, convolves: true } as const;
const weighted = { operands: ["data", "weight", "bias"] } as const;

export const convolutions = {
  Conv: {
    ...common,
    ...weighted,
    shapes: convolution(1, (call) => input(call, 0).type ?? input(call, 1).type),
    demands: channels((weight, node) =>
      typeof weight?.[1] === "number" ? weight[1] * readInt(node, "group", 1) : undefined,
    ),
    macs: convolutionMacs,
    reach: slide,
    channels: "layer",
    absorbsAffine: { places: () => [1, 2], read: scaled },
    sums: convolutionSums,
    overwritable: true,
    since: 1,
  },
  ConvTranspose: {
    ...common,
    ...weighted,
    shapes: transposedConvolution,
    demands: channels((weight) => weight?.[0]),
    macs: transposedMacs,
    channels: "layer",
    reach: spread,
    absorbsAffine: { places: () => [1, 2], read: scaledTransposed },
    sums: (_, sizes) => (elements(sizes(1)) / (sizes(1)[1] ?? 1)) | 0 || 1,
    overwritable: true,
    since: 1,
  },
  DeformConv: { operands: ["data", "weight"], macs: convolutionMacs, convolves: true },
} satisfies Family;
