// What the constants that an operator reads demand of the free sizes of its data: the channels that a filter reads, the
// features that a matrix takes.
import type { Dim, Node } from "../../graph/types.js";
import type { Known } from "./call.js";

/**
 * A size that must be equal to another; "or one": the operator broadcasts; "likely": the runtime goes without, but the
 * network is not meant so.
 */
export type Demand = readonly [dim: Dim | undefined, equals: Dim | undefined, how?: "or one" | "likely"];

/** What one node demands; `input` gives what is known of each of its inputs. */
export type DemandRule = (node: Node, input: (index: number) => Known) => readonly Demand[];

/** The channels of the data are what the first parameter says. */
export const channels =
  (count: (parameter: readonly Dim[] | undefined, node: Node) => Dim | undefined): DemandRule =>
  (node, input) => [[input(0).dims?.[1], count(input(1).dims, node)]];

export const broadcastDemand: DemandRule = (node, input) => {
  const shapes = node.inputs.map((_, index) => input(index).dims).filter((dims) => dims !== undefined);
  const numbers = (back: number) =>
    shapes.map((dims) => dims.at(-back)).find((dim) => typeof dim === "number" && dim !== 1);
  return shapes.flatMap((dims) => dims.map((dim, axis): Demand => [dim, numbers(dims.length - axis), "or one"]));
};

export const areEqual = (a: Dim | undefined, b: Dim | undefined): readonly Demand[] => [
  [a, b],
  [b, a],
];
