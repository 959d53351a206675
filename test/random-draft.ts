// What a randomly drawn graph is made with: choices, odd names, and constants stored in every way that exporters have.
import { int, int64Tensor, ints, makeNode, tensor } from "../src/graph/attributes.js";
import type { Attribute, DataType, Node, TensorData } from "../src/graph/types.js";
import { dataTypes } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import type { Random } from "../src/linalg/random.js";

/** A value that later nodes may read, with its sizes at the drawn inputs. */
export interface Live {
  readonly name: string;
  readonly dims: readonly number[];
}

export interface Draft {
  readonly random: Random;
  readonly opset: number;
  /** Element type of everything that is computed. */
  readonly type: DataType;
  readonly nodes: Node[];
  readonly initializers: Map<string, TensorData>;
  readonly live: Live[];
  /** Weights of convolutions, for other convolutions that fit to share: name of the value, its sizes, its groups. */
  readonly shareable: { readonly name: string; readonly dims: readonly number[]; readonly group: number }[];
  /** Outputs of nodes besides the first that the graph may give out. */
  readonly extras: string[];
  /** Values that the graph gives out. */
  readonly kept: string[];
}

export const newDraft = (random: Random, opset: number, type: DataType): Draft => ({
  random,
  opset,
  type,
  nodes: [],
  initializers: new Map(),
  live: [],
  shareable: [],
  extras: [],
  kept: [],
});

export const one = <T>({ random }: Draft, ...list: readonly T[]): T => list[random.int(list.length)]!;
export const chance = ({ random }: Draft, share: number): boolean => random.next() < share;
export const between = ({ random }: Draft, low: number, high: number): number => low + random.int(high - low + 1);
export const several = (draft: Draft, count: number, low: number, high: number): number[] =>
  Array.from({ length: count }, () => between(draft, low, high));

const oddNames = [
  "",
  "",
  "卷积",
  "a b",
  "a=b",
  'say "x"',
  "x,y;z",
  "*",
  "layer?",
  "__proto__",
  "constructor",
  "é/ß",
  "n".repeat(90),
];

/** A name of a value: never twice, sometimes odd. */
export function valueName(draft: Draft): string {
  const number = draft.nodes.length + draft.initializers.size;
  return chance(draft, 0.2) ? `${one(draft, ...oddNames)}#${number}` : `v${number}`;
}

/** A name of a node: empty, odd, or that of a value. (ONNX Runtime refuses two nodes of one name.) */
function nodeName(draft: Draft, output: string): string {
  if (chance(draft, 0.15)) return "";
  if (chance(draft, 0.15)) return output;
  const number = draft.nodes.length;
  return chance(draft, 0.2) ? `${one(draft, ...oddNames)} ${number}` : `node${number}`;
}

/** Adds a node with one output (and more, whose names are given); returns that output's name. */
export function put(
  draft: Draft,
  op: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  more: readonly string[] = [],
): string {
  const output = valueName(draft);
  draft.nodes.push(makeNode(op, inputs, [output, ...more], attributes, { name: nodeName(draft, output) }));
  return output;
}

export function putLive(draft: Draft, name: string, dims: readonly number[]): Live {
  const made = { name, dims };
  draft.live.push(made);
  return made;
}

/** An initializer. */
export function initializer(draft: Draft, data: TensorData): string {
  const name = valueName(draft);
  draft.initializers.set(name, data);
  return name;
}

export const integers = (draft: Draft, values: readonly number[]): string =>
  initializer(draft, int64Tensor([values.length], values));

/** Normal numbers of the given deviation about a mean, in the draft's type. */
export function numbersOf(draft: Draft, dims: readonly number[], deviation = 1, mean = 0): TensorData {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const values = Float64Array.from({ length: count }, () => mean + deviation * draft.random.normal());
  return tensorOf(draft.type, dims, values);
}

