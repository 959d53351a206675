// Operators that move elements without changing them.
import { readFloat, readInt, readInts, readString } from "../../graph/attributes.js";
import { call, fromArray, type Tensor } from "./aten.js";
import { type Inputs, type Kernel, type Lowering, refuse, type Site, type Value } from "./site.js";
import { dimsOf, first, fromFront, numbersOf, scalarOf, tensor } from "./values.js";
import { padConstant } from "./windows.js";

/** A list that is an attribute in old opsets and an input in new ones. */
export function listOf(site: Site, attribute: string, position: number): (inputs: Inputs) => readonly number[] | undefined {
  const stated = readInts(site.node, attribute, undefined);
  if (stated !== undefined) return () => stated;
  return (inputs) => (inputs[position] === undefined ? undefined : numbersOf(inputs[position]));
}

const reshape: Lowering = (site) => {
  const shape = listOf(site, "shape", 1);
  const allowZero = readInt(site.node, "allowzero", 0) !== 0;
  return (inputs) => {
    const wanted = shape(inputs);
    if (wanted === undefined) throw refuse(site, "no shape is given");
    const x = first(inputs);
    const dims = !allowZero && wanted.includes(0) ? copyZeros(wanted, dimsOf(x)) : wanted;
    return call("reshape", x, dims);
  };
};

const copyZeros = (wanted: readonly number[], dims: readonly number[]): number[] =>
  wanted.map((d, i) => (d === 0 ? (dims[i] ?? 0) : d));

const flatten: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", 1);
  return (inputs) => {
    const x = first(inputs);
    if (axis === 1 && dimsOf(x).length > 1) return call("flatten.using_ints", x, 1);
    const dims = dimsOf(x);
    const cut = axis < 0 ? axis + dims.length : axis;
    const product = (part: readonly number[]) => part.reduce((a, b) => a * b, 1);
    return call("reshape", x, [product(dims.slice(0, cut)), product(dims.slice(cut))]);
  };
};

const concat: Lowering = ({ node, opset }) => {
  const axis = readInt(node, "axis", opset < 4 ? 1 : 0);
  return (inputs) => call("cat", inputs.map(tensor), axis);
};

const transpose: Lowering = ({ node }) => {
  const order = readInts(node, "perm", undefined);
  return (inputs) => {
    const x = first(inputs);
    return call("permute", x, order ?? [...dimsOf(x).keys()].reverse());
  };
};

/** Slice: starts, ends, axes and steps from attributes (before 10) or inputs; negative steps walk backwards. */
const slice: Lowering = (site) => {
  const old = site.opset < 10;
  const [starts, ends, axes] = [listOf(site, "starts", 1), listOf(site, "ends", 2), listOf(site, "axes", 3)];
  return (inputs) => {
    const [from, to] = [starts(inputs) ?? [], ends(inputs) ?? []];
    const along = axes(inputs) ?? from.map((_, i) => i);
    const steps = old || inputs[4] === undefined ? from.map(() => 1) : numbersOf(inputs[4]);
    let x = first(inputs);
    const dims = dimsOf(x);
    along.forEach((a, i) => {
      const axis = fromFront(a, dims.length);
      const n = dims[axis]!;
      const next = sliceAxis(x, axis, n, from[i]!, to[i]!, steps[i]!);
      if (x !== inputs[0]) x.dispose();
      x = next;
    });
    return x === inputs[0] ? call("alias", x) : x;
  };
};

/** One axis of n elements; bounds are clamped as ONNX clamps them. */
function sliceAxis(x: Tensor, axis: number, n: number, from: number, to: number, step: number): Tensor {
  const [start, end] = [from < 0 ? from + n : from, to < 0 ? to + n : to];
  if (step > 0) {
    const begin = Math.min(Math.max(start, 0), n);
    return call("slice.Tensor", x, axis, begin, Math.max(begin, Math.min(Math.max(end, 0), n)), step);
  }
  const begin = Math.min(Math.max(start, 0), n - 1);
  const stop = Math.min(Math.max(end, -1), n - 1);
  const picked: number[] = [];
  for (let i = begin; i > stop; i += step) picked.push(i);
  return call("index_select", x, axis, fromArray(BigInt64Array.from(picked, BigInt), [picked.length]));
}

/** Pad with a constant; begins then ends for the given axes (all by default). */
const pad: Lowering = (site) => {
  const mode = readString(site.node, "mode", "constant");
  const stated = readInts(site.node, "pads", undefined) ?? readInts(site.node, "paddings", undefined);
  const value = readFloat(site.node, "value", 0);
  if (mode !== "constant") throw refuse(site, `the mode ${mode} is not known`);
  return (inputs) => {
    const x = first(inputs);
    const pads = stated ?? numbersOf(inputs[1]);
    const fill = stated === undefined ? scalarOf(inputs[2], 0) : value;
    return padConstant(x, pads, fill);
  };
};

export const movement = {
  Pad: pad,
  Reshape: reshape,
  Flatten: flatten,
  Concat: concat,
  Transpose: transpose,
  Slice: slice,
} satisfies Record<string, Lowering>;
