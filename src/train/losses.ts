// What is minimised (Eq. 12): the task's loss, gamma times the distance of the bases from the original filters, and
// distillation.

import { FilterBasisError } from "../errors/error.js";
import { call } from "../torch/call.js";
import type { Tensor } from "../torch/index.js";
import type { Recipe } from "./recipe.js";

type LossOptions = Recipe["loss"];

/** A compressed layer as the approximation term sees it. */
export interface ApproximatedLayer {
  readonly name: string;
  /** Original filters W [n, c, h, w]. */
  readonly original: Tensor;
  /** B [m, p, h, w]; for a slice, the part that the layer reads. */
  readonly basis: () => Tensor;
  /** A [n, s*m, 1, 1]. */
  readonly coefficients: Tensor;
}

/** Loss of one batch and its parts as tensors of no dimension. */
export interface LossParts {
  readonly total: Tensor;
  readonly task: Tensor | null;
  readonly approximation: Tensor | null;
  readonly distillation: Tensor | null;
}

/**
 * The task's loss: mean cross entropy over [N, classes] and int64 [N], or mean absolute or squared error over equal
 * shapes.
 */
export function taskLoss(options: LossOptions, output: Tensor, target: Tensor): Tensor | null {
  switch (options.task) {
    case "cross-entropy":
      return call("cross_entropy_loss", output, target, null, 1, -100, options.labelSmoothing);
    case "l1":
      return call("l1_loss", output, target, 1);
    case "mse":
      return call("mse_loss", output, target, 1);
    case "none":
      return null;
  }
}

/** Sum over layers of ||W - BA||_F^2, with W[o, g*p+i, y, x] ~ sum_j A[o, g*m+j] B[j, i, y, x]. */
export function approximationLoss(layers: readonly ApproximatedLayer[]): Tensor | null {
  let sum: Tensor | null = null;
  for (const { original, basis, coefficients } of layers) {
    const b = basis();
    const [m = 0, ...filter] = b.shape;
    const length = filter.reduce((product, side) => product * side, 1);
    const rebuilt = call("mm", call("reshape", coefficients, [-1, m]), call("reshape", b, [m, length])); // [n s, m] [m, p h w]
    const distance = call("mse_loss", rebuilt, call("reshape", original, [-1, length]), 2); // 2: the sum of the squares
    sum = sum === null ? distance : call("add.Tensor", sum, distance);
  }
  return sum;
}

/**
 * How far the output is from the original network's: the Kullback-Leibler divergence of the soft targets, averaged over
 * the batch and scaled by T^2 (Hinton et al. 2015), or the mean difference of the outputs themselves.
 */
function distillationLoss(options: NonNullable<LossOptions["distill"]>, output: Tensor, teacher: Tensor): Tensor {
  if (options.kind === "l1") return call("l1_loss", output, teacher, 1);
  if (options.kind === "mse") return call("mse_loss", output, teacher, 1);
  const { temperature } = options;
  const logarithms = (scores: Tensor): Tensor => call("log_softmax.int", call("div.Scalar", scores, temperature), 1);
  const divergence = call("kl_div", logarithms(output), logarithms(teacher), 2, { log_target: true }); // 2: the sum
  return call("mul.Scalar", divergence, (temperature * temperature) / (output.shape[0] ?? 1));
}

/**
 * Of all outputs. Where they are several, differences are taken over the size of what the original gives, so that an
 * output of large numbers does not decide alone.
 */
function distillationOfAll(
  options: NonNullable<LossOptions["distill"]>,
  outputs: readonly Tensor[],
  teachers: readonly Tensor[],
): Tensor {
  const terms = outputs.map((output, at) => {
    const teacher = teachers[at]!;
    const own = distillationLoss(options, output, teacher);
    if (outputs.length === 1 || options.kind === "soft-targets") return own;
    const zero = call("zeros_like", teacher);
    const size = Number(distillationLoss(options, zero, teacher).item());
    return call("mul.Scalar", own, 1 / (size || 1)); // an output of zeros alone has no size
  });
  return terms.reduce((sum, term) => call("add.Tensor", sum, term));
}

/** Sum of the absolute values of batch norms' scales (network slimming); its gradient is their sign. */
function sparsityLoss(scales: readonly Tensor[]): Tensor | null {
  return scales.reduce<Tensor | null>((sum, scale) => {
    const one = call("sum", call("abs", scale));
    return sum === null ? one : call("add.Tensor", sum, one);
  }, null);
}

/** Gamma at a progress through the training, 0 to 1. */
export function gammaAt({ gamma, anneal }: LossOptions, progress: number): number {
  if (anneal === "linear") return gamma * (1 - progress);
  if (anneal === "cosine") return (gamma * (1 + Math.cos(Math.PI * progress))) / 2;
  return gamma;
}

/** All parts together; at least one must be there. */
export function totalLoss(
  options: LossOptions,
  progress: number,
  parts: {
    /** What the network gives; the task's loss is of the first. */
    readonly outputs: readonly Tensor[];
    readonly target: Tensor | null;
    /** What the original gives in their places. */
    readonly teacher: readonly Tensor[] | null;
    readonly layers: readonly ApproximatedLayer[];
    /** Of batch norms, for `sparsity`. */
    readonly scales?: readonly Tensor[];
  },
): LossParts {
  const { outputs, target, teacher, layers, scales = [] } = parts;
  const gamma = gammaAt(options, progress);
  const task = target === null ? null : taskLoss(options, outputs[0]!, target);
  const approximation = gamma > 0 ? approximationLoss(layers) : null;
  const distillation =
    options.distill !== undefined && teacher !== null ? distillationOfAll(options.distill, outputs, teacher) : null;
  const weight = options.sparsity ?? 0;
  const sparsity = weight > 0 ? sparsityLoss(scales) : null;
  const terms = [
    task,
    approximation && call("mul.Scalar", approximation, gamma),
    distillation && call("mul.Scalar", distillation, options.distill?.weight ?? 1),
    sparsity && call("mul.Scalar", sparsity, weight),
  ].filter((term) => term !== null);
  const total = terms.reduce<Tensor | null>((sum, term) => (sum === null ? term : call("add.Tensor", sum, term)), null);
  if (total === null) {
    throw new FilterBasisError("invalid-recipe", "nothing to train on", {
      field: "loss",
      expected: "a task, gamma above 0 on a compressed network, or distillation",
    });
  }
  return { total, task, approximation, distillation };
}
