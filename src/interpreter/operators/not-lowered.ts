// Operators that are known and not run by the interpreter, each with the reason.

const quantised = "it computes with integers that stand for floats, which have no gradient";
const random = "its draws could not be those of ONNX Runtime";
const body = "it runs a graph of its own";
const old = "it left the standard";
const bits = "it computes with bits, which have no gradient";
const recurrent = "networks with recurrent layers are not run";
const unused = "no lowering has been written: no network of convolutions that was met needs it";

export const notLowered = {
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
  DynamicQuantizeLinear: quantised,
  ConvInteger: quantised,
  QLinearConv: quantised,
  MatMulInteger: quantised,
  QLinearMatMul: quantised,
  If: body,
  Loop: body,
  Scan: body,
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: random,
  RandomUniformLike: random,
  Bernoulli: random,
  Multinomial: random,
  BitShift: bits,
  BitwiseAnd: bits,
  BitwiseNot: bits,
  BitwiseOr: bits,
  BitwiseXor: bits,
  Affine: old,
  Crop: old,
  ImageScaler: old,
  ParametricSoftplus: old,
  ScaledTanh: old,
  Scatter: "it left the standard: ScatterElements does the same",
  CumProd: unused,
  DeformConv: unused,
  GridSample: unused,
  MaxRoiPool: unused,
  MaxUnpool: unused,
  NonMaxSuppression: unused,
  RMSNormalization: unused,
  ReverseSequence: unused,
  Unique: unused,
} satisfies Readonly<Record<string, string>>;
