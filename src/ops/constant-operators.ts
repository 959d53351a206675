// What operators make of constants. (Small tensors of sizes are followed by shape inference; these are weights, of any size.)

import type { DataType, TensorData } from "../graph/types.js";
import { computations } from "./compute.js";
import { moves } from "./move.js";
import type { Call, Known } from "./rules/call.js";

/** A tensor's type and shape in numbers. */
export interface Whole {
  readonly type: DataType;
  readonly dims: readonly number[];
}

/** A node all of whose inputs are constants. */
export interface ConstantCall {
  readonly call: Call;
  /** The inputs; undefined where one is left out. */
  readonly tensors: readonly (TensorData | undefined)[];
  readonly outputs: readonly Whole[];
}

/** A node's outputs; undefined where they cannot be computed here. */
export type Evaluation = (call: ConstantCall) => readonly TensorData[] | undefined;

/** The outputs of a node of the standard domain over constants; undefined where they cannot be computed here. */
export function evaluateConstant(
  call: Call,
  tensors: ConstantCall["tensors"],
  known: readonly Known[],
): readonly TensorData[] | undefined {
  const { node } = call;
  const table = Object.hasOwn(moves, node.op) ? moves : computations;
  const evaluation = node.domain === "" && Object.hasOwn(table, node.op) ? table[node.op] : undefined;
  const outputs = known.flatMap(({ type, dims }): Whole[] =>
    type !== undefined && dims?.every((dim) => typeof dim === "number") ? [{ type, dims: dims as readonly number[] }] : [],
  );
  if (evaluation === undefined || outputs.length !== node.outputs.length || node.outputs.includes("")) return undefined;
  const made = evaluation({ call, tensors, outputs });
  return made?.every((tensor, at) => fits(tensor, outputs[at]!)) ? made : undefined;
}

const fits = (tensor: TensorData, { type, dims }: Whole): boolean =>
  tensor.type === type && tensor.dims.length === dims.length && tensor.dims.every((dim, axis) => dim === dims[axis]);
