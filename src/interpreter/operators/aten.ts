// The part of the engine's operator bindings that lowerings use, on the device of the network that runs.
import { type Argument, call, callAll as callForAll } from "../../torch/call.js";
import { type Device, defaultDevice } from "../../torch/device.js";
import { fromArray as fromArrayOn } from "../../torch/make.js";
import type { NumberArray } from "../../torch/native.js";
import { unowned } from "../../torch/scope.js";
import type { DType, Tensor } from "../../torch/tensor.js";

export { noGrad } from "../../torch/autograd.js";
export { call } from "../../torch/call.js";
export { unowned } from "../../torch/scope.js";
export { Tensor } from "../../torch/tensor.js";

let device = defaultDevice;

/** Runs a function whose new tensors lie on a device. It must be synchronous. */
export function onDevice<T>(wanted: Device, run: () => T): T {
  const before = device;
  device = wanted;
  try {
    return run();
  } finally {
    device = before;
  }
}

/** A tensor with a copy of the elements, on the present device. */
export function fromArray(data: NumberArray, shape: readonly number[], dtype?: DType): Tensor {
  return fromArrayOn(data, shape, dtype, device);
}

/** A tensor made from nothing ("full", "ones", ...), on the present device. */
export function create(name: string, dtype: DType, ...args: Argument[]): Tensor {
  return call(name, ...args, { dtype, device });
}

/** Calls an operator all of whose results are tensors. */
export function callAll(name: string, ...args: Argument[]): readonly Tensor[] {
  return callForAll(name, ...args) as readonly Tensor[];
}

const kept = new WeakMap<object, Map<string, Tensor>>();

/**
 * The tensor that belongs to an object, made once for each device. It lives until `release` or the garbage collector.
 */
export function keptFor(owner: object, make: () => Tensor): Tensor {
  let tensors = kept.get(owner);
  if (tensors === undefined) kept.set(owner, (tensors = new Map()));
  let tensor = tensors.get(device);
  if (tensor === undefined) tensors.set(device, (tensor = unowned(make)));
  return tensor;
}

export function release(owner: object): void {
  for (const tensor of kept.get(owner)?.values() ?? []) tensor.dispose();
  kept.delete(owner);
}