/** Positive numbers. */
export function positive(draft: Draft, dims: readonly number[]): TensorData {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return tensorOf(
    draft.type,
    dims,
    Float64Array.from({ length: count }, () => 0.3 + 2 * draft.random.next()),
  );
}

const typeNumber = (type: DataType): Attribute => int(dataTypes.indexOf(type) + 1);

/** A constant, stored in one of the ways that exporters have; the value that holds it. */
export function constant(draft: Draft, data: TensorData): string {
  const ways = [
    initial,
    initial,
    initial,
    initial,
    constantNode,
    identity,
    transposed,
    scaled,
    cast,
    reshaped,
    unsqueezed,
    shifted,
  ];
  return one(draft, ...ways)(draft, data);
}

const initial = initializer;
const constantNode = (draft: Draft, data: TensorData) => put(draft, "Constant", [], { value: tensor(data) });
const identity = (draft: Draft, data: TensorData) =>
  put(draft, "Identity", [one(draft, initial, constantNode)(draft, data)]);

function transposed(draft: Draft, data: TensorData): string {
  const { dims, type } = data;
  const rank = dims.length;
  if (rank < 2) return initial(draft, data);
  // the last axis is stored first: [d0, ..., dk] is Transpose([dk, d0, ...], perm = [1, ..., k, 0])
  const last = dims[rank - 1]!;
  const rows = dims.slice(0, -1).reduce((product, dim) => product * dim, 1);
  const size = type === "float16" ? 2 : 4;
  const bytes = new Uint8Array(data.data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < last; column++) {
      const from = (row * last + column) * size;
      bytes.set(data.data.subarray(from, from + size), (column * rows + row) * size);
    }
  }
  const stored = { type, dims: [last, ...dims.slice(0, -1)], data: bytes };
  const perm = [...dims.slice(1).map((_, axis) => axis + 1), 0];
  return put(draft, "Transpose", [initial(draft, stored)], { perm: ints(perm) });
}

function scaled(draft: Draft, data: TensorData): string {
  const factor = tensorOf(data.type, chance(draft, 0.5) ? [] : [1], [one(draft, 0.5, 1.25, 2)]);
  return put(draft, "Mul", [initial(draft, data), one(draft, initial, constantNode)(draft, factor)]);
}

function shifted(draft: Draft, data: TensorData): string {
  const shift = tensorOf(data.type, [], [one(draft, 0, 0.01)]);
  return put(draft, "Add", [initial(draft, shift), initial(draft, data)]);
}

function cast(draft: Draft, data: TensorData): string {
  const from = one<DataType>(draft, "float16", "float64");
  const stored = tensorOf(
    from,
    data.dims,
    Float64Array.from({ length: elementsOf(data) }, () => 0.4 * draft.random.normal()),
  );
  return put(draft, "Cast", [initial(draft, positiveLike(draft, data) ? positiveOf(stored, draft, from) : stored)], {
    to: typeNumber(data.type),
  });
}

const elementsOf = ({ dims }: TensorData): number => dims.reduce((product, dim) => product * dim, 1);
/** Vectors may be variances, which must stay positive. */
const positiveLike = (_: Draft, { dims }: TensorData): boolean => dims.length < 2;
const positiveOf = (stored: TensorData, { random }: Draft, type: DataType): TensorData =>
  tensorOf(
    type,
    stored.dims,
    Float64Array.from({ length: elementsOf(stored) }, () => 0.3 + random.next()),
  );

function reshaped(draft: Draft, data: TensorData): string {
  const flat = { ...data, dims: [elementsOf(data)] };
  return put(draft, "Reshape", [initial(draft, flat), integers(draft, data.dims)]);
}

function unsqueezed(draft: Draft, data: TensorData): string {
  const wide = { ...data, dims: [1, ...data.dims] };
  if (draft.opset < 13) return put(draft, "Squeeze", [initial(draft, wide)], { axes: ints([0]) });
  return put(draft, "Squeeze", [initial(draft, wide), integers(draft, [0])]);
}
