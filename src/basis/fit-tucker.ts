// Tucker-2: 1x1 to r1 channels, the kernel from r1 to r2, 1x1 to the outputs. Slots are the elements of the kernel, V
// the 1x1 in front; the rest is the least squares of the outputs over what V gives, of rank r2 (fit-slots.ts).
import { transpose } from "../linalg/matrix.js";
import type { LayerShape } from "./factors.js";
import { fitted } from "./fit-problem.js";
import { interleaved, slotFamily } from "./slot-family.js";

const tapsOf = ({ kernel: [kh, kw] }: LayerShape): number => kh * kw;

export const fitTucker = slotFamily({
  slots: tapsOf,
  own: false,
  order: (shape) => {
    const kernelElements = tapsOf(shape);
    return Int32Array.from(
      { length: shape.c * kernelElements },
      (_, at) => (at % shape.c) * kernelElements + Math.floor(at / shape.c),
    );
  },
  outerRank: true,
  near: true,
  put: (problem, candidate, { banks, coefficients, outer, lost }) => {
    const kernel = interleaved(coefficients, tapsOf(problem.shape));
    return fitted(problem, candidate, [banks[0]!.data, kernel, transpose(outer).data], lost);
  },
});
