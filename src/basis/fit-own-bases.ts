// A basis for every split of the channels: a grouped convolution, then 1x1. Each basis begins as one split's closed
// layout on its own channels; then all of them with the coefficients by what the outputs lose (fit-slots.ts).
import { stackRows } from "../linalg/matrix.js";
import { fitted } from "./fit-problem.js";
import { slotFamily } from "./slot-family.js";

export const fitOwnBases = slotFamily({
  slots: (_, splits) => splits,
  own: true,
  put(problem, candidate, { banks, coefficients, lost }) {
    const basis = stackRows(banks).data;
    return fitted(problem, candidate, [basis, coefficients.data], lost, { basis, coefficients: coefficients.data });
  },
});
