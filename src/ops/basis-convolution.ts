// BasisConv, the one operator of our own: a convolution over a basis, and where there are coefficients the 1x1
// convolution behind it.
import { elements, nodeName, readInts } from "../graph/attributes.js";
import { type BasisConv, basisConvAttributes, readBasisConv } from "../graph/basis-conv.js";
import type { Dim, Node } from "../graph/types.js";
import { calls, type Family, type MacRule, type SumRule } from "./operator.js";
import { type AffineRule, biasOr0 } from "./rules/affine.js";
import { input, needRank, type Rule, same } from "./rules/call.js";
import { countOf, times } from "./rules/macs.js";
import { places, slide, windowKinds, windowOf } from "./rules/window.js";

/** BasisConv: x[N, c, ...], B[m, p, k...], A[n, s m, 1...] -> [N, n, ...]; without A -> [N, s m, ...]. */
const basisShapes: Rule = (call) => {
  const layer = readBasisConv(call.node) as BasisConv;
  const { kernel, splits: s, basisSize: m, inChannels: c, outChannels: n, slice } = layer;
  for (const index of [0, 1, ...(layer.coefficients === "" ? [] : [2])]) needRank(call, index, kernel.length + 2);
  const [x, basis, coefficients] = [input(call, 0), input(call, 1), input(call, 2)];
  const agree = (dims: readonly Dim[] | undefined, sizes: readonly Dim[], what: string): void => {
    for (const [axis, size] of dims === undefined ? [] : sizes.entries()) same(call, size, dims![axis]!, what);
  };
  if (x.dims) same(call, c, x.dims[1]!, "the channels of input and basis");
  agree(basis.dims, [m, slice ? null : c / s, ...kernel], "the basis and its stated sizes");
  if (layer.coefficients !== "") agree(coefficients.dims, [n, s * m], "the coefficients and their stated sizes");
  const window = windowOf(call, kernel);
  const space = kernel.map((_, axis) => places(call, window, axis, x.dims?.[axis + 2] ?? null));
  const channels = layer.coefficients === "" ? s * m : n;
  return [{ type: x.type ?? basis.type, dims: [x.dims?.[0] ?? null, channels, ...space] }];
};

/**
 * A[n, s m, 1...], each row for one output; of a basis part B[m, p, k...], whose filters each make one channel where
 * there is one split.
 */
const scaled: AffineRule["read"] = (node, weight, bias) => {
  const layer = readBasisConv(node)!;
  if (layer.coefficients === "" && layer.splits > 1)
    return { reason: `the basis of ${nodeName(node)} is the same for all its splits` };
  const outChannels = weight.dims[0]!;
  const row = weight.dims.slice(1).reduce((product, size) => product * size, 1);
  return {
    ...{ weight, bias: biasOr0(bias, outChannels), outChannels, inChannels: layer.inChannels, node, padded: true },
    channels: (index) => [Math.floor(index / row), 0],
  };
};

/**
 * In the layout that it is written in: m c k + n s m at each output position, or n c k where its filters are rebuilt.
 */
const macs: MacRule = (node, _, shapes) => {
  const { layout, coefficients, ...layer } = readBasisConv(node) as BasisConv;
  const { splits: s, basisSize: m, inChannels: c, outChannels: n } = layer;
  const area = elements(layer.kernel);
  const each = layout === "dense" ? n * c * area : m * c * area + (coefficients === "" ? 0 : n * s * m);
  return times(
    countOf(shapes, node.outputs[0]!, (axis) => axis !== 1),
    each,
  );
};

/** The sums one after the other: over p k for a basis filter (or m, and c k for a rebuilt one), over s m. */
const sums: SumRule = (node) => {
  const { layout, coefficients, splits: s, basisSize: m, inChannels: c, kernel } = readBasisConv(node) as BasisConv;
  if (layout === "dense") return m + c * elements(kernel);
  return (c / s) * elements(kernel) + (coefficients === "" ? 0 : s * m);
};

/** Scaling the output changes the coefficients; of a basis part, the basis and its bias. */
const placesOfAffine = (node: Node): readonly [number, number] =>
  (readBasisConv(node) as BasisConv).coefficients === "" ? [1, 4] : [2, 3];

export const basisConvolution = {
  BasisConv: {
    signature: calls([2, 5], { ...windowKinds, p: "int", ...basisConvAttributes }),
    operands: ["data", "weight", "weight", "bias", "bias"],
    shapes: basisShapes,
    demands: (node, known) => [[known(0).dims?.[1], readInts(node, "shape", [])[1]]],
    macs,
    reach: slide,
    window: true,
    absorbsAffine: { places: placesOfAffine, read: scaled },
    sums,
    overwritable: true,
  },
} satisfies Family;
