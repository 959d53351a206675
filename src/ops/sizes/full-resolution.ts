// Does a network work on every pixel of its input, as networks for super-resolution do? Such ones are trained and tried
// on small patches: at the size of a photograph they take minutes. What it says does not depend on how the filters are
// decomposed.
import { evaluator, symbolsOf } from "../../graph/dims.js";
import type { Dim, Graph } from "../../graph/types.js";
import type { Known } from "../rules/call.js";
import { operatorOf } from "../table.js";

/** A side that can be halved eight times. */
const side = 256;

/**
 * `known` is what is inferred with symbols for free sizes. True where an output is larger than the input, or nothing is
 * made smaller on the way.
 */
export function isFullResolution(graph: Graph, known: ReadonlyMap<string, Known>): boolean {
  const spatial = (name: string): readonly number[] => (known.get(name)?.dims ?? []).slice(2).map(sizeAt);
  const made = graph.nodes.filter((node) => operatorOf(node)?.window);
  if (made.length === 0) return false;
  const rank = (name: string) => known.get(name)?.dims?.length;
  if (graph.outputs.some(({ name }) => rank(name) === 4 && spatial(name).every((size) => size >= 2 * side)))
    return true;
  // a window without padding takes a few pixels, and what is pooled to one is a weight of channels
  const whole = (size: number) => size <= 1 || size > 0.75 * side;
  return made.every(({ outputs }) => spatial(outputs[0]!).every(whole));
}

function sizeAt(dim: Dim): number {
  if (dim === null) return Number.NaN;
  return evaluator(dim)(new Map([...symbolsOf(dim)].map((symbol) => [symbol, side])));
}
