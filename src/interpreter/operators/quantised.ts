// Rounding to integers that stand for floats, and back: a network with such pairs computes here in floats what a
// runtime computes in integers, but for values that lie half-way between two steps.
import { readInt } from "../../graph/attributes.js";
import { dataTypes } from "../../graph/types.js";
import type { DType } from "../../torch/tensor.js";
import { call, type Tensor } from "./aten.js";
import { type Lowering, type LoweringContext, refuse } from "./lowering.js";
import { dimsOf, first, tensor } from "./values.js";

const limits: Readonly<Record<string, readonly [low: number, high: number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** Scale or zero point beside x: a number, or one for each index of the axis. */
function along(x: Tensor, parameter: Tensor, axis: number): Tensor {
  const [dims, own] = [dimsOf(x), dimsOf(parameter)];
  if (own.length === 0 || (own.length === 1 && own[0] === 1)) return call("reshape", parameter, []);
  const at = axis < 0 ? axis + dims.length : axis;
  return call(
    "view",
    parameter,
    dims.map((_, i) => (i === at ? -1 : 1)),
  );
}

function checkBlocks(context: LoweringContext): number {
  if (readInt(context.node, "block_size", 0) !== 0) throw refuse(context, "steps of blocks are not supported");
  return readInt(context.node, "axis", 1);
}

/**
 * The nearest integers, with the gradient of what was rounded (Bengio, Leonard and Courville, Estimating or Propagating
 * Gradients Through Stochastic Neurons, 2013).
 */
const roundedThrough = (x: Tensor): Tensor =>
  call("add.Tensor", x, call("detach", call("sub.Tensor", call("round", x), x)));

const quantizeLinear: Lowering = (context) => {
  const axis = checkBlocks(context);
  const stated = dataTypes[readInt(context.node, "output_dtype", 0) - 1] as DType | undefined;
  return (inputs, { training }) => {
    const learns = context.straightThrough && training;
    const x = first(inputs);
    const zero = inputs[2] === undefined ? undefined : tensor(inputs[2]);
    const type = zero?.dtype ?? stated ?? "uint8";
    const range = limits[type];
    if (range === undefined) throw refuse(context, `rounding to ${type} is not supported`);
    const exact = call("div.Tensor", x, along(x, tensor(inputs[1]), axis));
    const steps = learns ? roundedThrough(exact) : call("round", exact);
    const moved =
      zero === undefined ? steps : call("add.Tensor", steps, call("to.dtype", along(x, zero, axis), x.dtype));
    const within = call("clamp", moved, ...range);
    return learns ? within : call("to.dtype", within, type);
  };
};

const dequantizeLinear: Lowering = (context) => {
  const axis = checkBlocks(context);
  return (inputs) => {
    const [x, scale] = [first(inputs), tensor(inputs[1])];
    // int32 has more digits than float32: the difference is taken in double. Integers that learn are floats already.
    const type = x.dtype === "float32" ? x.dtype : "float64";
    const wide = call("to.dtype", x, type);
    const zero = inputs[2] === undefined ? undefined : call("to.dtype", along(x, tensor(inputs[2]), axis), type);
    const steps = zero === undefined ? wide : call("sub.Tensor", wide, zero);
    return call("mul.Tensor", call("to.dtype", steps, scale.dtype), along(x, scale, axis));
  };
};

export const quantised = { QuantizeLinear: quantizeLinear, DequantizeLinear: dequantizeLinear } satisfies Record<
  string,
  Lowering
>;
