// The same elements in another shape, in another order, or several times: Reshape, Transpose, Expand, Tile and the
// like.
import { readInt, readInts } from "../graph/attributes.js";
import { divideExactly, multiply, product } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { calls, type Family, old } from "./operator.js";
import {
  axesOf,
  axisOf,
  broadcast,
  type Call,
  input,
  mismatch,
  type Rule,
  same,
  showDim,
  unknownDims,
} from "./rules/call.js";
import { areEqual, type Demand, type DemandRule } from "./rules/demand.js";
import { broadcastStrides, strided, stridesOf } from "./rules/elements.js";
import { inPlace, type ReachRule } from "./rules/reach.js";
import { likeInput } from "./rules/shapes.js";
import { moves } from "./rules/value.js";

const reshape: Rule = (call) => {
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

const flatten: Rule = (call) => {
  const { type, dims } = input(call, 0);
  if (dims === undefined) return [{ type, dims: [null, null] }];
  const axis = axisOf(call, readInt(call.node, "axis", 1), dims.length, readInt(call.node, "axis", 1) < 0 ? 0 : 1);
  return [{ type, dims: [product(dims.slice(0, axis)), product(dims.slice(axis))] }];
};

const transpose: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const stated = readInts(call.node, "perm", undefined);
  if (dims === undefined) return [{ type, dims: stated && unknownDims(stated.length) }];
  const order = stated ?? dims.map((_, axis) => dims.length - 1 - axis);
  if (order.length !== dims.length || new Set(order).size !== order.length) {
    throw mismatch(call, "perm is not an order of the axes", `${dims.length} axes`, `[${order.join(", ")}]`);
  }
  return [{ type, dims: order.map((axis) => dims[axisOf(call, axis, dims.length)]!) }];
};

const squeeze: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  if (dims === undefined || axes === null) return [{ type }];
  if (axes === undefined)
    return [
      {
        type,
        dims:
          dims.includes(null) || dims.some((size) => typeof size === "string")
            ? undefined
            : dims.filter((size) => size !== 1),
      },
    ];
  const removed = new Set(axes.map((axis) => axisOf(call, axis, dims.length)));
  for (const axis of removed) same(call, 1, dims[axis]!, `the size of axis ${axis} and 1`);
  return [{ type, dims: dims.filter((_, axis) => !removed.has(axis)) }];
};

const unsqueeze: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  if (dims === undefined || axes === null || axes === undefined) return [{ type }];
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(call, axis, rank)));
  if (added.size !== axes.length)
    throw mismatch(call, "an axis is named twice", "distinct axes", `[${axes.join(", ")}]`);
  const rest = [...dims];
  return [{ type, dims: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!)) }];
};

const expand: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const target = input(call, 1);
  const rank = target.dims?.[0];
  return [
    {
      type,
      dims: broadcast(call, [dims, target.elements ?? (typeof rank === "number" ? unknownDims(rank) : undefined)]),
    },
  ];
};

const tile: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const repeats = input(call, 1).elements;
  if (dims !== undefined && repeats !== undefined && repeats.length !== dims.length) {
    throw mismatch(call, "repeats do not fit the axes", String(dims.length), String(repeats.length));
  }
  return [{ type, dims: dims?.map((size, axis) => multiply(size, repeats?.[axis] ?? null)) }];
};

const unmoved = moves(({ inputs: [source] }) => source && [source.elements]);

const reordered = moves(({ call, inputs: [source], outputs: [output] }) => {
  if (source === undefined) return undefined;
  const { dims } = output!;
  const order = readInts(call.node, "perm", undefined) ?? dims.map((_, axis) => dims.length - 1 - axis);
  const strides = stridesOf(source.dims);
  const read = order.map((axis) => strides[axis < 0 ? axis + dims.length : axis]!);
  return [strided(source.elements, dims, read)];
});

const expanded = moves(
  ({ inputs: [source], outputs: [output] }) =>
    source && [strided(source.elements, output!.dims, broadcastStrides(source.dims, output!.dims))],
);

/** [d0 r0, d1 r1, ...] is [r0, d0, r1, d1, ...] where the source stands still along each r. */
const tiled = moves(({ inputs: [source], outputs: [output] }) => {
  if (source === undefined || source.elements.length === 0) return undefined;
  const strides = stridesOf(source.dims);
  const read = source.dims.flatMap((size, axis) => [output!.dims[axis]! / size, size]);
  return [
    strided(
      source.elements,
      read,
      strides.flatMap((stride) => [0, stride]),
    ),
  ];
});

const demandsOfReshape: DemandRule = (node, known) => {
  const [{ dims }, target] = [known(0), known(1).elements];
  if (!dims || !target?.every((size) => typeof size === "number")) return [];
  const copies = readInt(node, "allowzero", 0) === 0;
  const sizes = target.map((size, axis) => (size === 0 && copies ? (dims[axis] ?? null) : size));
  if (!sizes.includes(-1)) return areEqual(product(dims), product(sizes));
  const [first, columns, ...more] = sizes;
  // [-1, K] stands for [batch, K], unless the last axes make K by themselves: then it lists positions, or boxes
  if (first !== -1 || typeof columns !== "number" || more.length > 0 || dims.length < 3) return [];
  let last = 1;
  for (const dim of [...dims].reverse()) {
    if (typeof dim !== "number") break;
    last *= dim;
  }
  return last % columns === 0 ? [] : [[product(dims.slice(1)), columns, "likely"]];
};

const demandsOfSqueeze: DemandRule = (node, known) => {
  const axes = readInts(node, "axes", undefined) ?? known(1).elements;
  return (axes ?? []).map((axis): Demand => [typeof axis === "number" ? known(0).dims?.at(axis) : null, 1]);
};

/**
 * Rows and columns are left alone where only batch and channels change (a folded basis convolution, a channel shuffle).
 */
const reachOfReshape: ReachRule = (node, reach, { dims }) => {
  const [from, to] = [dims(node.inputs[0]!), dims(node.outputs[0]!)];
  const kept = from && to && [1, 2].every((end) => from.at(-end) !== null && from.at(-end) === to.at(-end));
  return kept ? reach : "it moves rows and columns";
};

const axes = calls([1, 2], { axes: "ints" });
const moving = { exact: "always", bounded: "first" } as const;

export const reshaping = {
  Identity: {
    ...moving,
    signature: calls(1),
    shapes: likeInput,
    value: unmoved,
    reach: inPlace,
    channels: "kept",
    since: 1,
  },
  Reshape: {
    ...moving,
    signature: calls([1, 2], { allowzero: "int", shape: "ints", ...old }),
    shapes: reshape,
    value: unmoved,
    demands: demandsOfReshape,
    reach: reachOfReshape,
    channels: "reshaped",
  },
  Flatten: {
    ...moving,
    signature: calls(1, { axis: "int" }),
    shapes: flatten,
    value: unmoved,
    channels: "reshaped",
    since: 11,
  },
  Squeeze: {
    ...moving,
    signature: axes,
    shapes: squeeze,
    value: unmoved,
    demands: demandsOfSqueeze,
    channels: "reshaped",
  },
  Unsqueeze: { ...moving, signature: axes, shapes: unsqueeze, value: unmoved, channels: "reshaped" },
  Transpose: {
    ...moving,
    signature: calls(1, { perm: "ints" }),
    shapes: transpose,
    value: reordered,
    channels: "transposed",
    since: 1,
  },
  Expand: { ...moving, signature: calls(2), shapes: expand, value: expanded },
  Tile: { ...moving, signature: calls([2, 3]), shapes: tile, value: tiled, since: 6 },
} satisfies Family;
