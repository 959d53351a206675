// Constants, shapes as values, and changes of type.
import { readFloat, readInt, readTensor } from "../graph/attributes.js";
import { multiply } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { calls, type Family } from "./operator.js";
import { input, numbersOf, type Rule } from "./rules/call.js";
import { inPlace } from "./rules/reach.js";
import { likeWithType, rankOf, typeNumber } from "./rules/shapes.js";
import type { ValueRule } from "./rules/value.js";

const constant: Rule = ({ node }) => {
  const value = readTensor(node, "value");
  if (value !== undefined) return [{ type: value.type, dims: value.dims }];
  const single = readFloat(node, "value_float", undefined);
  if (single !== undefined) return [{ type: "float32", dims: [], elements: [single] }];
  if (node.attributes.has("value_int")) return [{ type: "int64", dims: [], elements: [readInt(node, "value_int", 0)] }];
  const list = ["value_floats", "value_ints"]
    .map((name) => node.attributes.get(name))
    .find((attribute) => attribute !== undefined);
  if (list?.kind === "ints") return [{ type: "int64", dims: [list.value.length], elements: list.value.map(Number) }];
  return list?.kind === "floats" ? [{ type: "float32", dims: [list.value.length], elements: list.value }] : [];
};

/** Cast: `to` is ONNX's number of the element type. */
const cast: Rule = (call) => [{ type: typeNumber(call, readInt(call.node, "to", 0)), dims: input(call, 0).dims }];

const castLike: Rule = (call) => [{ type: input(call, 1).type, dims: input(call, 0).dims }];

const shape: Rule = (call) => {
  const { dims } = input(call, 0);
  if (dims === undefined) return [{ type: "int64", dims: [null] }];
  const clamp = (axis: number) => Math.min(Math.max(axis < 0 ? axis + dims.length : axis, 0), dims.length);
  const part = dims.slice(clamp(readInt(call.node, "start", 0)), clamp(readInt(call.node, "end", dims.length)));
  return [{ type: "int64", dims: [part.length], elements: part }];
};

const size: Rule = (call) => [
  { type: "int64", dims: [], elements: input(call, 0).dims && [input(call, 0).dims!.reduce(multiply, 1)] },
];

const constantOfShape: Rule = (call) => [
  { type: readTensor(call.node, "value")?.type ?? "float32", dims: input(call, 0).elements ?? rankOf(input(call, 0)) },
];

const range: Rule = (call) => {
  const parts = [0, 1, 2].map((index) => numbersOf(input(call, index))?.[0]);
  const [start, limit, delta] = parts;
  const known = start !== undefined && limit !== undefined && delta !== undefined;
  const symbolic = start === 0 && delta === 1 ? (input(call, 1).elements?.[0] ?? null) : null;
  return [{ type: input(call, 0).type, dims: [known ? Math.max(0, Math.ceil((limit - start) / delta)) : symbolic] }];
};

/** Numbers become those of another type as they are rounded to it; whether a symbol is 0 is not known. */
const converted: ValueRule = {
  kind: "converts",
  sizes: true,
  of: ({ inputs: [source], outputs: [output] }) => {
    if (source === undefined || output!.type !== "bool" || !Array.isArray(source.elements))
      return source && [source.elements];
    return [(source.elements as readonly Dim[]).map((element) => (typeof element === "number" ? element : null))];
  },
};

const filled: ValueRule = {
  kind: "converts",
  sizes: true,
  of: ({ call, outputs: [output] }) => {
    const value = readTensor(call.node, "value");
    const count = output!.dims.reduce((product, size) => product * size, 1);
    return [new Array<Dim>(count).fill(value === undefined ? 0 : numbers(value)[0]!)];
  },
};

const counted: ValueRule = {
  kind: "converts",
  sizes: true,
  of: ({ call, outputs: [output] }) => {
    const [start, , delta] = [0, 1, 2].map((index) => numbersOf(input(call, index))?.[0]);
    if (start === undefined || delta === undefined) return undefined;
    return [Array.from({ length: output!.dims[0]! }, (_, index) => start + index * delta)];
  },
};

export const constants = {
  Constant: {
    signature: calls(0, {
      sparse_value: "other",
      value: "tensor",
      value_float: "float",
      value_floats: "floats",
      value_int: "int",
      value_ints: "ints",
      value_string: "string",
      value_strings: "strings",
    }),
    shapes: constant,
    exact: "always",
  },
  ConstantOfShape: { signature: calls(1, { value: "tensor" }), shapes: constantOfShape, value: filled },
  Range: { signature: calls(3), shapes: range, value: counted },
  EyeLike: { shapes: likeWithType },
  Shape: {
    signature: calls(1, { end: "int", start: "int" }),
    shapes: shape,
    readsShape: true,
    channels: "measured",
    exact: "always",
  },
  Size: { shapes: size, readsShape: true, exact: "always" },
  // Before opset 6 the type was text.
  Cast: {
    signature: calls(1, { saturate: "int" }),
    shapes: cast,
    value: converted,
    reach: inPlace,
    channels: "kept",
    bounded: "first",
  },
  CastLike: { shapes: castLike, value: converted },
} satisfies Family;
