// The operators of shape arithmetic on plain numbers. A rule that cannot apply gives undefined, and the operator runs on tensors.
import { readInt, readInts } from "../../graph/attributes.js";
import { type DataType, dataTypes, type Node } from "../../graph/types.js";
import { Host, hostLimit } from "./host.js";
import type { OperatorName } from "./names.js";

export type HostKernel = (inputs: readonly (Host | undefined)[]) => Host | undefined;
export type HostLowering = (node: Node, opset: number) => HostKernel;

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);
const integral = (type: DataType): boolean => /^u?int/.test(type) || type === "bool";

/** Rounds a result to what its type can hold; undefined where a whole number leaves the range that doubles keep exactly. */
function made(type: DataType, dims: readonly number[], values: readonly number[]): Host | undefined {
  if (product(dims) !== values.length || values.length > hostLimit) return undefined;
  if (type === "int64") return values.every(Number.isSafeInteger) ? new Host(type, dims, values) : undefined;
  if (type === "int32") return values.every((v) => (v | 0) === v) ? new Host(type, dims, values) : undefined;
  if (type === "float32") return new Host(type, dims, values.map(Math.fround));
  return type === "bool" || type === "float64" ? new Host(type, dims, values) : undefined;
}

/** Row-major positions of every element of `dims` in a tensor with the given strides. */
function positions(dims: readonly number[], strides: readonly number[], offset = 0): number[] {
  let out = [offset];
  dims.forEach((n, axis) => {
    out = out.flatMap((base) => Array.from({ length: n }, (_, i) => base + i * strides[axis]!));
  });
  return out;
}

const stridesOf = (dims: readonly number[]): number[] => dims.map((_, i) => product(dims.slice(i + 1)));

function broadcastDims(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    const [m, n] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (m !== n && m !== 1 && n !== 1) return undefined;
    dims.push(m === 1 ? n : m);
  }
  return dims;
}

/** The values of x read as if it had the broadcast dims. */
function spread(x: Host, dims: readonly number[]): number[] {
  const own = stridesOf(x.dims);
  const lead = dims.length - x.dims.length;
  const strides = dims.map((_, i) => (i < lead || x.dims[i - lead] === 1 ? 0 : own[i - lead]!));
  return positions(dims, strides).map((at) => x.values[at]!);
}

function binary(apply: (a: number, b: number, whole: boolean) => number, type?: DataType): HostLowering {
  return (_, opset) =>
    ([a, b]) => {
      if (a === undefined || b === undefined || a.type !== b.type || opset < 7) return undefined;
      const dims = broadcastDims(a.dims, b.dims);
      if (dims === undefined || product(dims) > hostLimit) return undefined;
      const [left, right] = [spread(a, dims), spread(b, dims)];
      return made(
        type ?? a.type,
        dims,
        left.map((value, i) => apply(value, right[i]!, integral(a.type))),
      );
    };
}

function unary(apply: (a: number) => number): HostLowering {
  return () =>
    ([a]) =>
      a && made(a.type, a.dims, a.values.map(apply));
}

const fold = (node: Node, apply: (a: number, b: number) => number): HostKernel => {
  const step = binary(apply)(node, 8);
  return (inputs) => inputs.reduce((a, b) => (a && b ? step([a, b]) : undefined));
};

/** A list from an attribute or from an input. */
const list = (node: Node, attribute: string, input: Host | undefined): readonly number[] | undefined =>
  readInts(node, attribute, undefined) ?? input?.values;

