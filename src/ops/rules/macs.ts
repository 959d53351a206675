// Counting what a layer multiplies.
import { elements } from "../../graph/attributes.js";
import type { ValueType } from "../../graph/types.js";

type Shapes = ReadonlyMap<string, ValueType>;

/** The elements of a value over the axes that are counted (all by default); undefined where they are not known. */
export function countOf(
  shapes: Shapes,
  name: string,
  counts: (axis: number) => boolean = () => true,
): number | undefined {
  const dims = shapes.get(name)?.dims?.filter((_, axis) => counts(axis));
  return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : undefined;
}

export const times = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a * b;

/** All axes but the first. */
export const behindFirst = (axis: number): boolean => axis > 0;
