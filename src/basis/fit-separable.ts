// kh x 1, then 1 x kw, and the same with 1x1 behind. Slots are the columns of the kernel: the vertical filters V see
// each column alike, the horizontal ones H are the least squares of the outputs over what V gives, of rank r2 where
// 1x1 follows (fit-slots.ts).
import { transpose } from "../linalg/matrix.js";
import type { LayerShape } from "./factors.js";
import { fitted } from "./fit-problem.js";
import { interleaved, slotFamily } from "./slot-family.js";

/** Column b of the kernel: [c, kh] out of [c, kh, kw]. */
function columnOrder({ c, kernel: [kh, kw] }: LayerShape): Int32Array {
  const height = c * kh;
  return Int32Array.from({ length: height * kw }, (_, at) => (at % height) * kw + Math.floor(at / height));
}

export const fitSeparable = slotFamily({
  slots: ({ kernel }) => kernel[1],
  own: false,
  order: columnOrder,
  put: (problem, candidate, { banks, coefficients, lost }) =>
    fitted(problem, candidate, [banks[0]!.data, interleaved(coefficients, problem.shape.kernel[1])], lost),
});

export const fitSeparablePointwise = slotFamily({
  slots: ({ kernel }) => kernel[1],
  own: false,
  order: columnOrder,
  outerRank: true,
  put: (problem, candidate, { banks, coefficients, outer, lost }) => {
    const horizontal = interleaved(coefficients, problem.shape.kernel[1]);
    return fitted(problem, candidate, [banks[0]!.data, horizontal, transpose(outer).data], lost);
  },
});