const at = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const gather: HostLowering = (node) => {
  const axis = readInt(node, "axis", 0);
  return ([x, index]) => {
    if (x === undefined || index === undefined || x.dims.length === 0) return undefined;
    const along = at(axis, x.dims.length);
    const [outer, n, inner] = [product(x.dims.slice(0, along)), x.dims[along] ?? 0, product(x.dims.slice(along + 1))];
    const picked = index.values.map((i) => (i < 0 ? i + n : i));
    if (picked.some((i) => !(i >= 0 && i < n))) return undefined;
    const values: number[] = [];
    for (let o = 0; o < outer; o++)
      for (const i of picked) for (let j = 0; j < inner; j++) values.push(x.values[(o * n + i) * inner + j]!);
    return made(x.type, [...x.dims.slice(0, along), ...index.dims, ...x.dims.slice(along + 1)], values);
  };
};

const concat: HostLowering = (node) => (inputs) => {
  const parts = inputs.filter((part) => part !== undefined);
  const lead = parts[0];
  if (lead === undefined || parts.some((p) => p.dims.length !== 1 || p.type !== lead.type)) return undefined;
  if (at(readInt(node, "axis", 1), 1) !== 0) return undefined;
  const values = parts.flatMap((part) => part.values);
  return made(lead.type, [values.length], values);
};

const slice: HostLowering = (node, opset) => (inputs) => {
  const [x, starts, ends, axes, steps] = inputs;
  if (x === undefined) return undefined;
  const [from, to] = [list(node, "starts", starts), list(node, "ends", ends)];
  if (from === undefined || to === undefined || (opset >= 10 && inputs.length < 3)) return undefined;
  const along = list(node, "axes", axes) ?? from.map((_, i) => i);
  const dims = [...x.dims];
  const strides = stridesOf(x.dims);
  let offset = 0;
  for (const [i, a] of along.entries()) {
    const axis = at(a, dims.length);
    const n = x.dims[axis];
    const step = steps?.values[i] ?? 1;
    if (n === undefined || step === 0) return undefined;
    const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v < 0 ? v + n : v, low), high);
    const begin = step > 0 ? clamp(from[i]!, 0, n) : clamp(from[i]!, 0, n - 1);
    const end = step > 0 ? clamp(to[i]!, 0, n) : clamp(to[i]!, -1, n - 1);
    dims[axis] = Math.max(0, Math.ceil((end - begin) / step));
    offset += begin * strides[axis]!;
    strides[axis]! *= step;
  }
  return made(
    x.type,
    dims,
    positions(dims, strides, offset).map((p) => x.values[p]!),
  );
};

const squeeze: HostLowering =
  (node) =>
  ([x, axes]) => {
    if (x === undefined) return undefined;
    const drop = list(node, "axes", axes)?.map((a) => at(a, x.dims.length));
    return made(
      x.type,
      x.dims.filter((n, i) => (drop === undefined ? n !== 1 : !drop.includes(i))),
      x.values,
    );
  };

const unsqueeze: HostLowering =
  (node) =>
  ([x, axes]) => {
    const wanted = list(node, "axes", axes);
    if (x === undefined || wanted === undefined) return undefined;
    const rank = x.dims.length + wanted.length;
    const added = new Set(wanted.map((a) => at(a, rank)));
    const rest = [...x.dims];
    return made(
      x.type,
      Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : rest.shift()!)),
      x.values,
    );
  };

const reshape: HostLowering =
  (node) =>
  ([x, shape]) => {
    const wanted = list(node, "shape", shape);
    if (x === undefined || wanted === undefined) return undefined;
    const zero = readInt(node, "allowzero", 0) !== 0;
    const dims = wanted.map((d, i) => (d === 0 && !zero ? (x.dims[i] ?? 0) : d));
    const free = dims.indexOf(-1);
    if (free >= 0) dims[free] = x.values.length / product(dims.filter((_, i) => i !== free));
    return dims.every((d) => Number.isInteger(d) && d >= 0) ? made(x.type, dims, x.values) : undefined;
  };

const transpose: HostLowering =
  (node) =>
  ([x]) => {
    if (x === undefined) return undefined;
    const order = readInts(node, "perm", undefined) ?? [...x.dims.keys()].reverse();
    const strides = stridesOf(x.dims);
    const dims = order.map((i) => x.dims[i]!);
    return made(
      x.type,
      dims,
      positions(
        dims,
        order.map((i) => strides[i]!),
      ).map((p) => x.values[p]!),
    );
  };

