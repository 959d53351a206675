// The shapes of calls of ONNX's standard operators, as far as they concern CNNs: how many operands, which types of attributes.
// Wide enough for every opset from 1 on: what some version allows is allowed (what was an attribute became an input, and so on).
import { basisConvAttributes } from "../graph/basis-conv.js";
import type { Attribute } from "../graph/types.js";

export interface Signature {
  /** Least and most operands. */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
  /** Types of attributes; others are not judged. */
  readonly attributes: Readonly<Record<string, Attribute["kind"]>>;
}

type Kinds = Signature["attributes"];

const any = Number.POSITIVE_INFINITY;
const op = (
  inputs: number | readonly [number, number],
  attributes: Kinds = {},
  outputs: number | readonly [number, number] = 1,
) => ({ inputs: range(inputs), outputs: range(outputs), attributes }) satisfies Signature;
const range = (count: number | readonly [number, number]): readonly [number, number] =>
  typeof count === "number" ? [count, count] : count;

const window = {
  auto_pad: "string",
  ceil_mode: "int",
  count_include_pad: "int",
  dilations: "ints",
  group: "int",
  kernel_shape: "ints",
  output_padding: "ints",
  output_shape: "ints",
  p: "int",
  pads: "ints",
  storage_order: "int",
  strides: "ints",
} satisfies Kinds;
const normal = {
  axis: "int",
  epsilon: "float",
  momentum: "float",
  num_groups: "int",
  spatial: "int",
  stash_type: "int",
} satisfies Kinds;
const training = { is_test: "int", training_mode: "int", consumed_inputs: "ints" } satisfies Kinds;
const old = { consumed_inputs: "ints" } satisfies Kinds;
const broadcast = { axis: "int", broadcast: "int", ...old } satisfies Kinds;
const reduce = op([1, 2], { axes: "ints", keepdims: "int", noop_with_empty_axes: "int" });
const unary = op(1, old);
const binary = op(2, broadcast);
const variadic = op([1, any], old);
const slope = op(1, { alpha: "float", beta: "float", gamma: "float", ...old });
const axis = op(1, { axis: "int" });
const axes = op([1, 2], { axes: "ints" });
const globalPool = op(1, { p: "int" });
const resize = {
  antialias: "int",
  axes: "ints",
  coordinate_transformation_mode: "string",
  cubic_coeff_a: "float",
  exclude_outside: "int",
  extrapolation_value: "float",
  height_scale: "float",
  keep_aspect_ratio_policy: "string",
  mode: "string",
  nearest_mode: "string",
  scales: "floats",
  width_scale: "float",
} satisfies Kinds;

export const signatures = {
  Conv: op([2, 3], window),
  ConvTranspose: op([2, 3], window),
  BatchNormalization: op(5, { ...normal, ...training }, [1, 5]),
  InstanceNormalization: op(3, { ...normal, ...old }),
  GroupNormalization: op(3, normal),
  LayerNormalization: op([2, 3], normal, [1, 3]),
  LRN: op(1, { alpha: "float", beta: "float", bias: "float", size: "int" }),
  MaxPool: op(1, window, [1, 2]),
  AveragePool: op(1, window),
  LpPool: op(1, { ...window, p: "int" }),
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: op(1),
  Relu: unary,
  LeakyRelu: slope,
  PRelu: op(2, old),
  Elu: slope,
  Selu: slope,
  Gelu: op(1, { approximate: "string" }),
  Sigmoid: unary,
  HardSigmoid: slope,
  HardSwish: unary,
  Mish: unary,
  Softplus: unary,
  Tanh: unary,
  Clip: op([1, 3], { max: "float", min: "float", ...old }),
  Softmax: axis,
  LogSoftmax: axis,
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Pow: binary,
  And: binary,
  Or: binary,
  Xor: binary,
  Equal: binary,
  Greater: binary,
  Less: binary,
  GreaterOrEqual: binary,
  LessOrEqual: binary,
  Not: unary,
  Sqrt: unary,
  Exp: unary,
  Log: unary,
  Abs: unary,
  Neg: unary,
  Min: variadic,
  Max: variadic,
  Sum: variadic,
  Mean: variadic,
  ReduceL1: reduce,
  ReduceL2: reduce,
  ReduceLogSum: reduce,
  ReduceLogSumExp: reduce,
  ReduceMax: reduce,
  ReduceMean: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  ReduceSum: reduce,
  ReduceSumSquare: reduce,
  MatMul: op(2),
  Gemm: op([2, 3], { alpha: "float", beta: "float", broadcast: "int", transA: "int", transB: "int" }),
  Concat: op([1, any], { axis: "int" }),
  Split: op([1, 2], { axis: "int", num_outputs: "int", split: "ints" }, [1, any]),
  Slice: op([1, 5], { axes: "ints", ends: "ints", starts: "ints" }),
  Gather: op(2, { axis: "int" }),
  Reshape: op([1, 2], { allowzero: "int", shape: "ints", ...old }),
  Flatten: axis,
  Transpose: op(1, { perm: "ints" }),
  Squeeze: axes,
  Unsqueeze: axes,
  Expand: op(2),
  Tile: op([2, 3]),
  Pad: op([1, 4], { mode: "string", paddings: "ints", pads: "ints", value: "float" }),
  Resize: op([1, 4], resize),
  Upsample: op([1, 2], resize),
  DepthToSpace: op(1, { blocksize: "int", mode: "string" }),
  SpaceToDepth: op(1, { blocksize: "int" }),
  Shape: op(1, { end: "int", start: "int" }),
  Constant: op(0, {
    sparse_value: "other",
    value: "tensor",
    value_float: "float",
    value_floats: "floats",
    value_int: "int",
    value_ints: "ints",
    value_string: "string",
    value_strings: "strings",
  }),
  ConstantOfShape: op(1, { value: "tensor" }),
  Range: op(3),
  // Before opset 6 the type was text.
  Cast: op(1, { saturate: "int" }),
  Where: op(3),
  Identity: op(1),
  Dropout: op([1, 3], { is_test: "int", ratio: "float", seed: "int", ...old }, [1, 2]),
  If: op(1, { else_branch: "graph", then_branch: "graph" }, [1, any]),
  Loop: op([0, any], { body: "graph" }, [1, any]),
  // Before opset 9 its first input could be left out.
  Scan: op([0, any], { body: "graph", directions: "ints", num_scan_inputs: "int" }, [1, any]),
} satisfies Record<string, Signature>;

/** X, B, then A, bias and basis bias, each of which may be left out. */
export const basisConvSignature = op([2, 5], { ...window, ...basisConvAttributes });
