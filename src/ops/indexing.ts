// Picking elements by their places, and finding places.
import { readInt } from "../graph/attributes.js";
import { calls, type Family } from "./operator.js";
import { axisOf, input, numbersOf, type Rule } from "./rules/call.js";
import { copyRows, emptyLike } from "./rules/elements.js";
import { likeInput } from "./rules/shapes.js";
import { moves } from "./rules/value.js";

/** Gather: the axis is replaced by the axes of the indices. */
const gather: Rule = (call) => {
  const [{ type, dims }, indices] = [input(call, 0), input(call, 1).dims];
  if (dims === undefined || indices === undefined) return [{ type }];
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  return [{ type, dims: [...dims.slice(0, axis), ...indices, ...dims.slice(axis + 1)] }];
};

/** GatherElements: the shape of the indices. */
const gatherElements: Rule = (call) => [{ type: input(call, 0).type, dims: input(call, 1).dims }];

/** GatherND: the last axis of the indices names places along the first axes of the data after the batch. */
const gatherND: Rule = (call) => {
  const [{ type, dims }, indices] = [input(call, 0), input(call, 1).dims];
  const depth = indices?.at(-1);
  if (dims === undefined || indices === undefined || typeof depth !== "number") return [{ type }];
  return [{ type, dims: [...indices.slice(0, -1), ...dims.slice(readInt(call.node, "batch_dims", 0) + depth)] }];
};

/** OneHot: a further axis as long as the depth. */
const oneHot: Rule = (call) => {
  const { dims } = input(call, 0);
  const depth = input(call, 1).elements?.[0] ?? null;
  if (dims === undefined) return [{ type: input(call, 2).type }];
  const axis = axisOf(call, readInt(call.node, "axis", -1), dims.length, 1);
  return [{ type: input(call, 2).type, dims: [...dims.slice(0, axis), depth, ...dims.slice(axis)] }];
};

/** NonZero: [rank, how many]; NonMaxSuppression: [how many, 3]. */
const nonZero: Rule = (call) => [{ type: "int64", dims: [input(call, 0).dims?.length ?? null, null] }];
const nonMaxSuppression: Rule = () => [{ type: "int64", dims: [null, 3] }];

const gathered = moves(({ call, inputs: [source] }) => {
  const places = numbersOf(input(call, 1));
  if (source === undefined || places === undefined) return undefined;
  const { dims } = source;
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  const count = (part: readonly number[]): number => part.reduce((product, size) => product * size, 1);
  const [width, length] = [count(dims.slice(axis + 1)), dims[axis]!];
  const picked = places.map((place) => (place < 0 ? place + length : place));
  if (picked.some((place) => !(place >= 0 && place < length))) return undefined;
  const rows = count(dims.slice(0, axis)) * picked.length;
  const made = emptyLike(source.elements, rows * width);
  const from = (row: number) => (Math.floor(row / picked.length) * length + picked[row % picked.length]!) * width;
  copyRows(made, source.elements, rows, width, from, (row) => row * width);
  return [made];
});

const like = { shapes: likeInput };

export const indexing = {
  Gather: {
    signature: calls(2, { axis: "int" }),
    shapes: gather,
    value: gathered,
    channels: "picked",
    exact: "always",
    bounded: "first",
    picks: true,
    since: 11,
  },
  GatherElements: { shapes: gatherElements },
  GatherND: { shapes: gatherND },
  Scatter: like,
  ScatterElements: like,
  ScatterND: like,
  ReverseSequence: like,
  Trilu: like,
  OneHot: { shapes: oneHot },
  NonZero: { shapes: nonZero, stepwise: true },
  NonMaxSuppression: { shapes: nonMaxSuppression, stepwise: true },
  Unique: { stepwise: true },
} satisfies Family;
