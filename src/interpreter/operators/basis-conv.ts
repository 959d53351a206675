// BasisConv on libtorch: three ways to compute the same, of which the shape tells the fastest.
import { elements, int, ints, makeNode } from "../../graph/attributes.js";
import { type BasisConv, readBasisConv } from "../../graph/basis-conv.js";
import { call, type Tensor } from "./aten.js";
import { convolutions } from "./convolution.js";
import { type Kernel, type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, tensor } from "./values.js";

/**
 * batch-folded: the splits become batch; grouped: one convolution of s groups; dense: the filters rebuilt, then the
 * original convolution.
 */
export const ways = ["batch-folded", "grouped", "dense"] as const;
export type Way = (typeof ways)[number];

export const basisConv: Lowering = (context) => {
  const data = readBasisConv(context.node);
  if (data === undefined) throw refuse(context, "its attributes do not say what it computes");
  return kernelOf(context, data, fastestWay(data));
};

/**
 * Libtorch computes channels in blocks of 8 to 16, so that a few cost as much as a block. Measured on one thread of an
 * AMD EPYC with libtorch 1.13: process CPU time, lower quartile of 8 rounds in turns, forward + backward in
 * milliseconds, kernels 3 x 3. Forward alone keeps the order.
 *
 *   N  c, n  side   s   m   folded  grouped  dense      N  c, n  side   s   m   folded  grouped  dense
 *    4  128    48   4  32     36.1     36.4   80.9       8   32    32   2   8      4.6      3.4    6.3
 *    4  128    48   1  32     27.3             81.3      16   64    16  64   4     26.4     16.6   10.0
 *   64   64     8   8   8      5.7      4.7    9.7      16   32    16  32   4     11.9      7.1    3.0
 *   32  512     4   8  32     10.0     10.4   91.0      64   16    32   1  12     18.6             14.5
 *
 * Rebuilt filters sum in another order, so that a training goes another way by rounding: they are left to splits of
 * very few channels, where they gain most. (With 16 channels and one split they would gain a fifth.)
 */
export function fastestWay({
  splits: s,
  basisSize: m,
  outChannels: n,
  inChannels: c,
  kernel,
  coefficients,
}: BasisConv): Way {
  const area = elements(kernel);
  const blocks = (channels: number, size: number): number => size * Math.ceil(channels / size);
  const apart = s === 1 || m >= 16;
  const over = (apart ? s * blocks(m, 16) : blocks(s * m, 16)) * blocks(c / s, 8) * area + n * blocks(s * m, 16);
  const few = s > 1 && c / s < 4;
  if (coefficients !== "" && few && over > 0.9 * blocks(n, 16) * c * area) return "dense";
  return apart ? "batch-folded" : "grouped";
}

/** The kernel that computes a layer in one way. */
export function kernelOf(context: LoweringContext, data: BasisConv, way: Way): Kernel {
  const { splits: s, coefficients, kernel } = data;
  const conv = convolution(context, data, way === "grouped" ? s : 1);
  if (way === "dense") return dense(data, conv);
  const over = way === "grouped" && s > 1 ? grouped(data, conv) : folded(data, conv);
  if (coefficients === "") return over;
  const none = kernel.map(() => 0);
  const ones = kernel.map(() => 1);
  return (inputs, run) => {
    const middle = over(inputs, run) as Tensor;
    const bias = inputs[3] === undefined ? null : tensor(inputs[3]);
    const y = call("convolution", middle, tensor(inputs[2]), bias, ones, none, ones, false, none, 1);
    middle.dispose();
    return y;
  };
}

/** The window's convolution: x, weight, bias. */
function convolution(context: LoweringContext, { attributes, kernel }: BasisConv, groups: number): Kernel {
  const all = { ...Object.fromEntries(attributes), group: int(groups), kernel_shape: ints(kernel) };
  const node = makeNode("Conv", ["x", "w", "b"], ["y"], all, { name: context.node.name });
  return convolutions.Conv({ ...context, node, constants: [], dims: [] });
}

/** B [m, p, k...], of a wider one the slice. */
function basisOf({ slice }: BasisConv, inputs: Parameters<Kernel>[0]): Tensor {
  const stored = tensor(inputs[1]);
  return slice === null ? stored : call("slice.Tensor", stored, 1, slice[0], slice[1], 1);
}

/** [N, c, ...] -> [N s, p, ...] -> [N s, m, ...] -> [N, s m, ...] */
function folded(data: BasisConv, conv: Kernel): Kernel {
  const { splits: s, basisSize: m, inChannels: c } = data;
  return (inputs, run) => {
    const x = first(inputs);
    const basis = basisOf(data, inputs);
    if (s === 1) return conv([x, basis, inputs[4]], run);
    const [batch = 0, , ...space] = dimsOf(x);
    const pieces = call("reshape", x, [batch * s, c / s, ...space]);
    const made = conv([pieces, basis, inputs[4]], run) as Tensor;
    const y = call("reshape", made, [batch, s * m, ...dimsOf(made).slice(2)]);
    pieces.dispose();
    made.dispose();
    return y;
  };
}

/** The basis s times as the weight [s m, p, ...] of a convolution of s groups. */
function grouped(data: BasisConv, conv: Kernel): Kernel {
  const { splits: s, kernel } = data;
  return (inputs, run) => {
    const weight = call("repeat", basisOf(data, inputs), [s, 1, ...kernel.map(() => 1)]);
    const bias = inputs[4] === undefined ? undefined : call("repeat", tensor(inputs[4]), [s]);
    const y = conv([first(inputs), weight, bias], run);
    weight.dispose();
    bias?.dispose();
    return y;
  };
}

/** W [n, c, k...] = A [n s, m] B [m, p k], and the bias b + sum_g A[:, g] b_basis. */
function dense(data: BasisConv, conv: Kernel): Kernel {
  const { splits: s, basisSize: m, outChannels: n, inChannels: c, kernel } = data;
  return (inputs, run) => {
    const coefficients = tensor(inputs[2]);
    const rows = call("reshape", coefficients, [n * s, m]);
    const columns = call("reshape", basisOf(data, inputs), [m, -1]);
    const weight = call("reshape", call("mm", rows, columns), [n, c, ...kernel]);
    let bias = inputs[3] === undefined ? undefined : tensor(inputs[3]);
    if (inputs[4] !== undefined) {
      const shift = call("mv", call("reshape", coefficients, [n, s * m]), call("repeat", tensor(inputs[4]), [s]));
      bias = bias === undefined ? shift : call("add.Tensor", bias, shift);
    }
    const y = conv([first(inputs), weight, bias], run);
    weight.dispose();
    return y;
  };
}
