// Operators whose result has the shape of an input, of all inputs broadcast, or of the input less some axes.

import { readInt, readInts, readTensor } from "../graph/attributes.js";
import { multiply } from "../graph/dims.js";
import { type DataType, type Dim, dataTypes } from "../graph/types.js";
import { axesOf } from "./joining.js";
import {
  axisOf,
  broadcast,
  broadcastDim,
  type Call,
  has,
  input,
  type Known,
  mismatch,
  numbersOf,
  type Rule,
  same,
  showDim,
  unknownDims,
} from "./rules/call.js";

/** The result is like the first input. */
export const likeInput: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [{ type, dims }];
};

/** Like the first input, of a fixed type. */
export const likeInputOf =
  (type: DataType): Rule =>
  (call) => [{ type, dims: input(call, 0).dims }];

/** All inputs broadcast against each other (numpy); the type is that of the last input, or the one given. */
export function broadcastTo(type?: DataType): Rule {
  return (call) => [{ type: type ?? call.inputs.findLast((known) => known.type !== undefined)?.type, dims: broadcastAll(call) }];
}

function broadcastAll(call: Call): readonly Dim[] | undefined {
  // before opset 7, `axis` and `broadcast` place the second input inside the first, which keeps its shape
  if (call.opset < 7 && call.node.attributes.has("broadcast")) return input(call, 0).dims;
  return broadcast(
    call,
    call.inputs.map((known) => known.dims),
  );
}

/** PRelu: the slope is broadcast to the input. */
export const prelu = likeInput;

/** Dropout: the mask has the same shape. */
export const dropout: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [
    { type, dims },
    { type: call.opset < 10 ? type : "bool", dims },
  ];
};

/** BatchNormalization: y is like x; in training mode the statistics follow, [C] each. */
export const batchNormalization: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const channels = dims === undefined ? null : dims.length > 1 ? dims[1]! : 1;
  for (const index of [1, 2, 3, 4]) {
    const own = input(call, index).dims;
    if (own?.length === 1) same(call, channels, own[0]!, "the channels of input and statistics");
  }
  const each: Known = { type: input(call, 3).type ?? type, dims: [channels] };
  return [{ type, dims }, each, each, each, each];
};

/** LayerNormalization: mean and inverse deviation keep the axes before `axis` and have 1 in the others. */
export const layerNormalization: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axis = dims && axisOf(call, readInt(call.node, "axis", -1), dims.length);
  const each: Known = { type: "float32", dims: dims?.map((size, at) => (at < axis! ? size : 1)) };
  return [{ type, dims }, each, each];
};

/** The Reduce family: axes by attribute or (opset 13 for ReduceSum, 18 for the others) by input. */
export const reduce: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  const keep = readInt(call.node, "keepdims", 1) !== 0;
  if (dims === undefined) return [{ type }];
  if (axes === null) {
    // which axes go is not known, but how many may be
    const count = input(call, 1).dims?.[0];
    return [
      {
        type,
        dims: keep
          ? unknownDims(dims.length)
          : typeof count === "number" && count > 0
            ? unknownDims(dims.length - count)
            : undefined,
      },
    ];
  }
  if ((axes === undefined || axes.length === 0) && readInt(call.node, "noop_with_empty_axes", 0) !== 0) return [{ type, dims }];
  const gone = new Set(
    axes === undefined || axes.length === 0 ? dims.keys() : axes.map((axis) => axisOf(call, axis, dims.length)),
  );
  return [{ type, dims: dims.flatMap((size, axis) => (!gone.has(axis) ? [size] : keep ? [1] : [])) }];
};

/** ArgMax, ArgMin. */
export const argReduce: Rule = (call) => {
  const { dims } = input(call, 0);
  if (dims === undefined) return [{ type: "int64" }];
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  const keep = readInt(call.node, "keepdims", 1) !== 0;
  return [{ type: "int64", dims: dims.flatMap((size, at) => (at !== axis ? [size] : keep ? [1] : [])) }];
};

