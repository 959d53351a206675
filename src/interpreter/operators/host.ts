// Small constants and shapes as plain numbers: shape arithmetic happens in JavaScript and never touches libtorch.
import { elements } from "../../graph/attributes.js";
import type { DataType, Node, TensorData } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";
import { unknown } from "../../ops/rules/call.js";
import { follow } from "../../ops/rules/value.js";
import { operatorOf } from "../../ops/table.js";

/** More elements than this and a constant is kept as a tensor only. */
export const hostLimit = 256;

/**
 * A small tensor as numbers, row-major. float32 values are rounded to float32; int64 beyond 2^53 lose digits (`source`
 * has them all).
 */
export class Host {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  /** The constant that the numbers came from, when they are one. */
  readonly source: TensorData | undefined;

  constructor(type: DataType, dims: readonly number[], values: readonly number[], source?: TensorData) {
    this.type = type;
    this.dims = dims;
    this.values = values;
    this.source = source;
  }
}

/** A constant as numbers, or undefined where it is too large or not numeric. */
export function hostOf(constant: TensorData): Host | undefined {
  if (elements(constant.dims) > hostLimit) return undefined;
  return new Host(constant.type, constant.dims, Array.from(numbers(constant)), constant);
}

/** A vector of int64. */
export const hostInts = (values: readonly number[]): Host => new Host("int64", [values.length], values);

/** A node on plain numbers; undefined where it cannot be computed so, and then it runs on tensors. */
export type HostKernel = (inputs: readonly (Host | undefined)[]) => Host | undefined;

/** The kernel of a node whose result follows from small tensors as shape inference follows them. */
export function hostKernel(node: Node, opset: number): HostKernel | undefined {
  const { shapes, value } = operatorOf(node) ?? {};
  if (shapes === undefined || !value?.sizes || node.outputs.length !== 1) return undefined;
  return (hosts) => {
    const inputs = hosts.map((host) => (host ? { type: host.type, dims: host.dims, elements: host.values } : unknown));
    const call = { node, opset, inputs };
    const [output] = shapes(call);
    const [values] = (output && follow(value, call, [output], hostLimit)) ?? [];
    if (output?.type === undefined || values === undefined || !isKept(output.type, values as readonly number[]))
      return undefined;
    return new Host(output.type, output.dims as readonly number[], values as readonly number[]);
  };
}

/** Are these numbers that the type holds exactly as doubles do? */
function isKept(type: DataType, values: readonly (number | string | null)[]): boolean {
  if (type === "int64" || type === "int32") return values.every(Number.isSafeInteger);
  return (type === "float32" || type === "float64" || type === "bool") && !values.includes(null);
}
