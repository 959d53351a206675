// What an output is, from its values: a mask, scores or probabilities of classes, or any other numbers.
import { elements } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { LossKind } from "./loss.js";

/**
 * The axis of classes of an output: one along which values are probabilities; or of a matrix [N, K], the second, also
 * where places of one pixel are kept behind it. -1 where there is none: [N, K, 1] is a number for each of K places,
 * such as the scores of a detector's anchors.
 */
export function classAxis({ dims, ...tensor }: TensorData): number {
  const probable = probabilityAxis({ dims, ...tensor });
  if (probable > 0) return probable;
  const own = dims.slice(1).filter((dim) => dim !== 1);
  if (own.length !== 1 || (dims.length === 3 && dims[2] === 1)) return -1;
  return dims.indexOf(own[0]!, 1);
}

/** The axis along which values are probabilities: at least 0, with a sum of one; -1 where there is none. */
function probabilityAxis({ dims, ...tensor }: TensorData): number {
  const values = floats({ dims, ...tensor });
  for (let axis = dims.length - 1; axis >= 1; axis--) if (dims[axis]! > 1 && sumsToOne(values, dims, axis)) return axis;
  return -1;
}

const near = 1e-2;

function sumsToOne(values: Float32Array, dims: readonly number[], axis: number): boolean {
  const [outer, size, inner] = around(dims, axis);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const value = values[(o * size + k) * inner + i]!;
        if (!(value >= 0)) return false;
        sum += value;
      }
      if (Math.abs(sum - 1) > near) return false;
    }
  return values.length > 0;
}

export const around = (
  dims: readonly number[],
  axis: number,
): readonly [outer: number, size: number, inner: number] => [
  elements(dims.slice(0, axis)),
  dims[axis] ?? 1,
  elements(dims.slice(axis + 1)),
];

/**
 * One plane of values in 0..1 of which at least half are close to an end: a mask, where a grey image is mostly in
 * between.
 */
export function isMask({ dims, ...tensor }: TensorData): boolean {
  const sides = dims.slice(1).filter((dim) => dim > 1);
  if (dims.length < 3 || sides.length !== 2) return false;
  const values = floats({ dims, ...tensor });
  let ends = 0;
  for (const value of values) {
    if (!(value >= -1e-3 && value <= 1.001)) return false;
    if (value < 0.1 || value > 0.9) ends++;
  }
  return 2 * ends >= values.length;
}

/** What an output is, from its values on one or several inputs. */
export function kindOfOutput(tensor: TensorData): Exclude<LossKind, "decibels"> {
  // Characters of a line [N, T, K], or scores of anchors [N, K, 2], are a plane too.
  if (isMask(tensor) && probabilityAxis(tensor) < 0) return "mask";
  return classAxis(tensor) > 0 ? "classes" : "relative";
}
