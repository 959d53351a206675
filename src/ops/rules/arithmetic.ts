// Arithmetic on known elements: on numbers in double, and on expressions over symbols where they stay exact.
import { elements, readInt } from "../../graph/attributes.js";
import { subtract } from "../../graph/dims.js";
import type { DataType, Dim } from "../../graph/types.js";
import { axesOf } from "./call.js";
import { broadcastStrides, type Elements, emptyLike, walk } from "./elements.js";
import type { Filled, ValueRule } from "./value.js";

export type OnNumbers = (a: number, b: number, type: DataType) => number;
export type OnSymbols = (a: Dim, b: Dim, type: DataType) => Dim;

export const truth = (value: boolean): number => (value ? 1 : 0);

/** Nothing exact can be said of a symbol, but numbers among sizes are followed. */
export const never: OnSymbols = () => null;

const areAll = (inputs: readonly (Filled | undefined)[]): inputs is readonly Filled[] =>
  inputs.length > 0 && inputs.every((input) => input !== undefined);

/** Of one input or more, broadcast and combined from the left. `onSymbols` where sizes are computed so. */
export const pointwise = (onNumbers: OnNumbers, onSymbols?: OnSymbols): ValueRule => ({
  kind: "computes",
  sizes: onSymbols !== undefined,
  of: ({ call, inputs, outputs: [output] }) => {
    if (!areAll(inputs) || (call.opset < 7 && call.node.attributes.has("axis"))) return undefined;
    const combine = combination(onNumbers, onSymbols ?? never, inputs[0]!.type);
    const dims = output!.dims;
    let result: Elements | undefined;
    for (const { elements: own, dims: ownDims } of inputs) {
      const [before, next] = [result, emptyLike(own, elements(dims))];
      const strides = broadcastStrides(ownDims, dims);
      if (before === undefined) walk(dims, strides, 0, (from, to) => void (next[to] = own[from]!));
      else walk(dims, strides, 0, (from, to) => void (next[to] = combine(before[to]!, own[from]!)));
      result = next;
    }
    return [result!];
  },
});

const combination =
  (onNumbers: OnNumbers, onSymbols: OnSymbols, type: DataType) =>
  (a: Dim, b: Dim): Dim => {
    if (typeof a === "number" && typeof b === "number") return onNumbers(a, b, type);
    return a === null || b === null ? null : onSymbols(a, b, type);
  };

/** Of one input. A symbol stands for an integer that is not negative. */
export const ofOne = (onNumber: (a: number) => number, onSymbol?: (a: string) => Dim): ValueRule => ({
  kind: "computes",
  sizes: onSymbol !== undefined,
  of: ({ inputs: [source] }) => {
    if (source === undefined) return undefined;
    const made = emptyLike(source.elements, source.elements.length);
    for (let at = 0; at < made.length; at++) {
      const value = source.elements[at]!;
      made[at] =
        typeof value === "number" ? onNumber(value) : typeof value === "string" ? (onSymbol?.(value) ?? null) : null;
    }
    return [made];
  },
});

export interface Reduction {
  readonly each?: (value: number) => number;
  readonly join: (a: number, b: number) => number;
  readonly onSymbols?: OnSymbols;
  readonly end?: (joined: number, count: number) => number;
}

/** The elements along some axes joined. */
export const reduction = ({ each, join, onSymbols, end }: Reduction): ValueRule => ({
  kind: "computes",
  sizes: onSymbols !== undefined,
  of: ({ call, inputs: [source] }) => {
    const axes = axesOf(call, 1);
    if (source === undefined || axes === null || source.elements.length === 0) return undefined;
    if (!axes?.length && readInt(call.node, "noop_with_empty_axes", 0) !== 0) return undefined;
    const { dims, elements: own, type } = source;
    const gone = new Set(
      (axes?.length ? axes : [...dims.keys()]).map((axis) => (axis < 0 ? axis + dims.length : axis)),
    );
    const kept = dims.map((size, axis) => (gone.has(axis) ? 1 : size));
    const combine = combination((a, b) => join(a, b), onSymbols ?? never, type);
    const joined = emptyLike(own, elements(kept));
    const begun = new Uint8Array(joined.length);
    walk(dims, broadcastStrides(kept, dims), 0, (to, from) => {
      const value = each === undefined ? own[from]! : each(own[from] as number);
      joined[to] = begun[to] === 0 ? value : combine(joined[to]!, value);
      begun[to] = 1;
    });
    const count = own.length / Math.max(1, joined.length);
    if (end !== undefined) for (let at = 0; at < joined.length; at++) joined[at] = end(joined[at] as number, count);
    return [joined];
  },
});

/** A size is never negative, so that a symbol alone is known to differ from -1. */
export const differ = (a: Dim, b: Dim): boolean =>
  (typeof a === "number" && a < 0 && typeof b === "string") ||
  (typeof b === "number" && b < 0 && typeof a === "string");

export const ifEqual: OnSymbols = (a, b) => (a === b ? a : null);
export const negated = (a: string): Dim => subtract(0, a);
