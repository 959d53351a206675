// Activations: functions of one value, with what networks put behind their layers.

import { alongChannels } from "./joining.js";
import { calls, type Family, type Kinds, old } from "./operator.js";
import { ofOne } from "./rules/arithmetic.js";
import { broadcastDemand } from "./rules/demand.js";
import { inPlace } from "./rules/reach.js";
import { likeInput } from "./rules/shapes.js";

const slope = { alpha: "float", beta: "float", gamma: "float", ...old } as const satisfies Kinds;
const unary = { shapes: likeInput, reach: inPlace, channels: "kept" } as const;
const plain = { ...unary, signature: calls(1, old) };
const sloped = { ...unary, signature: calls(1, slope) };
const along = { signature: calls(1, { axis: "int" }), shapes: likeInput };

export const activations = {
  Relu: {
    ...plain,
    value: ofOne(
      (a) => Math.max(a, 0),
      () => null,
    ),
    activation: true,
    exact: "always",
    since: 6,
  },
  LeakyRelu: { ...sloped, activation: true, since: 6 },
  PRelu: {
    ...unary,
    signature: calls(2, old),
    operands: ["data", "slope"],
    channels: "tied",
    demands: broadcastDemand,
    activation: true,
    since: 9,
  },
  Elu: { ...sloped, activation: true, since: 6 },
  Selu: { ...sloped, since: 6 },
  Celu: unary,
  Gelu: { ...unary, signature: calls(1, { approximate: "string" }) },
  Sigmoid: { ...plain, value: ofOne((a) => 1 / (1 + Math.exp(-a))), activation: true, bounded: "always", since: 6 },
  HardSigmoid: { ...sloped, bounded: "always", since: 6 },
  HardSwish: { ...plain, activation: true, since: 14 },
  Swish: unary,
  Mish: plain,
  Softplus: { ...plain, since: 1 },
  Softsign: unary,
  Tanh: { ...plain, value: ofOne(Math.tanh), activation: true, bounded: "always", since: 6 },
  Clip: {
    ...unary,
    signature: calls([1, 3], { max: "float", min: "float", ...old }),
    operands: ["data", "setting", "setting"],
    activation: true,
    exact: "always",
  },
  ThresholdedRelu: unary,
  Shrink: unary,
  Softmax: { ...along, reach: alongChannels(-1), bounded: "always" },
  LogSoftmax: along,
  Hardmax: { shapes: likeInput, stepwise: true },
  // these left the standard, but networks of WinMLTools have them and ONNX Runtime runs them
  ScaledTanh: unary,
  ParametricSoftplus: unary,
} satisfies Family;
