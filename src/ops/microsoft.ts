// Operators of ONNX Runtime's own (com.microsoft), as far as anything is known of them.
import { convolutionSums } from "./convolution.js";
import type { Family } from "./operator.js";

const stepwise = { stepwise: true } as const;

export const microsoft = {
  FusedConv: { sums: convolutionSums },
  QGemm: stepwise,
  QLinearAdd: stepwise,
  QLinearAveragePool: stepwise,
  QLinearConcat: stepwise,
  QLinearGlobalAveragePool: stepwise,
  QLinearLeakyRelu: stepwise,
  QLinearMul: stepwise,
  QLinearSigmoid: stepwise,
  QLinearSoftmax: stepwise,
  Sampling: { random: {} },
} satisfies Family;
