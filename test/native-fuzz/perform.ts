// Performs a random call in this process.

import type { Argument } from "../../src/torch/call.js";
import { backward, call, callAll, fromArray, Tensor, TensorScope, type Value } from "../../src/torch/index.js";
import type { NumberArray } from "../../src/torch/native.js";
import { type ArgumentSpec, type CallSpec, elementOf, type TensorSpec } from "./calls.js";

/** "returned", or the message of the error; anything else that happens to the process is a crash. */
export function perform(spec: CallSpec): string {
  try {
    using _scope = new TensorScope();
    const named = Object.fromEntries(Object.entries(spec.args).map(([name, value]) => [name, argument(value)]));
    const results = callAll(spec.operator, named);
    const first = results.find((result): result is Tensor => result instanceof Tensor);
    if (spec.backward && first?.requiresGrad) backward(call("sum", first));
    results.forEach(touch);
    return "returned";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Reads every element of small results: a result that points nowhere must be found here and not later. */
function touch(value: Value): void {
  if (Array.isArray(value)) value.forEach(touch);
  else if (
    value instanceof Tensor &&
    value.device === "cpu" &&
    value.size <= 1 << 16 &&
    !value.dtype.startsWith("complex")
  )
    value.data();
}

function argument(spec: ArgumentSpec): Argument {
  if (spec === null || typeof spec !== "object") return spec;
  if (spec.kind === "tensor") return build(spec);
  if (spec.kind === "list") return spec.items.map(argument);
  return spec.kind === "float" ? Number(spec.text.replace("inf", "Infinity").replace("nan", "NaN")) : spec.text;
}

function build(spec: TensorSpec): Tensor {
  const count = spec.shape.reduce((product, length) => product * length, 1);
  const elements = Array.from({ length: count }, (_, k) => elementOf(spec.dtype, spec.fill, k));
  let tensor = fromArray(stored(spec.dtype, elements), spec.shape, spec.dtype === "bool" ? "bool" : undefined);
  if (tensor.dtype !== spec.dtype) tensor = call("to.dtype", tensor, spec.dtype);
  if (spec.view === "reversed") tensor = call("permute", tensor, [...spec.shape.keys()].reverse());
  if (spec.view === "stepped" && spec.shape.length > 0)
    tensor = call("slice.Tensor", tensor, spec.shape.length - 1, 0, null, 2);
  if (spec.requiresGrad && /float|complex/.test(spec.dtype)) {
    tensor = call("detach", tensor);
    tensor.requiresGrad = true;
  }
  return tensor;
}

function stored(dtype: string, elements: number[]): NumberArray {
  if (dtype === "float64") return Float64Array.from(elements);
  if (dtype === "int32") return Int32Array.from(elements);
  if (dtype === "int64") return BigInt64Array.from(elements.map(BigInt));
  return dtype === "bool" || dtype === "uint8" ? Uint8Array.from(elements) : Float32Array.from(elements);
}
