// Operators over integers that stand for floats.
import { convolution, convolutionMacs } from "./convolution.js";
import { matMul, productMacs } from "./matrix.js";
import { calls, type Family } from "./operator.js";
import { input, type Rule } from "./rules/call.js";
import { windowKinds } from "./rules/window.js";

/** DequantizeLinear: the type of the scale. */
const dequantize: Rule = (call) => [{ type: input(call, 1).type, dims: input(call, 0).dims }];

/** QuantizeLinear: the type of the zero point, uint8 without one. */
const quantize: Rule = (call) => [{ type: input(call, 2).type ?? "uint8", dims: input(call, 0).dims }];

const qLinearConv = convolution(3, (call) => input(call, 7).type ?? input(call, 0).type);

const along = { axis: "int", block_size: "int", output_dtype: "int" } as const;

export const quantised = {
  QuantizeLinear: {
    signature: calls([2, 3], { ...along, saturate: "int", precision: "int" }),
    shapes: quantize,
    stepwise: true,
  },
  DequantizeLinear: { signature: calls([2, 3], along), shapes: dequantize },
  DynamicQuantizeLinear: { signature: calls(1, {}, [1, 3]), stepwise: true },
  ConvInteger: {
    signature: calls([2, 4], windowKinds),
    operands: ["data", "weight"],
    shapes: convolution(1, () => "int32"),
    macs: convolutionMacs,
    convolves: true,
  },
  QLinearConv: {
    signature: calls([8, 9], windowKinds),
    operands: ["data", "data", "data", "weight"],
    shapes: qLinearConv,
    macs: convolutionMacs,
    convolves: true,
    stepwise: true,
  },
  MatMulInteger: {
    signature: calls([2, 4]),
    operands: ["factor", "factor"],
    shapes: matMul("int32"),
    macs: productMacs(1),
  },
  QLinearMatMul: {
    signature: calls(8),
    operands: ["factor", "data", "data", "factor"],
    macs: productMacs(3),
    stepwise: true,
  },
} satisfies Family;
