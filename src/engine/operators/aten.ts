// The part of the engine's face that lowerings use.
import { type Argument, callAll as callForAll } from "../call.js";
import type { Tensor } from "../tensor.js";

export { noGrad } from "../autograd.js";
export { call } from "../call.js";
export { unowned } from "../scope.js";
export { fromArray, Tensor } from "../tensor.js";

/** Calls an operator all of whose results are tensors. */
export function callAll(name: string, ...args: Argument[]): readonly Tensor[] {
  return callForAll(name, ...args) as readonly Tensor[];
}