const cast: HostLowering = (node) => {
  const type = dataTypes[readInt(node, "to", 0) - 1];
  return ([x]) => {
    if (x === undefined || type === undefined || !x.values.every(Number.isFinite)) return undefined;
    if (type === "bool")
      return made(
        type,
        x.dims,
        x.values.map((v) => (v === 0 ? 0 : 1)),
      );
    return made(type, x.dims, integral(type) ? x.values.map(Math.trunc) : x.values);
  };
};

const expand: HostLowering =
  () =>
  ([x, shape]) => {
    if (x === undefined || shape === undefined) return undefined;
    const dims = broadcastDims(x.dims, shape.values);
    return dims && product(dims) <= hostLimit ? made(x.type, dims, spread(x, dims)) : undefined;
  };

const range: HostLowering =
  () =>
  ([start, limit, delta]) => {
    const [from, to, step] = [start?.values[0], limit?.values[0], delta?.values[0]];
    if (from === undefined || to === undefined || !step || !integral(start!.type)) return undefined;
    const count = Math.max(0, Math.ceil((to - from) / step));
    return count <= hostLimit
      ? made(
          start!.type,
          [count],
          Array.from({ length: count }, (_, i) => from + i * step),
        )
      : undefined;
  };

const where: HostLowering =
  () =>
  ([condition, a, b]) => {
    if (condition === undefined || a === undefined || b === undefined || a.type !== b.type) return undefined;
    const both = broadcastDims(a.dims, b.dims);
    const dims = both && broadcastDims(condition.dims, both);
    if (dims === undefined || product(dims) > hostLimit) return undefined;
    const [c, x, y] = [spread(condition, dims), spread(a, dims), spread(b, dims)];
    return made(
      a.type,
      dims,
      c.map((v, i) => (v !== 0 ? x[i]! : y[i]!)),
    );
  };

/** Reductions of a whole vector, as exporters use them on shapes. */
const reduce =
  (apply: (a: number, b: number) => number): HostLowering =>
  (node) =>
  ([x, axes]) => {
    const along = list(node, "axes", axes);
    if (x === undefined || x.dims.length !== 1 || x.values.length === 0 || (along !== undefined && along.length !== 1))
      return undefined;
    return made(x.type, readInt(node, "keepdims", 1) !== 0 ? [1] : [], [x.values.reduce(apply)]);
  };

const sign = (whole: boolean, value: number): number => (whole ? Math.trunc(value) : value);

export const hostTable: Partial<Record<OperatorName, HostLowering>> = {
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Reshape: reshape,
  Transpose: transpose,
  Cast: cast,
  Expand: expand,
  Range: range,
  Where: where,
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b, whole) => (whole && b === 0 ? Number.NaN : sign(whole, a / b))),
  Mod: (node, opset) =>
    readInt(node, "fmod", 0) === 0 ? binary((a, b) => a - b * Math.floor(a / b))(node, opset) : () => undefined,
  Min: (node) => fold(node, Math.min),
  Max: (node) => fold(node, Math.max),
  Equal: binary((a, b) => Number(a === b), "bool"),
  Less: binary((a, b) => Number(a < b), "bool"),
  Greater: binary((a, b) => Number(a > b), "bool"),
  LessOrEqual: binary((a, b) => Number(a <= b), "bool"),
  GreaterOrEqual: binary((a, b) => Number(a >= b), "bool"),
  Neg: unary((a) => -a),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Sqrt: unary(Math.sqrt),
  Not: unary((a) => (a === 0 ? 1 : 0)),
  ReduceProd: reduce((a, b) => a * b),
  ReduceSum: reduce((a, b) => a + b),
  ReduceMax: reduce(Math.max),
  ReduceMin: reduce(Math.min),
};
