// ENC-Inf's validation: of the rank configurations that the search comes to, the one that gets most of the calibration
// batches right. The authors hold 4,000 to 5,000 training images out; here they are calibration batches of the training
// images, so many as the recipe's `calibrate` says.
import { candidateError } from "./candidate-error.js";
import type { Learner } from "./knowledge.js";

export const validateRanks: Learner = async (task) => {
  if ((task.options as { readonly search?: string }).search !== "inf") return {};
  const error = await candidateError(task);
  let [tried, best] = [0, Number.POSITIVE_INFINITY];
  return {
    validate(candidate) {
      const own = error(candidate);
      tried++;
      if (own < best) task.note(`ENC-Inf: candidate ${tried} has an error of ${own.toPrecision(3)}`);
      best = Math.min(best, own);
      return -own;
    },
  };
};
