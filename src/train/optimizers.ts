// SGD and Adam, computed as PyTorch computes them, over all parameters at once through libtorch's _foreach operators.

import { noGrad } from "../torch/autograd.js";
import { callAll } from "../torch/call.js";
import { type Tensor, TensorScope, unowned, zerosLike } from "../torch/index.js";

export interface SgdOptions {
  readonly name: "sgd";
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

export interface AdamOptions {
  readonly name: "adam";
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

export type OptimizerOptions = SgdOptions | AdamOptions;

/** Changes parameters by their gradients. Owns its state tensors. */
export interface Optimizer extends Disposable {
  /** One step at the given learning rate; consumes and clears every gradient. Parameters without one are skipped. */
  step(rate: number): void;
  /** Steps done and the state tensors by name, for a checkpoint. */
  state(): { readonly steps: number; readonly tensors: ReadonlyMap<string, Tensor> };
  /** Says how many steps the state stands for, after values were copied into the tensors that `state` gives. */
  load(steps: number): void;
}

type Update = (parameters: Tensor[], gradients: Tensor[], slots: Tensor[][], rate: number, steps: number) => void;

/** An optimiser over named parameters. */
export function optimizer(parameters: ReadonlyMap<string, Tensor>, options: OptimizerOptions): Optimizer {
  return options.name === "sgd"
    ? overParameters(parameters, options.momentum === 0 ? [] : ["momentum"], sgdUpdate(options))
    : overParameters(parameters, ["exp_avg", "exp_avg_sq"], adamUpdate(options));
}

function overParameters(
  parameters: ReadonlyMap<string, Tensor>,
  slotNames: readonly string[],
  update: Update,
): Optimizer {
  const names = [...parameters.keys()];
  const tensors = [...parameters.values()];
  // Zeros stand for PyTorch's "not there yet": the first step then gives the same numbers.
  const slots = noGrad(() => slotNames.map(() => tensors.map((parameter) => unowned(() => zerosLike(parameter)))));
  let steps = 0;

  const step = (rate: number): void => {
    using _scope = new TensorScope();
    noGrad(() => {
      const gradients = tensors.map((parameter) => parameter.grad);
      const present = gradients.flatMap((gradient, i) => (gradient === null ? [] : [i]));
      if (present.length === 0) return;
      const pick = (list: readonly Tensor[]): Tensor[] => present.map((i) => list[i] as Tensor);
      steps += 1;
      update(pick(tensors), pick(gradients as Tensor[]), slots.map(pick), rate, steps);
      for (const i of present) (tensors[i] as Tensor).grad = null;
    });
  };

  const slotEntries = (): [string, Tensor][] =>
    slotNames.flatMap((slot, k) =>
      names.map((name, i): [string, Tensor] => [`${slot}.${name}`, slots[k]?.[i] as Tensor]),
    );

  return {
    step,
    state: () => ({ steps, tensors: new Map(slotEntries()) }),
    load(newSteps) {
      steps = newSteps;
    },
    [Symbol.dispose]() {
      for (const slot of slots) for (const tensor of slot) tensor.dispose();
    },
  };
}

/** torch.optim.SGD with dampening 0. */
function sgdUpdate({ momentum, nesterov, weightDecay }: SgdOptions): Update {
  return (parameters, gradients, slots, rate) => {
    if (weightDecay !== 0) callAll("_foreach_add_.List", gradients, parameters, { alpha: weightDecay });
    const buffers = slots[0];
    if (buffers === undefined) {
      callAll("_foreach_add_.List", parameters, gradients, { alpha: -rate });
      return;
    }
    callAll("_foreach_mul_.Scalar", buffers, momentum);
    callAll("_foreach_add_.List", buffers, gradients, { alpha: 1 });
    if (nesterov) callAll("_foreach_add_.List", gradients, buffers, { alpha: momentum });
    callAll("_foreach_add_.List", parameters, nesterov ? gradients : buffers, { alpha: -rate });
  };
}

/** torch.optim.Adam without amsgrad. */
function adamUpdate({ betas: [beta1, beta2], eps, weightDecay }: AdamOptions): Update {
  return (parameters, gradients, slots, rate, steps) => {
    const [averages, squares] = slots as [Tensor[], Tensor[]];
    if (weightDecay !== 0) callAll("_foreach_add_.List", gradients, parameters, { alpha: weightDecay });
    callAll("_foreach_mul_.Scalar", averages, beta1);
    callAll("_foreach_add_.List", averages, gradients, { alpha: 1 - beta1 });
    callAll("_foreach_mul_.Scalar", squares, beta2);
    callAll("_foreach_addcmul_.Scalar", squares, gradients, gradients, 1 - beta2);
    const denominators = callAll("_foreach_sqrt", squares) as readonly Tensor[];
    callAll("_foreach_div_.Scalar", denominators, Math.sqrt(1 - beta2 ** steps));
    callAll("_foreach_add_.Scalar", denominators, eps);
    callAll("_foreach_addcdiv_.Scalar", parameters, averages, denominators, -rate / (1 - beta1 ** steps));
  };
}
