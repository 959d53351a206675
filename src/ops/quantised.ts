// Operators over integers that stand for floats.
import { convolution, convolutionMacs } from "./convolution.js";
import { matMul, productMacs } from "./matrix.js";
import type { Family } from "./operator.js";
import { input, type Rule } from "./rules/call.js";

/** DequantizeLinear: the type of the scale. */
const dequantize: Rule = (call) => [{ type: input(call, 1).type, dims: input(call, 0).dims }];

/** QuantizeLinear: the type of the zero point, uint8 without one. */
const quantize: Rule = (call) => [{ type: input(call, 2).type ?? "uint8", dims: input(call, 0).dims }];

const qLinearConv = convolution(3, (call) => input(call, 7).type ?? input(call, 0).type);

export const quantised = {
  QuantizeLinear: { shapes: quantize, stepwise: true },
  DequantizeLinear: { shapes: dequantize },
  DynamicQuantizeLinear: { stepwise: true },
  ConvInteger: {
    operands: ["data", "weight"],
    shapes: convolution(1, () => "int32"),
    macs: convolutionMacs,
    convolves: true,
  },
  QLinearConv: {
    operands: ["data", "data", "data", "weight"],
    shapes: qLinearConv,
    macs: convolutionMacs,
    convolves: true,
    stepwise: true,
  },
  MatMulInteger: { operands: ["factor", "factor"], shapes: matMul("int32"), macs: productMacs(1) },
  QLinearMatMul: { operands: ["factor", "data", "data", "factor"], macs: productMacs(3), stepwise: true },
} satisfies Family;
