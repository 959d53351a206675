// Lists of whole numbers that are attributes in old opsets and inputs in new ones.
import { readInts } from "../../graph/attributes.js";
import type { Inputs, LoweringContext } from "./lowering.js";
import { numbersOf } from "./values.js";

/** How to get the list when the node runs; undefined where it is given in neither way. */
export function listOf(
  context: LoweringContext,
  attribute: string,
  position: number,
): (inputs: Inputs) => readonly number[] | undefined {
  const stated = readInts(context.node, attribute, undefined);
  if (stated !== undefined) return () => stated;
  return (inputs) => (inputs[position] === undefined ? undefined : numbersOf(inputs[position]));
}
