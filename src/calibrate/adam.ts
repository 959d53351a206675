// Adam over few tensors, each at a rate of its own.
import { call, callAll, noGrad, type Tensor, TensorScope, unowned, zerosLike } from "../torch/index.js";

export interface FineTuning {
  readonly parameter: Tensor;
  readonly rate: number;
}

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** Owns its state: dispose it. Every step uses the gradients up. */
export class Adam implements Disposable {
  readonly #learning: readonly FineTuning[];
  readonly #averages: readonly Tensor[];
  readonly #squares: readonly Tensor[];
  #steps = 0;

  constructor(learning: readonly FineTuning[]) {
    this.#learning = learning;
    const zeros = () => noGrad(() => unowned(() => learning.map(({ parameter }) => zerosLike(parameter))));
    this.#averages = zeros();
    this.#squares = zeros();
  }

  /** @param factor of every rate */
  step(factor: number): void {
    using _scope = new TensorScope();
    this.#steps++;
    noGrad(() => {
      for (const [i, { parameter, rate }] of this.#learning.entries()) {
        const gradient = parameter.grad;
        if (gradient === null) continue;
        const [average, square] = [this.#averages[i]!, this.#squares[i]!];
        callAll("mul_.Scalar", average, beta1);
        callAll("add_.Tensor", average, gradient, { alpha: 1 - beta1 });
        callAll("mul_.Scalar", square, beta2);
        callAll("addcmul_", square, gradient, gradient, { value: 1 - beta2 });
        const scale = call("add.Scalar", call("sqrt", call("div.Scalar", square, 1 - beta2 ** this.#steps)), epsilon);
        callAll("addcdiv_", parameter, average, scale, { value: (-rate * factor) / (1 - beta1 ** this.#steps) });
        parameter.grad = null;
      }
    });
  }

  [Symbol.dispose](): void {
    for (const tensor of [...this.#averages, ...this.#squares]) tensor.dispose();
  }
}
