// Operators that move elements about: joining, cutting, reshaping, repeating, resizing.
import { readInt, readInts } from "../graph/attributes.js";
import { add, ceilDivide, divideExactly, floorDivide, growing, multiply, notNegative, product, subtract } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import {
  axisOf,
  broadcast,
  type Call,
  has,
  input,
  mismatch,
  numbersOf,
  type Rule,
  same,
  showDim,
  unknownDims,
} from "./rules/call.js";

/** Axes from an attribute (older opsets) or from an input (newer ones); `null` where the input is there but not known. */
export function axesOf(call: Call, at: number): readonly number[] | undefined | null {
  const stated = readInts(call.node, "axes", undefined);
  if (stated !== undefined) return stated;
  return has(call, at) ? (numbersOf(input(call, at)) ?? null) : undefined;
}

export const concat: Rule = (call) => {
  const type = call.inputs.find((known) => known.type !== undefined)?.type;
  const shapes = call.inputs.map((known) => known.dims);
  const first = shapes.find((dims) => dims !== undefined);
  if (first === undefined) return [{ type }];
  const axis = axisOf(call, readInt(call.node, "axis", call.opset < 4 ? 1 : 0), first.length);
  const dims = first.map((_, at) =>
    shapes.reduce<Dim>(
      (size, shape, index) => {
        if (shape !== undefined && shape.length !== first.length) {
          throw mismatch(call, `input ${index} has another rank`, `rank ${first.length}`, `rank ${shape.length}`);
        }
        const own = shape?.[at] ?? null;
        return at === axis ? add(size, own) : same(call, size, own, `the sizes of axis ${at}`);
      },
      at === axis ? 0 : null,
    ),
  );
  return [{ type, dims }];
};

export const split: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const count = call.node.outputs.length;
  if (dims === undefined) return call.node.outputs.map(() => ({ type }));
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  const size = dims[axis]!;
  const stated: readonly Dim[] | undefined =
    readInts(call.node, "split", undefined) ?? (has(call, 1) ? (input(call, 1).elements ?? unknownDims(count)) : undefined);
  if (stated !== undefined && stated.length !== count)
    throw mismatch(call, "the parts do not fit the outputs", `${count} parts`, String(stated.length));
  const parts = stated ?? evenParts(size, count, readInt(call.node, "num_outputs", undefined) !== undefined);
  const total = parts.reduce<Dim>(add, 0);
  if (typeof total === "number" && typeof size === "number" && total !== size)
    throw mismatch(call, "the parts do not sum to the axis", String(size), String(total));
  return parts.map((part) => ({ type, dims: dims.map((own, at) => (at === axis ? part : own)) }));
};

/** Equal parts; with num_outputs the last may be smaller. */
function evenParts(size: Dim, count: number, lastMayBeSmaller: boolean): readonly Dim[] {
  if (!lastMayBeSmaller)
    return new Array<Dim>(count).fill(divideExactly(size, count) ?? (typeof size === "string" ? floorDivide(size, count) : null));
  const part = ceilDivide(size, count);
  if (typeof size !== "number")
    return Array.from({ length: count }, (_, index) => (index < count - 1 ? part : subtract(size, multiply(part, count - 1))));
  return Array.from({ length: count }, (_, index) => Math.max(0, Math.min(part as number, size - index * (part as number))));
}

export const slice: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type }];
  const attributes = call.opset < 10;
  const list = (name: string, at: number) => (attributes ? readInts(call.node, name, undefined) : input(call, at).elements);
  const [starts, ends] = [list("starts", 1), list("ends", 2)];
  const axes =
    attributes || has(call, 3)
      ? attributes
        ? readInts(call.node, "axes", undefined)
        : numbersOf(input(call, 3))
      : dims.map((_, axis) => axis);
  const steps = !attributes && has(call, 4) ? input(call, 4).elements : undefined;
  const count = starts?.length ?? ends?.length;
  const used = attributes && axes === undefined && count !== undefined ? dims.map((_, axis) => axis).slice(0, count) : axes;
  if (used === undefined) return [{ type, dims: unknownDims(dims.length) }];
  const result = [...dims];
  used.slice(0, count).forEach((axis, index) => {
    const at = axisOf(call, axis, dims.length);
    const step = !attributes && has(call, 4) ? (steps?.[index] ?? null) : 1;
    result[at] = sliceSize(dims[at]!, starts?.[index] ?? null, ends?.[index] ?? null, step);
  });
  return [{ type, dims: result }];
};

