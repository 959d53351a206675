// The paper's layout: all splits of the channels share one basis. Without moves between splits the truncated SVD under
// the mean covariance of a split; then the basis and the coefficients by what the outputs lose (fit-slots.ts).
import { fitted } from "./fit-problem.js";
import { slotFamily } from "./slot-family.js";

export const fitSharedBases = slotFamily({
  slots: (_, splits) => splits,
  own: false,
  put(problem, candidate, { banks, coefficients, lost }) {
    const { splits = 1 } = candidate;
    const basis = banks[0]!.data;
    const repeated = new Float64Array(basis.length * splits);
    for (let g = 0; g < splits; g++) repeated.set(basis, g * basis.length);
    return fitted(problem, candidate, [repeated, coefficients.data], lost, { basis, coefficients: coefficients.data });
  },
});
