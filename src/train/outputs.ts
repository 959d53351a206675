// Outputs of a network that the original can teach: numbers that have a gradient.
import type { Graph } from "../graph/types.js";
import { isFloat } from "../graph/values.js";

/** The names of the outputs of floats, in their order; one whose type is not stated counts as such. */
export const floatOutputs = ({ outputs }: Graph): readonly string[] =>
  outputs.filter(({ tensor }) => tensor === undefined || isFloat(tensor.type)).map(({ name }) => name);