/**
 * The size of x[start:end:step]. With symbols: null where it depends on which is larger, but an axis is taken to be no shorter than what a
 * number cuts off its ends ([1:] of an axis H is H - 1).
 */
function sliceSize(size: Dim, start: Dim, end: Dim, step: Dim): Dim {
  if (typeof step !== "number" || start === null || end === null || size === null) return null;
  if (typeof size === "number" && typeof start === "number" && typeof end === "number")
    return slicePlaces(size, start, end, step).count;
  if (step < 1) return null;
  const from = typeof start === "number" && start >= 0 ? start : placeIn(size, start);
  const to = end === size || (typeof end === "number" && end >= 2 ** 31 - 1) ? size : placeIn(size, end);
  const length = subtract(to, from);
  if (typeof length === "number" && length < 0) return 0;
  if (!growing(length)) return null;
  return step === 1 ? length : floorDivide(add(length, step - 1), step);
}

/** Where a cut at a negative number or at an expression falls, where that is certain. */
function placeIn(size: Dim, cut: Dim): Dim {
  if (typeof cut === "number") return cut < 0 ? add(size, cut) : cut === 0 ? 0 : null;
  return notNegative(cut) && notNegative(subtract(size, cut)) ? cut : null;
}

/** ONNX's clamping of a slice along one axis: where it begins and how many elements it takes. */
export function slicePlaces(size: number, start: number, end: number, step: number): { from: number; count: number } {
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const from = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
  // the largest integer means "to the end" in either direction, as ONNX Runtime takes it
  const open = end === 2 ** 31 - 1 || end === 2 ** 63;
  const to = step > 0 ? clamp(end, 0, size) : open ? -1 : clamp(end, -1, size - 1);
  return { from, count: step === 0 ? 0 : Math.max(0, Math.ceil((to - from) / step)) };
}

export const reshape: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const target = readInts(call.node, "shape", undefined) ?? input(call, 1).elements;
  if (target === undefined) {
    const rank = input(call, 1).dims?.[0];
    return [{ type, dims: typeof rank === "number" ? unknownDims(rank) : undefined }];
  }
  const zeroCopies = readInt(call.node, "allowzero", 0) === 0;
  const result = target.map(
    (size, axis): Dim => (size === 0 && zeroCopies ? (dims === undefined ? null : copied(call, dims, axis)) : size),
  );
  const free = result.indexOf(-1);
  const known = result.filter((_, axis) => axis !== free);
  if (free >= 0) result[free] = dims === undefined ? null : quotient(call, dims, known);
  else if (dims !== undefined) {
    const [before, after] = [product(dims), product(result)];
    if (typeof before === "number" && typeof after === "number" && before !== after) {
      throw mismatch(
        call,
        "the new shape has another number of elements",
        String(before),
        `${after} in [${result.map(showDim).join(", ")}]`,
      );
    }
    const gap = result.indexOf(null);
    if (gap >= 0 && result.lastIndexOf(null) === gap && !dims.includes(null))
      result[gap] = divided(
        dims,
        result.filter((size) => size !== null),
      );
  }
  return [{ type, dims: result }];
};

function copied(call: Call, dims: readonly Dim[], axis: number): Dim {
  if (axis < dims.length) return dims[axis]!;
  throw mismatch(call, "a 0 in the new shape copies an axis that is not there", `${dims.length} axes`, `axis ${axis}`);
}

