// Making and reading node attributes and constant tensors, so that ONNX's spelling stops here.
import { FilterBasisError } from "../errors/error.js";
import type { Attribute, DataType, Node, TensorData } from "./types.js";

const utf8 = new TextEncoder();
const text = new TextDecoder();

export const int = (value: number | bigint): Attribute => ({ kind: "int", value: BigInt(value) });
export const ints = (value: readonly (number | bigint)[]): Attribute => ({ kind: "ints", value: value.map(BigInt) });
export const float = (value: number): Attribute => ({ kind: "float", value: Math.fround(value) });
export const floats = (value: readonly number[]): Attribute => ({ kind: "floats", value: value.map(Math.fround) });
export const string = (value: string): Attribute => ({ kind: "string", value: utf8.encode(value) });
export const tensor = (value: TensorData): Attribute => ({ kind: "tensor", value });

/** The attribute as a number (int64 beyond 2^53 loses digits, which sizes and axes never need), or the default. */
export function readInt<D extends number | undefined>(node: Node, name: string, fallback: D): number | D {
  const attribute = read(node, name, "int");
  return attribute === undefined ? fallback : Number(attribute.value);
}

export function readInts<D extends readonly number[] | undefined>(
  node: Node,
  name: string,
  fallback: D,
): readonly number[] | D {
  const attribute = read(node, name, "ints");
  return attribute === undefined ? fallback : attribute.value.map(Number);
}

export function readFloat<D extends number | undefined>(node: Node, name: string, fallback: D): number | D {
  const attribute = read(node, name, "float");
  return attribute === undefined ? fallback : attribute.value;
}

export function readFloats<D extends readonly number[] | undefined>(
  node: Node,
  name: string,
  fallback: D,
): readonly number[] | D {
  const attribute = read(node, name, "floats");
  return attribute === undefined ? fallback : attribute.value;
}

export function readString<D extends string | undefined>(node: Node, name: string, fallback: D): string | D {
  const attribute = read(node, name, "string");
  return attribute === undefined ? fallback : text.decode(attribute.value);
}

export function readTensor(node: Node, name: string): TensorData | undefined {
  return read(node, name, "tensor")?.value;
}

function read<K extends Attribute["kind"]>(
  node: Node,
  name: string,
  kind: K,
): Extract<Attribute, { kind: K }> | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.kind === kind) return attribute as Extract<Attribute, { kind: K }>;
  throw new FilterBasisError("invalid-graph", `attribute ${name} has the wrong type`, {
    node: nodeName(node),
    op: node.op,
    field: name,
    expected: kind,
    got: attribute.kind,
  });
}

/** How a node is named to people: its name, or its first output where it has none. */
export function nodeName(node: Node): string {
  return node.name || node.outputs.find((output) => output !== "") || node.op;
}

/** A node; attributes as pairs in the order in which they are to be written. */
export function makeNode(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
  { name = "", domain = "" }: { readonly name?: string; readonly domain?: string } = {},
): Node {
  return { op, domain, name, inputs, outputs, attributes: new Map(Object.entries(attributes)) };
}

/** Bytes that one element takes; 0 for strings; a fraction for 4- and 2-bit types. */
export const elementBytes: Readonly<Record<DataType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  string: 0,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
  complex64: 8,
  complex128: 16,
  bfloat16: 2,
  float8e4m3fn: 1,
  float8e4m3fnuz: 1,
  float8e5m2: 1,
  float8e5m2fnuz: 1,
  uint4: 0.5,
  int4: 0.5,
  float4e2m1: 0.5,
  float8e8m0: 1,
  uint2: 0.25,
  int2: 0.25,
};

/** The number of elements of a shape. */
export function elements(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A float32 constant over the given values (no copy). */
export function float32Tensor(dims: readonly number[], values: Float32Array): TensorData {
  return { type: "float32", dims, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** An int64 constant. */
export function int64Tensor(dims: readonly number[], values: readonly (number | bigint)[]): TensorData {
  return { type: "int64", dims, data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}
