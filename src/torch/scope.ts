// Who owns a tensor: the innermost scope, unless it is kept.
import { FilterBasisError } from "../errors/error.js";
import { giveHandle, goneHandle } from "./handles.js";
import { type Handle, loadEngine } from "./native.js";
import type { Tensor } from "./tensor.js";

let innermost: TensorScope | undefined;

/**
 * Tensors made while a scope is the innermost one belong to it and are disposed with it.
 * Scopes nest and are closed in reverse order: `using scope = new TensorScope();`
 */
export class TensorScope implements Disposable {
  readonly #outer: TensorScope | undefined = innermost;
  #owned: Tensor[] | undefined = [];

  constructor() {
    innermost = this;
  }

  /** Hands a tensor to the scope around this one; without one, to the garbage collector or to whoever disposes it. */
  keep<T extends Tensor>(tensor: T): T {
    if (this.#owned === undefined) throw new FilterBasisError("internal", "the scope is closed");
    const at = this.#owned.lastIndexOf(tensor);
    if (at >= 0) {
      this.#owned.splice(at, 1);
      this.#outer?.own(tensor);
    }
    return tensor;
  }

  /** @internal */
  own(tensor: Tensor): void {
    this.#owned?.push(tensor);
  }

  [Symbol.dispose](): void {
    if (this.#owned === undefined) return;
    if (innermost !== this) throw new FilterBasisError("internal", "scopes must be closed innermost first");
    innermost = this.#outer;
    const tensors = this.#owned;
    this.#owned = undefined;
    disposeAll(tensors);
  }
}

/** The scope that owns new tensors, if any. */
export function innermostScope(): TensorScope | undefined {
  return innermost;
}

/** Runs a function in a scope of its own; the tensors that it returns survive, the others do not. */
export function tidy<T extends Tensor | readonly Tensor[] | undefined>(run: () => T): T {
  using scope = new TensorScope();
  const result = run();
  if (Array.isArray(result)) for (const tensor of result) scope.keep(tensor);
  else if (result !== undefined) scope.keep(result as Tensor);
  return result;
}

/**
 * Runs a function whose new tensors belong to no scope: for parameters and optimiser state that outlive the step which
 * makes them.
 */
export function unowned<T>(run: () => T): T {
  const before = innermost;
  innermost = undefined;
  try {
    return run();
  } finally {
    innermost = before;
  }
}

/** Disposes many tensors in one crossing. */
function disposeAll(tensors: readonly Tensor[]): void {
  const gone = goneHandle();
  const handles: Handle[] = [];
  for (const tensor of tensors) {
    if (tensor.handle === gone) continue;
    handles.push(tensor.handle);
    tensor.handle = gone;
  }
  if (handles.length === 0) return;
  loadEngine().disposeAll(handles);
  for (const handle of handles) giveHandle(handle);
}