/** TopK: values and places; k is an attribute before opset 10. */
export const topK: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const k: Dim = readInt(call.node, "k", undefined) ?? input(call, 1).elements?.[0] ?? null;
  const axis = dims && axisOf(call, readInt(call.node, "axis", -1), dims.length);
  const shape = dims?.map((size, at) => (at === axis ? k : size));
  return [
    { type, dims: shape },
    { type: "int64", dims: shape },
  ];
};

/** MatMul: numpy's rules, vectors included. */
export const matMul =
  (type?: DataType): Rule =>
  (call) => {
    const [a, b] = [input(call, 0), input(call, 1)];
    const result = type ?? a.type ?? b.type;
    if (a.dims === undefined || b.dims === undefined) return [{ type: result }];
    if (a.dims.length === 0 || b.dims.length === 0)
      throw mismatch(call, "a matrix product needs axes", "rank 1 or more", "a scalar");
    const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
    const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
    same(call, left.at(-1)!, right.at(-2)!, "the inner sizes of the matrices");
    const stack = broadcast(call, [left.slice(0, -2), right.slice(0, -2)])!;
    const rows = a.dims.length === 1 ? [] : [left.at(-2)!];
    return [{ type: result, dims: [...stack, ...rows, ...(b.dims.length === 1 ? [] : [right.at(-1)!])] }];
  };

/** Gemm: a[M, K] b[K, N] -> [M, N], either transposed by attribute. */
export const gemm: Rule = (call) => {
  const oriented = (index: number, flag: string): readonly Dim[] => {
    const dims = input(call, index).dims ?? [null, null];
    if (dims.length !== 2) throw mismatch(call, `input ${index} must be a matrix`, "rank 2", `[${dims.map(showDim).join(", ")}]`);
    return readInt(call.node, flag, 0) !== 0 ? [...dims].reverse() : dims;
  };
  const [a, b] = [oriented(0, "transA"), oriented(1, "transB")];
  same(call, a[1]!, b[0]!, "the inner sizes of the matrices");
  const dims = [a[0]!, b[1]!];
  const bias = has(call, 2) ? input(call, 2).dims : undefined;
  if (bias !== undefined && call.opset >= 7)
    for (const [axis, size] of bias.entries()) broadcastDim(call, dims[axis + 2 - bias.length] ?? null, size);
  return [{ type: input(call, 0).type ?? input(call, 1).type, dims }];
};

/** Gather: the axis is replaced by the axes of the indices. */
export const gather: Rule = (call) => {
  const [{ type, dims }, indices] = [input(call, 0), input(call, 1).dims];
  if (dims === undefined || indices === undefined) return [{ type }];
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  return [{ type, dims: [...dims.slice(0, axis), ...indices, ...dims.slice(axis + 1)] }];
};

/** GatherElements: the shape of the indices. */
export const gatherElements: Rule = (call) => [{ type: input(call, 0).type, dims: input(call, 1).dims }];

/** GatherND: the last axis of the indices names places along the first axes of the data after the batch. */
export const gatherND: Rule = (call) => {
  const [{ type, dims }, indices] = [input(call, 0), input(call, 1).dims];
  const depth = indices?.at(-1);
  if (dims === undefined || indices === undefined || typeof depth !== "number") return [{ type }];
  return [{ type, dims: [...indices.slice(0, -1), ...dims.slice(readInt(call.node, "batch_dims", 0) + depth)] }];
};

export const where: Rule = (call) => [
  {
    type: input(call, 1).type ?? input(call, 2).type,
    dims: broadcast(
      call,
      call.inputs.map((known) => known.dims),
    ),
  },
];

/** Cast: `to` is ONNX's number of the element type. */
export const cast: Rule = (call) => [{ type: typeNumber(call, readInt(call.node, "to", 0)), dims: input(call, 0).dims }];

export const castLike: Rule = (call) => [{ type: input(call, 1).type, dims: input(call, 0).dims }];

