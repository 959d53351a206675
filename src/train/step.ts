// One step of training: forward, loss, backward, update; and the search for what went wrong when the loss is not
// finite.

import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { backward, noGrad } from "../torch/autograd.js";
import { call, callAll } from "../torch/call.js";
import { fromArray, inPrecision, type Precision, type Tensor, TensorScope } from "../torch/index.js";
import type { LossScaler } from "./loss-scaler.js";
import { type ApproximatedLayer, totalLoss } from "./losses.js";
import type { Optimizer } from "./optimizers.js";
import type { Recipe } from "./recipe.js";
import type { Batch } from "./sources.js";
import type { SharedGradients } from "./world.js";

/** What is trained, and with which loss. */
export interface Trainer {
  readonly graph: Graph;
  readonly network: Network;
  readonly input: string;
  /** What the loss is of; the task's is of the first. */
  readonly outputs: readonly string[];
  readonly optimizer: Optimizer;
  readonly loss: Recipe["loss"];
  /** Largest norm of all gradients together. */
  readonly clip?: number | undefined;
  /** Of convolutions and products; float32 where it is left out. */
  readonly precision?: Precision;
  /** What keeps gradients of float16 from vanishing. */
  readonly scaler?: LossScaler;
  /** The original network, for distillation. */
  readonly teacher?: Pick<Trainer, "network" | "input" | "outputs"> | undefined;
  readonly layers: readonly ApproximatedLayer[];
  /** Scales of batch norms, where the loss makes them small. */
  readonly scales?: readonly Tensor[];
  /** Where several processes train together. */
  readonly shared?: SharedGradients;
}

/** Losses of one step, averaged over its batch. */
export interface StepLosses {
  readonly loss: number;
  readonly task: number | null;
  readonly approximation: number | null;
  readonly distillation: number | null;
}

/** What came of one step. */
export interface StepResult {
  readonly losses: StepLosses;
  /** True where any of the processes asked to stop. */
  readonly stop: boolean;
}

/**
 * Trains on one batch, or on this process's share of it. `progress` is how much of the training is done, from 0 to 1.
 * @throws FilterBasisError `non-finite`, naming the first layer that is; `group`
 */
export async function trainStep(
  trainer: Trainer,
  batch: Batch,
  rate: number,
  progress: number,
  stop = false,
): Promise<StepResult> {
  using _scope = new TensorScope();
  const { network, teacher, optimizer, loss, layers, scales = [], precision = "float32", scaler } = trainer;
  const placed = (values: NonNullable<Batch["target"]>, dims: readonly number[]) =>
    fromArray(values, dims, undefined, network.device);
  const input = placed(batch.input, batch.inputDims);
  const target = batch.target === null ? null : placed(batch.target, batch.targetDims);
  const parts = inPrecision(precision, network.device, () => {
    const answers = teacher === undefined ? null : noGrad(() => outputsOf(teacher, input, false)).map(inFloat32);
    const outputs = outputsOf(trainer, input, true).map(inFloat32);
    return totalLoss(loss, progress, { outputs, target, teacher: answers, layers, scales });
  });
  const { share = 1 } = batch;
  const weight = share * (trainer.shared?.size ?? 1); // 1 where the batch was shared out evenly
  const total = weight === 1 ? parts.total : call("mul.Scalar", parts.total, weight);
  trainer.shared?.begin();
  backward(scaler === undefined ? total : scaler.scaled(total));
  // Behind the backward: on a GPU the first number that is read waits for all that was queued.
  const value = Number(parts.total.item());
  if (!Number.isFinite(value)) throw notFinite(trainer, input, value);
  const { shared } = trainer;
  const number = (part: Tensor | null): number | null =>
    part === parts.total ? value : part === null ? null : Number(part.item());
  const { task, approximation, distillation } = parts;
  const losses = {
    loss: value,
    task: number(task),
    approximation: number(approximation),
    distillation: number(distillation),
  };
  // Alone, nothing is awaited while the scope is open.
  const result = shared === undefined ? { losses, stop } : await ofAll(shared, share, { losses, stop });
  const parameters = [...network.parameters.values()];
  if (scaler === undefined || scaler.unscale(parameters)) {
    if (trainer.clip !== undefined) clipGradients(parameters, trainer.clip);
    optimizer.step(rate);
  }
  return result;
}

/** Waits for the mean of the gradients; gives the losses of the whole batch: sums of each process's, weighed by share. */
async function ofAll(shared: SharedGradients, share: number, own: StepResult): Promise<StepResult> {
  const { loss, task, approximation, distillation } = own.losses;
  const parts = [loss, task, approximation, distillation].map((part) => (part ?? 0) * share);
  const [sum = 0, ...sums] = await shared.finish([...parts, own.stop ? 1 : 0]);
  const of = (part: number | null, at: number): number | null => (part === null ? null : sums[at]!);
  return {
    losses: { loss: sum, task: of(task, 0), approximation: of(approximation, 1), distillation: of(distillation, 2) },
    stop: sums[3]! > 0,
  };
}

/** Losses are computed in float32, whatever the last layer computed in. */
const inFloat32 = (output: Tensor): Tensor =>
  output.dtype === "float32" ? output : call("to.dtype", output, "float32");

function outputsOf(
  { network, input: name, outputs }: NonNullable<Trainer["teacher"]>,
  input: Tensor,
  training: boolean,
): readonly Tensor[] {
  const made = network.forward(new Map([[name, input]]), { training });
  return outputs.map((tensor) => {
    const output = made.get(tensor);
    if (output !== undefined) return output;
    throw new FilterBasisError("internal", "the network did not give its output", { tensor });
  });
}

/** torch.nn.utils.clip_grad_norm_ with the Euclidean norm. */
function clipGradients(parameters: readonly Tensor[], most: number): void {
  noGrad(() => {
    const gradients = parameters.map((parameter) => parameter.grad).filter((gradient) => gradient !== null);
    const squares = gradients.map((gradient) => Number(call("sum", call("mul.Tensor", gradient, gradient)).item()));
    const norm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
    if (norm > most) callAll("_foreach_mul_.Scalar", gradients, most / (norm + 1e-6));
  });
}

/** Looks for the first parameter, then the first layer in order, whose values are not finite. */
function notFinite({ graph, network, input: inputName }: Trainer, input: Tensor, loss: number): FilterBasisError {
  const finite = (tensor: Tensor): boolean => Boolean(call("all", call("isfinite", tensor)).item());
  const wrong = (message: string, place: object): FilterBasisError =>
    new FilterBasisError("non-finite", `the loss is ${loss}: ${message}`, {
      ...place,
      cures: ["lower the learning rate, add warm-up, or set optimizer.clip", "look for NaN in the data"],
    });
  return noGrad(() => {
    for (const [name, parameter] of network.parameters)
      if (!finite(parameter)) return wrong("a parameter is not finite", { tensor: name });
    if (!finite(input)) return wrong("the batch is not finite", { tensor: inputName });
    const names = graph.nodes.flatMap((node) => node.outputs.filter((name) => name !== ""));
    const values = network.forward(new Map([[inputName, input]]), { training: true, keep: names });
    for (const node of graph.nodes) {
      for (const name of node.outputs) {
        const value = values.get(name);
        if (value?.dtype.startsWith("float") && !finite(value)) {
          return wrong("the first layer whose output is not finite", { layer: nodeName(node), op: node.op });
        }
      }
    }
    return wrong("every layer is finite, the loss itself overflows", {});
  });
}
