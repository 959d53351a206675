// Steps of every block need libtorch: a page has none, and offers none.
import type * as original from "../../src/calibrate/block-steps.js";
import { FilterBasisError } from "../../src/errors/error.js";

export const blockSteps: typeof original.blockSteps = async () => {
  throw new FilterBasisError("unsupported", "steps of every block need libtorch, which a page has not", {
    cures: ["npx filterbasis compress --steps N"],
  });
};