/** ONNX's number of an element type, from 1. */
export function typeNumber(call: Call, number: number): DataType {
  const type = dataTypes[number - 1];
  if (type !== undefined) return type;
  throw mismatch(call, "no such element type", `1 to ${dataTypes.length}`, String(number));
}

export const shape: Rule = (call) => {
  const { dims } = input(call, 0);
  if (dims === undefined) return [{ type: "int64", dims: [null] }];
  const clamp = (axis: number) => Math.min(Math.max(axis < 0 ? axis + dims.length : axis, 0), dims.length);
  const part = dims.slice(clamp(readInt(call.node, "start", 0)), clamp(readInt(call.node, "end", dims.length)));
  return [{ type: "int64", dims: [part.length], elements: part }];
};

export const size: Rule = (call) => [
  { type: "int64", dims: [], elements: input(call, 0).dims && [input(call, 0).dims!.reduce(multiply, 1)] },
];

export const constantOfShape: Rule = (call) => [
  { type: readTensor(call.node, "value")?.type ?? "float32", dims: input(call, 0).elements ?? rankOf(input(call, 0)) },
];

/** A value whose shape is given by a tensor that is not known: its rank is the tensor's length. */
export function rankOf(shapeTensor: Known): readonly Dim[] | undefined {
  const rank = shapeTensor.dims?.[0];
  return typeof rank === "number" ? unknownDims(rank) : undefined;
}

export const range: Rule = (call) => {
  const parts = [0, 1, 2].map((index) => numbersOf(input(call, index))?.[0]);
  const [start, limit, delta] = parts;
  const known = start !== undefined && limit !== undefined && delta !== undefined;
  const symbolic = start === 0 && delta === 1 ? (input(call, 1).elements?.[0] ?? null) : null;
  return [{ type: input(call, 0).type, dims: [known ? Math.max(0, Math.ceil((limit - start) / delta)) : symbolic] }];
};

/** OneHot: a further axis as long as the depth. */
export const oneHot: Rule = (call) => {
  const { dims } = input(call, 0);
  const depth = input(call, 1).elements?.[0] ?? null;
  if (dims === undefined) return [{ type: input(call, 2).type }];
  const axis = axisOf(call, readInt(call.node, "axis", -1), dims.length, 1);
  return [{ type: input(call, 2).type, dims: [...dims.slice(0, axis), depth, ...dims.slice(axis)] }];
};

/** GridSample: x[N, C, ...], grid[N, H, W, 2] -> [N, C, H, W]. */
export const gridSample: Rule = (call) => {
  const [x, grid] = [input(call, 0), input(call, 1)];
  if (x.dims === undefined || grid.dims === undefined) return [{ type: x.type }];
  return [{ type: x.type, dims: [...x.dims.slice(0, 2), ...grid.dims.slice(1, -1)] }];
};

/** A fixed shape given by the attribute `shape` (RandomNormal, RandomUniform). */
export const shapeAttribute: Rule = (call) => [
  { type: typeNumber(call, readInt(call.node, "dtype", 1)), dims: readInts(call.node, "shape", undefined) },
];

/** NonZero: [rank, how many]; NonMaxSuppression: [how many, 3]. */
export const nonZero: Rule = (call) => [{ type: "int64", dims: [input(call, 0).dims?.length ?? null, null] }];
export const nonMaxSuppression: Rule = () => [{ type: "int64", dims: [null, 3] }];

/** EyeLike, RandomNormalLike, RandomUniformLike, Bernoulli: like the input, of the type named by `dtype`. */
export const likeWithType: Rule = (call) => {
  const number = readInt(call.node, "dtype", undefined);
  return [{ type: number === undefined ? input(call, 0).type : typeNumber(call, number), dims: input(call, 0).dims }];
};

/** DequantizeLinear: the type of the scale. */
export const dequantize: Rule = (call) => [{ type: input(call, 1).type, dims: input(call, 0).dims }];

/** QuantizeLinear: the type of the zero point, uint8 without one. */
export const quantize: Rule = (call) => [{ type: input(call, 2).type ?? "uint8", dims: input(call, 0).dims }];
