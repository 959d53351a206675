// For every operator of the interpreter: small graphs on which its gradient is checked, or why it has none.

import { float, floats, int, ints, makeNode, string } from "../src/graph/attributes.js";
import type { Attribute, Graph, TensorData } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import type { LoweredName } from "../src/interpreter/operators/table.js";

type Dims = readonly number[];

/** One input: a float64 tensor of random numbers (`dims`, from `low` to `high`), a constant, or left out. */
export type Input =
  | { readonly dims: Dims; readonly low: number; readonly high: number }
  | { readonly constant: TensorData }
  | undefined;

export interface GradientCase {
  readonly inputs: readonly Input[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: number;
  readonly opset?: number;
  readonly training?: boolean;
  readonly domain?: string;
}

/** The graph of one operator: inputs x0, x1, ..., of which constants are initializers; outputs y0, ... */
export function graphOf(op: string, { inputs, attributes, outputs = 1, opset = 17, domain = "" }: GradientCase): Graph {
  const names = inputs.map((input, i) => (input === undefined ? "" : `x${i}`));
  const initializers = new Map<string, TensorData>();
  inputs.forEach((input, i) => {
    if (input !== undefined && "constant" in input) initializers.set(`x${i}`, input.constant);
  });
  const outs = Array.from({ length: outputs }, (_, i) => `y${i}`);
  return {
    name: op,
    nodes: [makeNode(op, names, outs, attributes, { domain })],
    initializers,
    inputs: inputs.flatMap((input, i) =>
      input !== undefined && "dims" in input
        ? [{ name: `x${i}`, tensor: { type: "float64" as const, dims: input.dims } }]
        : [],
    ),
    outputs: outs.map((name) => ({ name })),
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const x = (...dims: number[]): Input => ({ dims, low: -1.5, high: 1.5 });
const positive = (...dims: number[]): Input => ({ dims, low: 0.3, high: 2 });
const within = (low: number, high: number, ...dims: number[]): Input => ({ dims, low, high });
const whole = (...values: number[]): Input => ({ constant: tensorOf("int64", [values.length], values) });
const wholes = (dims: Dims, values: readonly number[]): Input => ({ constant: tensorOf("int64", dims, values) });
const one = (value: number): Input => ({ constant: tensorOf("int64", [], [value]) });
const real = (...values: number[]): Input => ({ constant: tensorOf("float32", [values.length], values) });
const number = (value: number): Input => ({ constant: tensorOf("float64", [], [value]) });
const fixed = (dims: Dims, values: readonly number[]): Input => ({ constant: tensorOf("float64", dims, values) });
const bools = (dims: Dims, values: readonly number[]): Input => ({ constant: tensorOf("bool", dims, values) });

const just = (...inputs: Input[]): GradientCase[] => [{ inputs }];
const reduced = (input: Input): GradientCase[] => [
  { inputs: [input], attributes: { axes: ints([0, 2]), keepdims: int(0) }, opset: 13 },
  { inputs: [input, whole(1)], opset: 18 },
  { inputs: [input], opset: 18 },
];
const pooled = (extra: Readonly<Record<string, Attribute>> = {}): GradientCase[] => [
  {
    inputs: [x(1, 2, 5, 6)],
    attributes: { kernel_shape: ints([2, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), ...extra },
  },
  {
    inputs: [x(1, 2, 7)],
    attributes: { kernel_shape: ints([3]), pads: ints([0, 2]), ceil_mode: int(1), strides: ints([2]), ...extra },
  },
  { inputs: [x(1, 1, 4, 4, 4)], attributes: { kernel_shape: ints([2, 2, 2]), ...extra } },
  {
    inputs: [x(1, 2, 6, 6)],
    attributes: { kernel_shape: ints([2, 2]), dilations: ints([2, 2]), auto_pad: string("SAME_UPPER"), ...extra },
  },
];
const resized = (mode: string, coordinates: string, extra: Readonly<Record<string, Attribute>> = {}): GradientCase => ({
  inputs: [x(1, 2, 4, 5), undefined, real(1, 1, 1.5, 0.8)],
  attributes: { mode: string(mode), coordinate_transformation_mode: string(coordinates), ...extra },
  opset: 18,
});

/** A convolution over a basis: shape [n, c, ...], splits, basis filters. */
const overBasis = (
  shape: number[],
  splits: number,
  size: number,
  inputs: Input[],
  extra: Readonly<Record<string, Attribute>> = {},
) => ({
  inputs,
  domain: "filterbasis",
  attributes: {
    ...{ shape: ints(shape), splits: int(splits), basis_size: int(size), layout: string("batch-folded"), ...extra },
  },
});
const same = { pads: ints([1, 1, 1, 1]) };

/**
 * Each way in which the interpreter computes it, with and without biases, coefficients and a slice of a wider basis.
 */
export const basisConvCases: readonly GradientCase[] = [
  overBasis([3, 4, 3, 3], 2, 2, [x(2, 4, 4, 3), x(2, 2, 3, 3), x(3, 4, 1, 1), x(3), x(2)], {
    strides: ints([2, 1]),
    ...same,
  }),
  overBasis([3, 4, 3], 2, 2, [x(1, 4, 5), x(2, 3, 3), x(3, 4, 1)], {
    slice: ints([1, 3]),
    auto_pad: string("SAME_LOWER"),
  }),
  overBasis([40, 8, 3, 3], 1, 2, [x(1, 8, 2, 3), x(2, 8, 3, 3), x(40, 2, 1, 1), x(40), x(2)], same),
  overBasis([40, 16, 3, 3], 2, 2, [x(1, 16, 2, 2), x(2, 8, 3, 3), x(40, 4, 1, 1), x(40), x(2)], same),
  overBasis([4, 4, 3, 3], 2, 2, [x(1, 4, 4, 4), x(2, 2, 3, 3), undefined, undefined, x(2)]),
  overBasis([4, 2, 3], 2, 16, [x(2, 2, 4), x(16, 2, 3)], {
    slice: ints([1, 2]),
    dilations: ints([2]),
    pads: ints([1, 1]),
  }),
];

const whyWhole = "its result is whole numbers or booleans";
const whyFlat = "it is constant between its jumps";

export const gradientCases = {
  Conv: [
    { inputs: [x(2, 3, 5, 6), x(4, 3, 3, 3), x(4)], attributes: { pads: ints([1, 1, 1, 1]) } },
    {
      inputs: [x(1, 4, 6, 5), x(4, 2, 3, 2)],
      attributes: { group: int(2), pads: ints([0, 1, 2, 0]), strides: ints([2, 1]) },
    },
    { inputs: [x(1, 2, 9), x(3, 2, 3)], attributes: { dilations: ints([2]), auto_pad: string("SAME_LOWER") } },
    { inputs: [x(1, 1, 4, 4, 4), x(2, 1, 2, 2, 2), x(2)], attributes: { strides: ints([2, 2, 2]) } },
  ],
  ConvTranspose: [
    {
      inputs: [x(1, 3, 3, 4), x(3, 2, 3, 3), x(2)],
      attributes: { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), output_padding: ints([1, 1]) },
    },
    { inputs: [x(1, 2, 4), x(2, 1, 3)], attributes: { group: int(2), strides: ints([2]), output_shape: ints([8]) } },
    { inputs: [x(1, 2, 3, 3), x(2, 2, 2, 2), x(2)], attributes: { pads: ints([0, 1, 1, 0]), dilations: ints([2, 2]) } },
    { inputs: [x(1, 1, 3), x(1, 2, 2), x(2)], attributes: { output_padding: ints([2]), strides: ints([2]) } },
  ],
  MatMul: just(x(2, 3, 4), x(4, 5)),
  Gemm: [
    { inputs: [x(3, 4), x(4, 5), x(5)], attributes: { alpha: float(0.5), beta: float(2) } },
    { inputs: [x(4, 3), x(5, 4)], attributes: { transA: int(1), transB: int(1) } },
  ],
  BatchNormalization: [
    { inputs: [x(3, 2, 4), x(2), x(2), x(2), positive(2)] },
    { inputs: [x(3, 2, 2, 2), x(2), x(2), fixed([2], [0.1, -0.2]), fixed([2], [1, 2])], training: true },
    {
      inputs: [x(3, 2, 2), x(2), x(2), fixed([2], [0, 0]), fixed([2], [1, 1])],
      attributes: { training_mode: int(1) },
      outputs: 3,
    },
  ],
  InstanceNormalization: just(x(2, 3, 4, 4), x(3), x(3)),
  GroupNormalization: [
    { inputs: [x(2, 4, 3), x(2), x(2)], attributes: { num_groups: int(2) }, opset: 18 },
    { inputs: [x(2, 4, 3), x(4), x(4)], attributes: { num_groups: int(2) }, opset: 21 },
  ],
  LayerNormalization: [
    { inputs: [x(2, 3, 4), x(4), x(4)] },
    { inputs: [x(2, 3, 4), x(3, 4)], attributes: { axis: int(1) } },
    { inputs: [x(2, 3, 4), x(1, 4), x(4)], attributes: { axis: int(-2) } },
  ],
  LRN: [{ inputs: [x(1, 5, 2, 2)], attributes: { size: int(3), alpha: float(0.5), beta: float(0.6) } }],
  LpNormalization: [{ inputs: [x(2, 4)] }, { inputs: [x(2, 4)], attributes: { p: int(1), axis: int(0) } }],
  MeanVarianceNormalization: just(x(2, 3, 2, 2)),
  MaxPool: pooled(),
  AveragePool: [...pooled(), ...pooled({ count_include_pad: int(1) })],
  LpPool: pooled(),
  GlobalMaxPool: just(x(2, 3, 3, 4)),
  GlobalAveragePool: just(x(2, 3, 3, 4)),
  GlobalLpPool: just(x(2, 3, 3)),
  Relu: just(x(3, 4)),
  LeakyRelu: [{ inputs: [x(3, 4)], attributes: { alpha: float(0.2) } }],
  PRelu: [{ inputs: [x(2, 3, 4), x(3, 1)] }, { inputs: [x(2, 3, 4), x(4)] }, { inputs: [x(2, 3), x(1)] }],
  Elu: [{ inputs: [x(3, 4)], attributes: { alpha: float(0.7) } }],
  Selu: just(x(3, 4)),
  Celu: [{ inputs: [x(3, 4)], attributes: { alpha: float(0.7) } }],
  Gelu: [{ inputs: [x(3, 4)] }, { inputs: [x(3, 4)], attributes: { approximate: string("tanh") } }],
  Sigmoid: just(x(3, 4)),
  HardSigmoid: [{ inputs: [x(3, 4)], attributes: { alpha: float(0.5) } }],
  HardSwish: just(within(-5, 5, 4, 5)),
  Mish: just(x(3, 4)),
  Softplus: just(x(3, 4)),
  Softsign: just(x(3, 4)),
  Tanh: just(x(3, 4)),
  Clip: [
    { inputs: [x(3, 4), number(-0.5), number(0.8)] },
    { inputs: [x(3, 4)], attributes: { min: float(-0.4) }, opset: 9 },
  ],
  ThresholdedRelu: [{ inputs: [x(3, 4)], attributes: { alpha: float(0.3) } }],
  Shrink: [{ inputs: [x(3, 4)], attributes: { lambd: float(0.4), bias: float(0.2) } }],
  Softmax: [
    { inputs: [x(2, 3, 4)], attributes: { axis: int(1) } },
    { inputs: [x(2, 3, 4)], attributes: { axis: int(1) }, opset: 11 },
  ],
  LogSoftmax: just(x(2, 3, 4)),
  Hardmax: whyFlat,
  Swish: [{ inputs: [x(3, 4)] }, { inputs: [x(3, 4)], attributes: { alpha: float(1.5) } }],
  Sqrt: just(positive(3, 4)),
  Exp: just(x(3, 4)),
  Log: just(positive(3, 4)),
  Abs: just(x(3, 4)),
  Neg: just(x(3, 4)),
  Sign: whyFlat,
  Floor: whyFlat,
  Ceil: whyFlat,
  Round: whyFlat,
  Reciprocal: just(positive(3, 4)),
  Erf: just(x(3, 4)),
  Sin: just(x(3, 4)),
  Cos: just(x(3, 4)),
  Tan: just(within(-1, 1, 3, 4)),
  Asin: just(within(-0.8, 0.8, 3, 4)),
  Acos: just(within(-0.8, 0.8, 3, 4)),
  Atan: just(x(3, 4)),
  Sinh: just(x(3, 4)),
  Cosh: just(x(3, 4)),
  Asinh: just(x(3, 4)),
  Acosh: just(within(1.2, 3, 3, 4)),
  Atanh: just(within(-0.8, 0.8, 3, 4)),
  Not: whyWhole,
  IsNaN: whyWhole,
  IsInf: whyWhole,
  Add: just(x(2, 3, 4), x(3, 1)),
  Sub: just(x(2, 3, 4), x(4)),
  Mul: just(x(2, 3, 4), x(2, 1, 4)),
  Div: just(x(2, 3, 4), positive(3, 4)),
  Pow: just(positive(3, 4), x(4)),
  Mod: [{ inputs: [within(0.1, 1.9, 3, 4), fixed([1], [2])], attributes: { fmod: int(1) } }],
  Min: just(x(3, 4), x(4), x(3, 1)),
  Max: just(x(3, 4), x(4), x(3, 1)),
  Sum: just(x(3, 4), x(4), x(3, 1)),
  Mean: just(x(3, 4), x(4), x(3, 1)),
  And: whyWhole,
  Or: whyWhole,
  Xor: whyWhole,
  Equal: whyWhole,
  Less: whyWhole,
  LessOrEqual: whyWhole,
  Greater: whyWhole,
  GreaterOrEqual: whyWhole,
  Where: just(bools([3, 1], [1, 0, 1]), x(3, 4), x(4)),
  ReduceSum: [
    { inputs: [x(2, 3, 4), whole(0, 2)], attributes: { keepdims: int(0) }, opset: 13 },
    { inputs: [x(2, 3)], opset: 11 },
  ],
  ReduceMean: reduced(x(2, 3, 4)),
  ReduceMax: reduced(x(2, 3, 4)),
  ReduceMin: reduced(x(2, 3, 4)),
  ReduceProd: reduced(x(2, 3, 4)),
  ReduceL1: reduced(x(2, 3, 4)),
  ReduceL2: reduced(x(2, 3, 4)),
  ReduceLogSum: reduced(positive(2, 3, 4)),
  ReduceLogSumExp: reduced(x(2, 3, 4)),
  ReduceSumSquare: reduced(x(2, 3, 4)),
  ArgMax: whyWhole,
  ArgMin: whyWhole,
  CumSum: [
    { inputs: [x(3, 4), one(1)] },
    { inputs: [x(3, 4), one(0)], attributes: { exclusive: int(1), reverse: int(1) } },
  ],
  TopK: [
    { inputs: [x(3, 5), whole(2)], outputs: 2 },
    { inputs: [x(3, 5), whole(3)], attributes: { largest: int(0), axis: int(0) }, outputs: 2 },
  ],
  Concat: [{ inputs: [x(2, 3), x(2, 1), x(2, 2)], attributes: { axis: int(-1) } }],
  Split: [
    { inputs: [x(5, 3), whole(2, 3)], outputs: 2 },
    { inputs: [x(2, 7)], attributes: { axis: int(1), num_outputs: int(3) }, outputs: 3, opset: 18 },
  ],
  Slice: [
    { inputs: [x(4, 5), whole(1, -1), whole(4, -4), whole(0, 1), whole(2, -1)] },
    { inputs: [x(4, 5)], attributes: { starts: ints([1]), ends: ints([1000]), axes: ints([1]) }, opset: 9 },
  ],
  Gather: [
    { inputs: [x(4, 3), wholes([2, 2], [0, -1, 2, 2])] },
    { inputs: [x(2, 5), one(3)], attributes: { axis: int(1) } },
  ],
  GatherElements: [{ inputs: [x(3, 3), wholes([2, 3], [0, 1, 2, 2, -1, 0])] }],
  GatherND: [
    { inputs: [x(3, 4, 2), wholes([2, 2], [0, 1, 2, 3])] },
    { inputs: [x(2, 4, 2), wholes([2, 1], [1, 3])], attributes: { batch_dims: int(1) } },
  ],
  ScatterElements: [
    { inputs: [x(3, 3), wholes([1, 3], [0, 2, 1]), x(1, 3)] },
    { inputs: [x(3, 3), wholes([2, 3], [0, 2, 1, 0, 0, 1]), x(2, 3)], attributes: { reduction: string("add") } },
  ],
  ScatterND: [
    { inputs: [x(4, 2), wholes([2, 1], [1, 3]), x(2, 2)] },
    { inputs: [x(4, 2), wholes([2, 1], [1, 1]), x(2, 2)], attributes: { reduction: string("add") } },
  ],
  Reshape: just(x(2, 6), whole(0, 3, -1)),
  Flatten: [{ inputs: [x(2, 3, 4)], attributes: { axis: int(2) } }],
  Transpose: [{ inputs: [x(2, 3, 4)], attributes: { perm: ints([2, 0, 1]) } }],
  Squeeze: just(x(2, 1, 3, 1), whole(1)),
  Unsqueeze: just(x(2, 3), whole(0, -1)),
  Expand: just(x(3, 1), whole(2, 1, 4)),
  Tile: just(x(2, 3), whole(2, 2)),
  Pad: [
    ...["constant", "reflect", "edge"].map((mode) => ({
      inputs: [x(1, 2, 3, 4), whole(0, 0, 1, 2, 0, 0, 2, 1)],
      attributes: { mode: string(mode) },
    })),
    { inputs: [x(3, 4), whole(1, -1, 2, 3)], attributes: { mode: string("wrap") }, opset: 19 },
    { inputs: [x(2, 3), whole(4, 1, 3, 2)], attributes: { mode: string("reflect") } },
  ],
  Resize: [
    resized("linear", "half_pixel"),
    resized("linear", "align_corners"),
    resized("linear", "asymmetric"),
    resized("cubic", "half_pixel"),
    resized("cubic", "pytorch_half_pixel", { cubic_coeff_a: float(-0.5), exclude_outside: int(1) }),
    resized("nearest", "asymmetric", { nearest_mode: string("floor") }),
    resized("linear", "half_pixel", { antialias: int(1) }),
    resized("cubic", "half_pixel", { antialias: int(1) }),
    {
      inputs: [x(1, 1, 3, 3), undefined, real(1, 1, 2, 2)],
      attributes: {
        mode: string("nearest"),
        coordinate_transformation_mode: string("asymmetric"),
        nearest_mode: string("floor"),
      },
    },
  ],
  Upsample: [
    { inputs: [x(1, 2, 3, 3)], attributes: { scales: floats([1, 1, 2, 2]), mode: string("linear") }, opset: 7 },
  ],
  DepthToSpace: [
    { inputs: [x(1, 8, 2, 3)], attributes: { blocksize: int(2) } },
    { inputs: [x(1, 8, 2, 3)], attributes: { blocksize: int(2), mode: string("CRD") } },
  ],
  SpaceToDepth: [{ inputs: [x(1, 2, 4, 6)], attributes: { blocksize: int(2) } }],
  Trilu: [{ inputs: [x(3, 4)] }, { inputs: [x(4, 3), one(-1)], attributes: { upper: int(0) } }],
  Shape: whyWhole,
  Size: whyWhole,
  Constant: "it has no input",
  ConstantOfShape: "its input is a shape",
  Range: "its inputs are made of whole steps",
  Cast: [{ inputs: [x(3, 4)], attributes: { to: int(11) } }],
  CastLike: just(x(3, 4), number(1)),
  Identity: just(x(3, 4)),
  Dropout: just(x(3, 4)),
  EyeLike: "its input is a shape",
  OneHot: just(wholes([3], [0, 2, 1]), one(3), x(2)),
  NonZero: whyWhole,
  QuantizeLinear: whyWhole,
  DequantizeLinear: "its input is whole",
} satisfies Record<LoweredName, readonly GradientCase[] | string>;
