// Operators that only move the elements of constants: reordering, cutting, joining, repeating.
import { elementBytes, elements, readInt, readInts } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import type { Evaluation } from "./constant-operators.js";
import { slicePlaces } from "./joining.js";
import { has, input, numbersOf } from "./rules/call.js";
import { broadcastStrides, copyRows, reshaped, strided, stridesOf } from "./rules/elements.js";

const wrap = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const sameElements: Evaluation = ({ tensors: [source], outputs: [output] }) => source && [reshaped(source, output!.dims)];

const transpose: Evaluation = ({ call, tensors: [source], outputs: [output] }) => {
  if (source === undefined) return undefined;
  const { dims } = output!;
  const order = readInts(call.node, "perm", undefined) ?? dims.map((_, axis) => dims.length - 1 - axis);
  const strides = stridesOf(source.dims);
  return one(
    strided(
      source,
      dims,
      dims,
      order.map((axis) => strides[axis]!),
    ),
  );
};

const expand: Evaluation = ({ tensors: [source], outputs: [output] }) =>
  source && one(strided(source, output!.dims, output!.dims, broadcastStrides(source.dims, output!.dims)));

/** [d0 r0, d1 r1, ...] is [r0, d0, r1, d1, ...] where the source stands still along each r. */
const tile: Evaluation = ({ tensors: [source], outputs: [output] }) => {
  if (source === undefined || elements(source.dims) === 0) return undefined;
  const strides = stridesOf(source.dims);
  const read = source.dims.flatMap((size, axis) => [output!.dims[axis]! / size, size]);
  return one(
    strided(
      source,
      output!.dims,
      read,
      strides.flatMap((stride) => [0, stride]),
    ),
  );
};

const slice: Evaluation = ({ call, tensors: [source], outputs: [output] }) => {
  if (source === undefined) return undefined;
  const attributes = call.opset < 10;
  const list = (name: string, at: number) => (attributes ? readInts(call.node, name, undefined) : numbersOf(input(call, at)));
  const [starts, ends] = [list("starts", 1), list("ends", 2)];
  const axes = attributes || has(call, 3) ? list("axes", 3) : starts?.map((_, axis) => axis);
  const steps = !attributes && has(call, 4) ? list("steps", 4) : starts?.map(() => 1);
  if (starts === undefined || ends === undefined || steps === undefined) return undefined;
  const strides = stridesOf(source.dims);
  const read = [...strides];
  let offset = 0;
  for (const [index, start] of starts.entries()) {
    const axis = wrap(axes?.[index] ?? index, source.dims.length);
    offset += slicePlaces(source.dims[axis]!, start, ends[index]!, steps[index]!).from * strides[axis]!;
    read[axis] = strides[axis]! * steps[index]!;
  }
  return one(strided(source, output!.dims, output!.dims, read, offset));
};

const split: Evaluation = ({ call, tensors: [source], outputs }) => {
  if (source === undefined) return undefined;
  const axis = wrap(readInt(call.node, "axis", 0), source.dims.length);
  const strides = stridesOf(source.dims);
  let start = 0;
  const parts: TensorData[] = [];
  for (const { dims } of outputs) {
    const part = strided(source, dims, dims, strides, start * strides[axis]!);
    if (part === undefined) return undefined;
    parts.push(part);
    start += dims[axis]!;
  }
  return parts;
};

const concat: Evaluation = ({ call, tensors, outputs: [output] }) => {
  const { type, dims } = output!;
  const size = elementBytes[type];
  if (tensors.some((tensor) => tensor === undefined || tensor.type !== type) || !Number.isInteger(size) || size === 0)
    return undefined;
  const axis = wrap(readInt(call.node, "axis", call.opset < 4 ? 1 : 0), dims.length);
  const rows = elements(dims.slice(0, axis));
  const stride = elements(dims.slice(axis)) * size;
  const data = new Uint8Array(rows * stride);
  let start = 0;
  for (const tensor of tensors as readonly TensorData[]) {
    const width = elements(tensor.dims.slice(axis)) * size;
    const [at, from] = [start, tensor.data];
    copyRows(
      data,
      from,
      rows,
      width,
      (row) => row * width,
      (row) => row * stride + at,
    );
    start += width;
  }
  return [{ type, dims, data }];
};

const gather: Evaluation = ({ call, tensors: [source], outputs: [output] }) => {
  const places = numbersOf(input(call, 1));
  const size = source === undefined ? 0 : elementBytes[source.type];
  if (source === undefined || places === undefined || !Number.isInteger(size) || size === 0) return undefined;
  const axis = wrap(readInt(call.node, "axis", 0), source.dims.length);
  const width = elements(source.dims.slice(axis + 1)) * size;
  const length = source.dims[axis]!;
  if (places.some((place) => wrap(place, length) < 0 || wrap(place, length) >= length)) return undefined;
  const data = new Uint8Array(elements(output!.dims) * size);
  const rows = elements(source.dims.slice(0, axis)) * places.length;
  const from = (row: number) => (Math.floor(row / places.length) * length + wrap(places[row % places.length]!, length)) * width;
  copyRows(data, source.data, rows, width, from, (row) => row * width);
  return [{ type: source.type, dims: output!.dims, data }];
};

const one = (tensor: TensorData | undefined): readonly TensorData[] | undefined => tensor && [tensor];

export const moves: Readonly<Record<string, Evaluation>> = {
  Identity: sameElements,
  Reshape: sameElements,
  Flatten: sameElements,
  Squeeze: sameElements,
  Unsqueeze: sameElements,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Slice: slice,
  Split: split,
  Concat: concat,
  Gather: gather,
};
