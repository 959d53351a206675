// Gradients: recording on and off, backward, gradients of chosen inputs.
import { engineError, guarded } from "./errors.js";
import { loadEngine } from "./native.js";
import { Tensor } from "./tensor.js";

/** Runs a function without recording for gradients. It must be synchronous: the switch belongs to the thread. */
export function noGrad<T>(run: () => T): T {
  return withGrad(false, run);
}

/** Runs a function with recording switched on or off. */
export function withGrad<T>(enabled: boolean, run: () => T): T {
  const engine = loadEngine();
  const before = engine.setGradEnabled(enabled);
  try {
    return run();
  } finally {
    engine.setGradEnabled(before);
  }
}

/** Adds the gradients of a scalar loss (or of a tensor with the gradient given) to the leaves that require them. */
export function backward(
  loss: Tensor,
  o: { gradient?: Tensor; retainGraph?: boolean; createGraph?: boolean } = {},
): void {
  const gradient = o.gradient && [o.gradient.handle];
  guarded("backward", () => loadEngine().backward([loss.handle], gradient, o.retainGraph, o.createGraph));
}

/** As backward, on the engine's private thread: the event loop lives meanwhile. */
export async function backwardAsync(loss: Tensor): Promise<void> {
  try {
    await loadEngine().backwardAsync([loss.handle]);
  } catch (error) {
    throw engineError(error, "backward");
  }
}

/**
 * The gradients of the inputs, in their order; null for an input that the outputs do not depend on, which `allowUnused`
 * permits.
 */
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  o: { outputGradients?: readonly Tensor[]; retainGraph?: boolean; createGraph?: boolean; allowUnused?: boolean } = {},
): readonly (Tensor | null)[] {
  const handles = (tensors: readonly Tensor[]) => tensors.map((tensor) => tensor.handle);
  const outer = o.outputGradients && handles(o.outputGradients);
  const found = guarded("gradients", () =>
    loadEngine().gradients(handles(outputs), handles(inputs), outer, o.retainGraph, o.createGraph, o.allowUnused),
  );
  return found.map((handle) => handle && new Tensor(handle));
}
