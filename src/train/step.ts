// One step of training: forward, loss, backward, update; and the search for what went wrong when the loss is not
// finite.

import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { backward, noGrad } from "../torch/autograd.js";
import { call, callAll } from "../torch/call.js";
import { fromArray, type Tensor, TensorScope } from "../torch/index.js";
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
  readonly output: string;
  readonly optimizer: Optimizer;
  readonly loss: Recipe["loss"];
  /** Largest norm of all gradients together. */
  readonly clip?: number | undefined;
  /** The original network, for distillation. */
  readonly teacher?: { readonly network: Network; readonly input: string; readonly output: string } | undefined;
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
  const { network, teacher, optimizer, loss, layers, scales = [] } = trainer;
  const placed = (values: NonNullable<Batch["target"]>, dims: readonly number[]) =>
    fromArray(values, dims, undefined, network.device);
  const input = placed(batch.input, batch.inputDims);
  const target = batch.target === null ? null : placed(batch.target, batch.targetDims);
  const answer =
    teacher === undefined ? null : noGrad(() => outputOf(teacher.network, teacher.input, teacher.output, input, false));
  const output = outputOf(network, trainer.input, trainer.output, input, true);
  const parts = totalLoss(loss, progress, { output, target, teacher: answer, layers, scales });
  const value = Number(parts.total.item());
  if (!Number.isFinite(value)) throw notFinite(trainer, input, value);
  const losses = {
    loss: value,
    task: numberOf(parts.task),
    approximation: numberOf(parts.approximation),
    distillation: numberOf(parts.distillation),
  };
  const own: StepResult = { losses, stop };
  const { shared } = trainer;
  // Alone, nothing is awaited while the scope is open.
  const result = shared === undefined ? own : await backwardTogether(shared, parts.total, batch.share ?? 1, own);
  if (shared === undefined) backward(parts.total);
  if (trainer.clip !== undefined) clipGradients([...network.parameters.values()], trainer.clip);
  optimizer.step(rate);
  return result;
}

const numberOf = (part: Tensor | null): number | null => (part === null ? null : Number(part.item()));

/**
 * The backward pass, after which every process holds the gradients and losses of the whole batch: means over the
 * processes, each weighed by its share.
 */
async function backwardTogether(
  shared: SharedGradients,
  total: Tensor,
  share: number,
  own: StepResult,
): Promise<StepResult> {
  const { loss, task, approximation, distillation } = own.losses;
  const parts = [loss, task, approximation, distillation].map((part) => (part ?? 0) * share);
  shared.begin([...parts, own.stop ? 1 : 0]);
  const weight = share * shared.size; // 1 where the batch was shared out evenly
  backward(weight === 1 ? total : call("mul.Scalar", total, weight));
  const [sum = 0, ...sums] = await shared.finish();
  const of = (part: number | null, at: number): number | null => (part === null ? null : sums[at]!);
  return {
    losses: { loss: sum, task: of(task, 0), approximation: of(approximation, 1), distillation: of(distillation, 2) },
    stop: sums[3]! > 0,
  };
}

function outputOf(network: Network, inputName: string, outputName: string, input: Tensor, training: boolean): Tensor {
  const output = network.forward(new Map([[inputName, input]]), { training }).get(outputName);
  if (output === undefined)
    throw new FilterBasisError("internal", "the network did not give its output", { tensor: outputName });
  return output;
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
