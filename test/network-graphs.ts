// Small graphs for tests of the interpreter, in few words.
import { describe } from "vitest";
import { FilterBasisError } from "../src/errors/error.js";
import { float32Tensor, makeNode } from "../src/graph/attributes.js";
import type { Attribute, Graph, LocalFunction, Node, TensorData } from "../src/graph/types.js";
import { unloadableReason } from "../src/torch/native.js";
import { fromArray } from "../src/torch/tensor.js";

const reason = unloadableReason();
export const engine = describe.skipIf(reason !== undefined);
export const skipNote = reason === undefined ? "" : ` (${reason})`;

export interface Parts {
  readonly nodes: readonly Node[];
  readonly constants?: Readonly<Record<string, TensorData>>;
  readonly inputs?: Graph["inputs"];
  readonly outputs?: readonly string[];
  readonly functions?: readonly LocalFunction[];
  readonly opset?: number;
}

export function graph({
  nodes,
  constants = {},
  inputs = [{ name: "x", tensor: { type: "float32" } }],
  ...rest
}: Parts): Graph {
  const { outputs = ["y"], functions, opset = 17 } = rest;
  return {
    name: "test",
    nodes,
    initializers: new Map(Object.entries(constants)),
    inputs,
    outputs: outputs.map((name) => ({ name })),
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
    ...(functions && { functions }),
  };
}

export const real = (dims: readonly number[], ...values: number[]): TensorData =>
  float32Tensor(dims, Float32Array.from(values));
export const weights = (...dims: number[]): TensorData => {
  const count = dims.reduce((a, b) => a * b, 1);
  return real(dims, ...Array.from({ length: count }, (_, i) => Math.sin(i + 1)));
};
export const node = (
  op: string,
  inputs: string,
  outputs: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Node => makeNode(op, inputs.split(" "), outputs.split(" "), attributes, { name: `the ${op}` });
export const feed = (dims: readonly number[], ...values: number[]) =>
  new Map([["x", fromArray(Float32Array.from(values), dims)]]);

/** The error that a function throws. */
export function thrown(run: () => unknown): FilterBasisError {
  try {
    run();
  } catch (error) {
    if (error instanceof FilterBasisError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
