// Activations.
import { readFloat, readInt, readString } from "../../graph/attributes.js";
import { call, type Tensor } from "./aten.js";
import { sameDims } from "./limits.js";
import { type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, fromFront, scalarOf, tensor } from "./values.js";

const unary =
  (apply: (x: Tensor) => Tensor): Lowering =>
  () =>
  (inputs) =>
    apply(first(inputs));

const relu: Lowering = () => (inputs, run) => call(run.inPlace ? "relu_" : "relu", first(inputs));

const leakyRelu: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 0.01);
  return (inputs, run) => call(run.inPlace && alpha > 0 ? "leaky_relu_" : "leaky_relu", first(inputs), alpha);
};

/** PRelu: slope broadcast to x; one slope a channel, [C, 1, ...], is libtorch's own. */
const prelu: Lowering =
  ({ opset }) =>
  (inputs) => {
    const [x, slope] = [first(inputs), tensor(inputs[1])];
    const [dims, own] = [dimsOf(x), dimsOf(slope)];
    if (opset < 7) return call("prelu", x, call("reshape", slope, [-1]));
    const perChannel = own.length === dims.length - 1 && own[0] === dims[1] && own.slice(1).every((n) => n === 1);
    if (dims.length > 1 && (perChannel || sameDims(own, [1]))) return call("prelu", x, call("view", slope, [-1]));
    return call("where.self", call("lt.Scalar", x, 0), call("mul.Tensor", x, slope), x);
  };

const elu: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  return (inputs) => call("elu", first(inputs), alpha);
};

const selu: Lowering = ({ node }) => {
  const [alpha, gamma] = [readFloat(node, "alpha", 1.6732632), readFloat(node, "gamma", 1.0507009)];
  return (inputs) => call("elu", first(inputs), alpha, gamma);
};

const celu: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  return (inputs) => call("celu", first(inputs), alpha);
};

const gelu: Lowering = (context) => {
  const approximate = readString(context.node, "approximate", "none");
  if (approximate !== "none" && approximate !== "tanh")
    throw refuse(context, `the approximation ${approximate} is not known`);
  return (inputs) => call("gelu", first(inputs), { approximate });
};

/** max(0, min(1, alpha x + beta)) */
const hardSigmoid: Lowering = ({ node }) => {
  const [alpha, beta] = [readFloat(node, "alpha", 0.2), readFloat(node, "beta", 0.5)];
  return (inputs) => call("clamp", call("add.Scalar", call("mul.Scalar", first(inputs), alpha), beta), 0, 1);
};

const thresholdedRelu: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  return (inputs) => {
    const x = first(inputs);
    return call("where.ScalarOther", call("gt.Scalar", x, alpha), x, 0);
  };
};

const shrink: Lowering = ({ node }) => {
  const [lambd, bias] = [readFloat(node, "lambd", 0.5), readFloat(node, "bias", 0)];
  return (inputs) => {
    const x = first(inputs);
    const low = call("where.ScalarOther", call("lt.Scalar", x, -lambd), call("add.Scalar", x, bias), 0);
    const y = call("where.self", call("gt.Scalar", x, lambd), call("sub.Scalar", x, bias), low);
    return y.dtype === x.dtype ? y : call("to.dtype", y, x.dtype);
  };
};

/** Clip: bounds from attributes (before 11) or inputs; a bound left out bounds nothing. */
const clip: Lowering = ({ node, opset }) => {
  const [low, high] = [readFloat(node, "min", undefined), readFloat(node, "max", undefined)];
  return (inputs) => {
    const x = first(inputs);
    const least = opset < 11 ? low : scalarOf(inputs[1], undefined);
    const most = opset < 11 ? high : scalarOf(inputs[2], undefined);
    if (least === undefined && most === undefined) return call("alias", x);
    // Where the bounds cross, the upper one wins in ONNX and in libtorch.
    return call("clamp", x, least ?? null, most ?? null);
  };
};

/** Before opset 13 the input is seen as a matrix, cut at the axis, and its rows are normalised. */
function along(context: LoweringContext, apply: (x: Tensor, axis: number) => Tensor): ReturnType<Lowering> {
  const old = context.opset < 13;
  const axis = readInt(context.node, "axis", old ? 1 : -1);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const front = fromFront(axis, dims.length);
    if (!old || front === dims.length - 1) return apply(x, front);
    const rows = dims.slice(0, front).reduce((a, b) => a * b, 1);
    const columns = dims.slice(front).reduce((a, b) => a * b, 1);
    return call("reshape", apply(call("reshape", x, [rows, columns]), 1), dims);
  };
}

const softmax: Lowering = (context) => along(context, (x, axis) => call("softmax.int", x, axis));
const logSoftmax: Lowering = (context) => along(context, (x, axis) => call("log_softmax.int", x, axis));

/** One at the first maximum, zero elsewhere. */
const hardmax: Lowering = (context) =>
  along(context, (x, axis) => call("scatter.value", call("zeros_like", x), axis, call("argmax", x, axis, true), 1));

const swish: Lowering = ({ node }) => {
  const alpha = readFloat(node, "alpha", 1);
  return (inputs) => {
    const x = first(inputs);
    return alpha === 1 ? call("silu", x) : call("mul.Tensor", x, call("sigmoid", call("mul.Scalar", x, alpha)));
  };
};

export const activations = {
  Relu: relu,
  LeakyRelu: leakyRelu,
  PRelu: prelu,
  Elu: elu,
  Selu: selu,
  Celu: celu,
  Gelu: gelu,
  Sigmoid: unary((x) => call("sigmoid", x)),
  HardSigmoid: hardSigmoid,
  HardSwish: unary((x) => call("hardswish", x)),
  Mish: unary((x) => call("mish", x)),
  Softplus: unary((x) => call("softplus", x)),
  Softsign: unary((x) => call("div.Tensor", x, call("add.Scalar", call("abs", x), 1))),
  Tanh: unary((x) => call("tanh", x)),
  Clip: clip,
  ThresholdedRelu: thresholdedRelu,
  Shrink: shrink,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  Hardmax: hardmax,
  Swish: swish,
} satisfies Record<string, Lowering>;
