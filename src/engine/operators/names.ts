// The closed list of ONNX operators (standard domain) that the interpreter runs. The table of lowerings is checked complete against it.

export const operatorNames = [
  // convolutions and matrix products
  "Conv", "ConvTranspose", "MatMul", "Gemm",
  // normalisations
  "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization", "LRN", "LpNormalization", "MeanVarianceNormalization",
  // pools
  "MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool",
  // activations
  "Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign",
  "Tanh", "Clip", "ThresholdedRelu", "Shrink", "Softmax", "LogSoftmax", "Hardmax", "Swish",
  // arithmetic, one input
  "Sqrt", "Exp", "Log", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan",
  "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Not", "IsNaN", "IsInf",
  // arithmetic, two or more inputs
  "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Sum", "Mean", "And", "Or", "Xor",
  "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Where",
  // reductions
  "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
  "ReduceSumSquare", "ArgMax", "ArgMin", "CumSum", "TopK",
  // shape and movement
  "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Reshape", "Flatten", "Transpose",
  "Squeeze", "Unsqueeze", "Expand", "Tile", "Pad", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "Trilu",
  // constants, shapes and types
  "Shape", "Size", "Constant", "ConstantOfShape", "Range", "Cast", "CastLike", "Identity", "Dropout", "EyeLike", "OneHot", "NonZero",
] as const; // biome-ignore format: families

export type OperatorName = (typeof operatorNames)[number];
