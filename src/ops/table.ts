// Which shape rule each operator of the standard domain has. Operators that are not here have unknown results.
import { readInt, readTensor } from "../graph/attributes.js";
import { isBasisConv } from "../graph/basis-conv.js";
import type { Node } from "../graph/types.js";
import * as layout from "./joining.js";
import { recurrent } from "./recurrent.js";
import * as picture from "./resize.js";
import { input, type Rule } from "./rules/call.js";
import * as window from "./rules/window.js";
import * as simple from "./simple.js";

const every = (rule: Rule, ...ops: readonly string[]): Record<string, Rule> => Object.fromEntries(ops.map((op) => [op, rule]));

const ofInput: Parameters<typeof window.convolution>[1] = (call) => input(call, 0).type ?? input(call, 1).type;

/** The rule of a node; undefined where nothing is known of its operator. */
export function ruleOf(node: Node): Rule | undefined {
  if (isBasisConv(node)) return window.basisConvolution;
  return node.domain === "" && Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
}

export const rules: Readonly<Record<string, Rule>> = {
  ...every(
    simple.likeInput,
    ...[
      "Relu",
      "LeakyRelu",
      "ThresholdedRelu",
      "Elu",
      "Celu",
      "Selu",
      "Gelu",
      "Sigmoid",
      "HardSigmoid",
      "HardSwish",
      "Swish",
      "Mish",
      "Softplus",
    ],
    ...[
      "Softsign",
      "Tanh",
      "Clip",
      "Softmax",
      "LogSoftmax",
      "Hardmax",
      "Shrink",
      "Abs",
      "Neg",
      "Sqrt",
      "Exp",
      "Log",
      "Ceil",
      "Floor",
      "Round",
      "Sign",
    ],
    ...[
      "Reciprocal",
      "Erf",
      "Sin",
      "Cos",
      "Tan",
      "Asin",
      "Acos",
      "Atan",
      "Sinh",
      "Cosh",
      "Asinh",
      "Acosh",
      "Atanh",
      "Not",
      "BitwiseNot",
      "Identity",
    ],
    ...[
      "InstanceNormalization",
      "GroupNormalization",
      "LRN",
      "LpNormalization",
      "MeanVarianceNormalization",
      "RMSNormalization",
      "CumSum",
      "Trilu",
    ],
    ...["ScatterElements", "Scatter", "ScatterND", "ReverseSequence", "PRelu", "CumProd"],
    // these left the standard, but networks of WinMLTools have them and ONNX Runtime runs them
    ...["ImageScaler", "Affine", "ScaledTanh", "ParametricSoftplus"],
  ),
  ...every(simple.likeInputOf("bool"), "IsNaN", "IsInf"),
  ...every(
    simple.broadcastTo(),
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Min",
    "Max",
    "Sum",
    "Mean",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BitShift",
  ),
  ...every(simple.broadcastTo("bool"), "And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"),
  Pow: (call) => [{ ...simple.broadcastTo()(call)[0], type: input(call, 0).type }],
  ...every(
    simple.reduce,
    ...[
      "ReduceSum",
      "ReduceMean",
      "ReduceMax",
      "ReduceMin",
      "ReduceProd",
      "ReduceL1",
      "ReduceL2",
      "ReduceLogSum",
      "ReduceLogSumExp",
      "ReduceSumSquare",
    ],
  ),
  ...every(simple.argReduce, "ArgMax", "ArgMin"),
  ...every(simple.likeWithType, "EyeLike", "RandomNormalLike", "RandomUniformLike", "Bernoulli"),
  ...every(simple.shapeAttribute, "RandomNormal", "RandomUniform"),
  ...every(window.pool, "MaxPool", "AveragePool", "LpPool"),
  ...every(window.globalPool, "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
  Conv: window.convolution(1, ofInput),
  ConvInteger: window.convolution(1, () => "int32"),
  QLinearConv: window.convolution(3, (call) => input(call, 7).type ?? input(call, 0).type),
  ConvTranspose: window.transposedConvolution,
  MaxUnpool: window.maxUnpool,
  BatchNormalization: simple.batchNormalization,
  LayerNormalization: simple.layerNormalization,
  Dropout: simple.dropout,
  ...every(recurrent, "RNN", "GRU", "LSTM"),
  MatMul: simple.matMul(),
  MatMulInteger: simple.matMul("int32"),
  Gemm: simple.gemm,
  Concat: layout.concat,
  Split: layout.split,
  Slice: layout.slice,
  Gather: simple.gather,
  GatherElements: simple.gatherElements,
  GatherND: simple.gatherND,
  Reshape: layout.reshape,
  Flatten: layout.flatten,
  Transpose: layout.transpose,
  Squeeze: layout.squeeze,
  Unsqueeze: layout.unsqueeze,
  Expand: layout.expand,
  Tile: layout.tile,
  Pad: layout.pad,
  Resize: picture.resize,
  Upsample: picture.resize,
  Crop: picture.crop,
  DepthToSpace: picture.blocks,
  SpaceToDepth: picture.blocks,
  Shape: simple.shape,
  Size: simple.size,
  Constant: ({ node }) => {
    const value = readTensor(node, "value");
    if (value !== undefined) return [{ type: value.type, dims: value.dims }];
    if (node.attributes.has("value_float")) return [{ type: "float32", dims: [] }];
    if (node.attributes.has("value_int")) return [{ type: "int64", dims: [], elements: [readInt(node, "value_int", 0)] }];
    const list = ["value_floats", "value_ints"]
      .map((name) => node.attributes.get(name))
      .find((attribute) => attribute !== undefined);
    if (list?.kind === "ints") return [{ type: "int64", dims: [list.value.length], elements: list.value.map(Number) }];
    return list?.kind === "floats" ? [{ type: "float32", dims: [list.value.length], elements: list.value }] : [];
  },
  ConstantOfShape: simple.constantOfShape,
  Range: simple.range,
  Cast: simple.cast,
  CastLike: simple.castLike,
  Where: simple.where,
  TopK: simple.topK,
  OneHot: simple.oneHot,
  NonZero: simple.nonZero,
  NonMaxSuppression: simple.nonMaxSuppression,
  GridSample: simple.gridSample,
  QuantizeLinear: simple.quantize,
  DequantizeLinear: simple.dequantize,
};
