// Joining and cutting along axes: Concat, Split, Slice.
import { readInt, readInts } from "../graph/attributes.js";
import {
  add,
  ceilDivide,
  divideExactly,
  floorDivide,
  growing,
  multiply,
  notNegative,
  subtract,
} from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { any, calls, type Family } from "./operator.js";
import { axisOf, has, input, mismatch, numbersOf, type Rule, same, unknownDims } from "./rules/call.js";
import { copyRows, emptyLike, strided, stridesOf } from "./rules/elements.js";
import { areSpatial, type ReachRule } from "./rules/reach.js";
import { moves } from "./rules/value.js";

const concat: Rule = (call) => {
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

const split: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const count = call.node.outputs.length;
  if (dims === undefined) return call.node.outputs.map(() => ({ type }));
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  const size = dims[axis]!;
  const stated: readonly Dim[] | undefined =
    readInts(call.node, "split", undefined) ??
    (has(call, 1) ? (input(call, 1).elements ?? unknownDims(count)) : undefined);
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
    return new Array<Dim>(count).fill(
      divideExactly(size, count) ?? (typeof size === "string" ? floorDivide(size, count) : null),
    );
  const part = ceilDivide(size, count);
  if (typeof size !== "number")
    return Array.from({ length: count }, (_, index) =>
      index < count - 1 ? part : subtract(size, multiply(part, count - 1)),
    );
  return Array.from({ length: count }, (_, index) =>
    Math.max(0, Math.min(part as number, size - index * (part as number))),
  );
}

const slice: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type }];
  const attributes = call.opset < 10;
  const list = (name: string, at: number) =>
    attributes ? readInts(call.node, name, undefined) : input(call, at).elements;
  const [starts, ends] = [list("starts", 1), list("ends", 2)];
  const axes =
    attributes || has(call, 3)
      ? attributes
        ? readInts(call.node, "axes", undefined)
        : numbersOf(input(call, 3))
      : dims.map((_, axis) => axis);
  const steps = !attributes && has(call, 4) ? input(call, 4).elements : undefined;
  const count = starts?.length ?? ends?.length;
  const used =
    attributes && axes === undefined && count !== undefined ? dims.map((_, axis) => axis).slice(0, count) : axes;
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
 * The size of x[start:end:step]. With symbols: null where it depends on which is larger, but an axis is taken to be no
 * shorter than what a number cuts off its ends ([1:] of an axis H is H - 1).
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
function slicePlaces(size: number, start: number, end: number, step: number): { from: number; count: number } {
  const clamp = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const from = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
  // the largest integer means "to the end" in either direction, as ONNX Runtime takes it
  const open = end === 2 ** 31 - 1 || end === 2 ** 63;
  const to = step > 0 ? clamp(end, 0, size) : open ? -1 : clamp(end, -1, size - 1);
  return { from, count: step === 0 ? 0 : Math.max(0, Math.ceil((to - from) / step)) };
}

const sizeFrom = (dims: readonly number[], axis: number): number =>
  dims.slice(axis).reduce((product, size) => product * size, 1);

const joined = moves(({ call, inputs, outputs: [output] }) => {
  if (inputs.some((part) => part === undefined || part.type !== output!.type)) return undefined;
  const { dims } = output!;
  const axis = axisOf(call, readInt(call.node, "axis", call.opset < 4 ? 1 : 0), dims.length);
  const stride = sizeFrom(dims, axis);
  const rows = sizeFrom(dims, 0) / Math.max(1, stride);
  const made = emptyLike(inputs[0]!.elements, rows * stride);
  let start = 0;
  for (const part of inputs) {
    const width = sizeFrom(part!.dims, axis);
    const at = start;
    copyRows(
      made,
      part!.elements,
      rows,
      width,
      (row) => row * width,
      (row) => row * stride + at,
    );
    start += width;
  }
  return [made];
});

const parts = moves(({ call, inputs: [source], outputs }) => {
  if (source === undefined) return undefined;
  const axis = axisOf(call, readInt(call.node, "axis", 0), source.dims.length);
  const strides = stridesOf(source.dims);
  let start = 0;
  return outputs.map(({ dims }) => {
    const part = strided(source.elements, dims, strides, start * strides[axis]!);
    start += dims[axis]!;
    return part;
  });
});

const cut = moves(({ call, inputs: [source], outputs: [output] }) => {
  if (source === undefined) return undefined;
  const attributes = call.opset < 10;
  const list = (name: string, at: number) =>
    attributes ? readInts(call.node, name, undefined) : numbersOf(input(call, at));
  const [starts, ends] = [list("starts", 1), list("ends", 2)];
  const axes = attributes || has(call, 3) ? list("axes", 3) : undefined;
  const steps = !attributes && has(call, 4) ? list("steps", 4) : starts?.map(() => 1);
  if (
    starts === undefined ||
    ends === undefined ||
    steps === undefined ||
    (!attributes && has(call, 3) && axes === undefined)
  )
    return undefined;
  const strides = stridesOf(source.dims);
  const read = [...strides];
  let offset = 0;
  for (const [index, start] of starts.entries()) {
    const axis = axisOf(call, axes?.[index] ?? index, source.dims.length);
    offset += slicePlaces(source.dims[axis]!, start, ends[index]!, steps[index]!).from * strides[axis]!;
    read[axis] = strides[axis]! * steps[index]!;
  }
  return [strided(source.elements, output!.dims, read, offset)];
});

/** Along channels each pixel stays in its place. */
export const alongChannels =
  (axis: number): ReachRule =>
  (node, reach, context) =>
    areSpatial(node, [readInt(node, "axis", axis)], context) ? "it works along rows or columns" : reach;

const reachOfSlice: ReachRule = (node, reach, context) =>
  areSpatial(node, readInts(node, "axes", context.constant(node.inputs[3])), context)
    ? "it cuts rows or columns"
    : reach;

export const joining = {
  Concat: {
    signature: calls([1, any], { axis: "int" }),
    shapes: concat,
    value: joined,
    reach: alongChannels(1),
    channels: "joined",
    exact: "always",
    bounded: "all",
    overwritable: true,
    since: 4,
  },
  Split: {
    signature: calls([1, 2], { axis: "int", num_outputs: "int", split: "ints" }, [1, any]),
    shapes: split,
    value: parts,
    reach: alongChannels(0),
    channels: "split",
    exact: "always",
    bounded: "first",
  },
  Slice: {
    signature: calls([1, 5], { axes: "ints", ends: "ints", starts: "ints" }),
    shapes: slice,
    value: cut,
    reach: reachOfSlice,
    channels: "sliced",
    exact: "always",
    bounded: "first",
  },
} satisfies Family;