/** The size that stands for -1. */
function quotient(call: Call, dims: readonly Dim[], known: readonly Dim[]): Dim {
  const size = divided(dims, known);
  const [all, rest] = [product(dims), product(known)];
  if (size === null && typeof all === "number" && typeof rest === "number" && rest !== 0) {
    throw mismatch(call, "the elements do not divide into the new shape", `a multiple of ${rest}`, String(all));
  }
  return size;
}

/** product(dims) / product(known), after crossing out the sizes that both have (unknown ones included in neither). */
function divided(dims: readonly Dim[], known: readonly Dim[]): Dim {
  const [left, right] = [[...dims], [] as Dim[]];
  for (const size of known) {
    const at = size === null ? -1 : left.indexOf(size);
    if (at < 0) right.push(size);
    else left.splice(at, 1);
  }
  return divideExactly(product(left), product(right));
}

export const flatten: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type, dims: [null, null] }];
  const axis = axisOf(call, readInt(call.node, "axis", 1), dims.length, readInt(call.node, "axis", 1) < 0 ? 0 : 1);
  return [{ type, dims: [product(dims.slice(0, axis)), product(dims.slice(axis))] }];
};

export const transpose: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const stated = readInts(call.node, "perm", undefined);
  if (dims === undefined) return [{ type, dims: stated && unknownDims(stated.length) }];
  const order = stated ?? dims.map((_, axis) => dims.length - 1 - axis);
  if (order.length !== dims.length || new Set(order).size !== order.length) {
    throw mismatch(call, "perm is not an order of the axes", `${dims.length} axes`, `[${order.join(", ")}]`);
  }
  return [{ type, dims: order.map((axis) => dims[axisOf(call, axis, dims.length)]!) }];
};

export const squeeze: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  if (dims === undefined || axes === null) return [{ type }];
  if (axes === undefined)
    return [
      {
        type,
        dims:
          dims.includes(null) || dims.some((size) => typeof size === "string") ? undefined : dims.filter((size) => size !== 1),
      },
    ];
  const removed = new Set(axes.map((axis) => axisOf(call, axis, dims.length)));
  for (const axis of removed) same(call, 1, dims[axis]!, `the size of axis ${axis} and 1`);
  return [{ type, dims: dims.filter((_, axis) => !removed.has(axis)) }];
};

export const unsqueeze: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  if (dims === undefined || axes === null || axes === undefined) return [{ type }];
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(call, axis, rank)));
  if (added.size !== axes.length) throw mismatch(call, "an axis is named twice", "distinct axes", `[${axes.join(", ")}]`);
  const rest = [...dims];
  return [{ type, dims: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!)) }];
};

export const expand: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const target = input(call, 1);
  const rank = target.dims?.[0];
  return [{ type, dims: broadcast(call, [dims, target.elements ?? (typeof rank === "number" ? unknownDims(rank) : undefined)]) }];
};

export const tile: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const repeats = input(call, 1).elements;
  if (dims !== undefined && repeats !== undefined && repeats.length !== dims.length) {
    throw mismatch(call, "repeats do not fit the axes", String(dims.length), String(repeats.length));
  }
  return [{ type, dims: dims?.map((size, axis) => multiply(size, repeats?.[axis] ?? null)) }];
};

export const pad: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type }];
  const pads = readInts(call.node, "pads", undefined) ?? readInts(call.node, "paddings", undefined) ?? input(call, 1).elements;
  const axes = has(call, 3) ? numbersOf(input(call, 3)) : dims.map((_, axis) => axis);
  if (pads === undefined || axes === undefined) return [{ type, dims: unknownDims(dims.length) }];
  if (pads.length !== 2 * axes.length)
    throw mismatch(call, "pads do not fit the axes", `${2 * axes.length} numbers`, String(pads.length));
  const result = [...dims];
  axes.forEach((axis, index) => {
    const at = axisOf(call, axis, dims.length);
    result[at] = add(dims[at]!, add(pads[index]!, pads[index + axes.length]!));
    if (typeof result[at] === "number" && result[at] < 0)
      throw mismatch(call, `the padding removes all of axis ${at}`, "0 or more", String(result[at]));
  });
  return [{ type, dims: result }];
};
