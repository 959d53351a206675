// Dynamic loss scaling (Micikevicius et al. 2018, section 3.2): gradients of float16 would round to zero, so the loss is
// multiplied before the backward and the gradients are divided after it; a step whose gradients overflow is skipped.
import { noGrad } from "../torch/autograd.js";
import { call, callAll } from "../torch/call.js";
import type { Tensor } from "../torch/index.js";

const first = 65536;
const growth = 2;
const backoff = 0.5;
/** Steps without an overflow after which the scale grows. */
const interval = 2000;

/** The scale and how it changes; a checkpoint keeps it. */
export class LossScaler {
  #scale = first;
  #good = 0;

  /** The loss, multiplied. */
  scaled(loss: Tensor): Tensor {
    return call("mul.Scalar", loss, this.#scale);
  }

  /**
   * Divides the parameters' gradients. False where one of them is not finite: the gradients are gone, and the step is
   * to be skipped.
   */
  unscale(parameters: readonly Tensor[]): boolean {
    return noGrad(() => {
      const gradients = parameters.map(({ grad }) => grad).filter((gradient) => gradient !== null);
      callAll("_foreach_mul_.Scalar", gradients, 1 / this.#scale);
      const norms = callAll("_foreach_norm.Scalar", gradients, 2) as readonly Tensor[];
      const finite = Boolean(call("all", call("isfinite", call("stack", norms, 0))).item());
      if (!finite) for (const parameter of parameters) parameter.grad = null;
      this.#adapt(finite);
      return finite;
    });
  }

  /** What a checkpoint keeps. */
  save(): { readonly scale: number; readonly good: number } {
    return { scale: this.#scale, good: this.#good };
  }

  load({ scale, good }: { readonly scale: number; readonly good: number }): void {
    this.#scale = scale;
    this.#good = good;
  }

  #adapt(finite: boolean): void {
    if (!finite) this.#scale = Math.max(1, this.#scale * backoff);
    this.#good = finite ? this.#good + 1 : 0;
    if (this.#good < interval) return;
    this.#scale *= growth;
    this.#good = 0;
  }
}
