// What the shape rules of the operators share: what is known of a value, and the errors for shapes that contradict each
// other.
import { FilterBasisError } from "../../errors/error.js";
import { nodeName, readInts } from "../../graph/attributes.js";
import type { DataType, Dim, Node } from "../../graph/types.js";

/**
 * What is known of a value: its type, its shape, and for small tensors of integers (shapes on their way) the elements
 * themselves.
 */
export interface Known {
  readonly type?: DataType | undefined;
  readonly dims?: readonly Dim[] | undefined;
  /** Row-major; only where `dims` are all numbers. Sizes may be expressions. */
  readonly elements?: readonly Dim[] | undefined;
}

export const unknown: Known = {};

/** One operator call on its way through inference. */
export interface Call {
  readonly node: Node;
  readonly opset: number;
  readonly inputs: readonly Known[];
}

/** What is known of the outputs, in order; fewer than the node has means that nothing is known of the rest. */
export type Rule = (call: Call) => readonly Known[];

/** The input at a position; `unknown` where it is left out. */
export const input = ({ inputs }: Call, index: number): Known => inputs[index] ?? unknown;

export const has = ({ node }: Call, index: number): boolean => (node.inputs[index] ?? "") !== "";

/** A contradiction between what a node needs and what it gets. */
export function mismatch(call: Call, message: string, expected: string, got: string): FilterBasisError {
  return new FilterBasisError("shape-mismatch", message, {
    node: nodeName(call.node),
    op: call.node.op,
    expected,
    got,
  });
}

/** The axis counted from the front, 0 <= axis < rank (or <= rank where `past` is 1). */
export function axisOf(call: Call, axis: number, rank: number, past: 0 | 1 = 0): number {
  const resolved = axis < 0 ? axis + rank + past : axis;
  if (Number.isInteger(axis) && resolved >= 0 && resolved < rank + past) return resolved;
  throw mismatch(call, "an axis is beyond the rank", `-${rank + past} to ${rank + past - 1}`, String(axis));
}

/** @throws FilterBasisError where a value is known to have another rank */
export function needRank(call: Call, index: number, rank: number): void {
  const dims = input(call, index).dims;
  if (dims !== undefined && dims.length !== rank) {
    throw mismatch(call, `input ${index} has the wrong rank`, `rank ${rank}`, `[${dims.map(showDim).join(", ")}]`);
  }
}

/**
 * Two sizes that must be the same: the one that says more.
 * @throws FilterBasisError where they differ for certain
 */
export function same(call: Call, a: Dim, b: Dim, what: string): Dim {
  if (a === null) return b;
  if (b === null || a === b || typeof b === "string") return typeof b === "number" ? b : a;
  if (typeof a === "string") return b;
  throw mismatch(call, `${what} differ`, showDim(a), showDim(b));
}

/** Numpy broadcasting of one pair of sizes. */
export const broadcastDim = (call: Call, a: Dim, b: Dim): Dim => broadcastSizes([[a], [b]], clash(call))[0]!;

const clash = (call: Call) => (a: Dim, b: Dim) => mismatch(call, "the shapes do not broadcast", showDim(a), showDim(b));

/** Numpy broadcasting of any number of shapes; `clash` makes the error for sizes that differ. */
export function broadcastSizes(
  shapes: readonly (readonly Dim[])[],
  clash: (a: Dim, b: Dim) => FilterBasisError,
): readonly Dim[] {
  const join = (a: Dim, b: Dim): Dim => {
    if (a === b || b === 1) return a;
    if (a === 1) return b;
    if (typeof a === "number" && typeof b === "number") throw clash(a, b);
    if (typeof a === "number") return a; // the other is 1 or the same in every run that is valid
    return typeof b === "number" ? b : null;
  };
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    shapes.reduce<Dim>((size, shape) => {
      const own = axis - rank + shape.length;
      return own < 0 ? size : join(size, shape[own]!);
    }, 1),
  );
}

/** The same, where all shapes are known. */
export function broadcast(call: Call, shapes: readonly (readonly Dim[] | undefined)[]): readonly Dim[] | undefined {
  return shapes.some((shape) => shape === undefined)
    ? undefined
    : broadcastSizes(shapes as readonly Dim[][], clash(call));
}

/** The elements of a small integer tensor where all are numbers. */
export function numbersOf(known: Known): readonly number[] | undefined {
  return known.elements?.every((element) => typeof element === "number") ? (known.elements as number[]) : undefined;
}

/**
 * Axes from an attribute (older opsets) or from an input (newer ones); `null` where the input is there but not known.
 */
export function axesOf(call: Call, at: number): readonly number[] | undefined | null {
  const stated = readInts(call.node, "axes", undefined);
  if (stated !== undefined) return stated;
  return has(call, at) ? (numbersOf(input(call, at)) ?? null) : undefined;
}

/**
 * A shape of which only the rank is known.
 * @throws FilterBasisError for ranks that no tensor has
 */
export function unknownDims(rank: number): readonly Dim[] {
  if (Number.isInteger(rank) && rank >= 0 && rank <= 64) return new Array<Dim>(rank).fill(null);
  throw new FilterBasisError("shape-mismatch", "no tensor has such a rank", { expected: "0 to 64", got: String(rank) });
}

export const showDim = (dim: Dim): string => (dim === null ? "?" : String(dim));
