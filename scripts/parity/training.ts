// The gradients of one training step and the state after a few, against recorded ones.
import { z } from "zod";
import { FilterBasisError } from "../../src/errors/error.js";
import { float32Tensor } from "../../src/graph/attributes.js";
import type { Graph, TensorData } from "../../src/graph/types.js";
import { floats, numbers } from "../../src/graph/values.js";
import { Network } from "../../src/interpreter/network.js";
import { Random } from "../../src/linalg/random.js";
import { nameSchemes, translator } from "../../src/nets/names.js";
import { backward, callAll, fromArray, noGrad, type Tensor, TensorScope } from "../../src/torch/index.js";
import { taskLoss } from "../../src/train/losses.js";
import { type OptimizerOptions, optimizer } from "../../src/train/optimizers.js";
import { type Check, type Folder, largest, largestDifference, need, type Tensors } from "./entry.js";

/** How many times the recorded float error a figure may be off. */
export const times = 10;
/** The least part of its size that a float32 computation in another order may be off after a whole network and back. */
const floor = 1e-5;
/** How many times a state may be off from what one rounding of the weights does to it. */
const roundings = 3;

export const trainSchema = z.looseObject({
  loss: z.string(),
  optimizer: z.enum(["SGD", "Adam"]),
  lr: z.number(),
  momentum: z.number().optional(),
  nesterov: z.boolean().optional(),
  weight_decay: z.number().optional(),
  betas: z.tuple([z.number(), z.number()]).optional(),
  eps: z.number().optional(),
  steps: z.int(),
  file: z.string(),
  losses: z.array(z.number()),
  n_trainable_tensors: z.int().optional(),
});
type Training = z.infer<typeof trainSchema>;

interface Trained {
  readonly max_abs_f32_minus_f64: number;
  readonly max_abs_output: number;
  readonly train: Training;
}

export function run(net: Network, input: TensorData, training: boolean): Tensor {
  const output = net.forward(new Map([["input", fromArray(floats(input), input.dims)]]), { training }).get("output");
  if (output === undefined) throw new FilterBasisError("internal", "the network has no output");
  return output;
}

export function copy(tensor: Tensor): TensorData {
  return float32Tensor(tensor.shape, Float32Array.from(tensor.data() as Float32Array));
}

/**
 * What two steps gave: losses, gradients of the first by parameter, parameters and running statistics after the last.
 */
interface Outcome {
  readonly losses: readonly number[];
  readonly gradients: Tensors;
  readonly state: Tensors;
}

/** Trains on one batch. `disturb`: first every weight is moved by one rounding, up or down as this seed has it. */
function train(graph: Graph, t: Training, io: Tensors, disturb?: number): Outcome {
  const classify = /cross entropy/i.test(t.loss);
  const target = need(io, classify ? "labels" : "target");
  const options: OptimizerOptions =
    t.optimizer === "SGD"
      ? { name: "sgd", momentum: t.momentum ?? 0, nesterov: t.nesterov ?? false, weightDecay: t.weight_decay ?? 0 }
      : { name: "adam", betas: t.betas ?? [0.9, 0.999], eps: t.eps ?? 1e-8, weightDecay: t.weight_decay ?? 0 };
  const task = { task: classify ? "cross-entropy" : "l1", labelSmoothing: 0, gamma: 0, anneal: "none" } as const;
  using net = new Network(graph);
  if (disturb !== undefined) moveByOneRounding(net, disturb);
  using steps = optimizer(net.parameters, options);
  const losses: number[] = [];
  let gradients: Tensors = new Map();
  for (let step = 0; step < t.steps; step++) {
    using _scope = new TensorScope();
    const truth = classify
      ? fromArray(BigInt64Array.from(numbers(target), BigInt), target.dims, "int64")
      : fromArray(floats(target), target.dims);
    const loss = taskLoss(task, run(net, need(io, "input"), true), truth) as Tensor;
    backward(loss);
    losses.push(loss.item());
    if (step === 0)
      gradients = new Map(
        [...net.parameters].flatMap(([name, { grad }]) => (grad === null ? [] : [[name, copy(grad)] as const])),
      );
    steps.step(t.lr);
  }
  return {
    losses,
    gradients,
    state: new Map([...net.parameters, ...net.buffers].map(([name, tensor]) => [name, copy(tensor)])),
  };
}

/** Multiplies every weight by 1 + 2^-23 or 1 - 2^-23. */
function moveByOneRounding(net: Network, seed: number): void {
  const random = new Random(seed);
  using _scope = new TensorScope();
  noGrad(() => {
    for (const parameter of net.parameters.values()) {
      const values = Float32Array.from(
        parameter.data() as Float32Array,
        (value) => value * (1 + (random.int(2) * 2 - 1) * 2 ** -23),
      );
      callAll("copy_", parameter, fromArray(values, parameter.shape));
    }
  });
}

/**
 * The recorded float error is that of the output in evaluation; losses and gradients are held to the same part of their
 * own size: 10 x (float error / largest output) of the tensor's largest gradient, and of 1e-5 of the network's largest
 * at least: gradients that are 0 but for rounding (a bias before a batch norm) have no size of their own.
 */
export function checkTraining(
  graph: Graph,
  { max_abs_f32_minus_f64: error, max_abs_output: size, train: t }: Trained,
  io: Tensors,
  folder: Folder,
): readonly Check[] {
  const recorded = folder.tensors(t.file);
  const relative = Math.max((times * error) / size, floor);
  const toOurs = names(graph, recorded);
  const ours = train(graph, t, io);
  const checks = t.losses.map((value, step): Check => {
    const difference = Math.abs((ours.losses[step] ?? Number.NaN) - value) / Math.abs(value);
    return { what: `loss ${step + 1}`, difference, allowed: step === 0 ? relative : times * relative };
  });
  if (t.n_trainable_tensors !== undefined)
    checks.push({
      what: "trained tensors",
      difference: Math.abs(ours.gradients.size - t.n_trainable_tensors),
      allowed: 0,
    });
  checks.push(compareGradients(ours, recorded, toOurs, relative));
  const plain = compareState(ours, recorded, toOurs, relative, t, []);
  // A network in which one rounding grows until the second step is compared by how much it grows.
  if (plain.difference <= 1) return [...checks, plain];
  const disturbed = [1, 2].map((seed) => train(graph, t, io, seed).state);
  return [...checks, compareState(ours, recorded, toOurs, relative, t, disturbed)];
}

function compareGradients(ours: Outcome, recorded: Tensors, toOurs: (name: string) => string, relative: number): Check {
  const entries = [...recorded].filter(([name]) => name.startsWith("grad."));
  const network = largestGradient(recorded);
  let worst = 0;
  for (const [name, tensor] of entries) {
    const gradient = ours.gradients.get(toOurs(name.slice("grad.".length)));
    if (gradient === undefined)
      throw new FilterBasisError("data-mismatch", "a parameter got no gradient", { tensor: name });
    worst = Math.max(
      worst,
      largestDifference(gradient, tensor) / Math.max(largest(tensor), (floor * network) / relative),
    );
  }
  return { what: `${entries.length} gradients`, difference: worst, allowed: relative };
}

/**
 * The state after all steps, each element against its own allowance: the part `relative` of the tensor's largest value,
 * plus what the tolerance on its gradient can do in the steps. SGD moves an element by rate x gradient; Adam by up to
 * its rate, whatever the size of the gradient, so an element whose gradient is nothing but rounding (a bias before a
 * batch norm) may go either way. Plus three times what one rounding of the starting weights does to the tensor, where
 * that was measured.
 */
function compareState(
  ours: Outcome,
  recorded: Tensors,
  toOurs: (name: string) => string,
  relative: number,
  t: Training,
  disturbed: readonly Tensors[],
): Check {
  const entries = [...recorded].filter(([name]) => name.startsWith("after2."));
  const network = largestGradient(recorded);
  let worst = 0;
  for (const [name, tensor] of entries) {
    const plain = name.slice("after2.".length);
    const state = ours.state.get(toOurs(plain));
    if (state === undefined)
      throw new FilterBasisError("data-mismatch", "a recorded state has no place", { tensor: name });
    const [got, wanted] = [floats(state), floats(tensor)];
    const gradient = recorded.get(`grad.${plain}`);
    const slopes = gradient && floats(gradient);
    const noise = gradient === undefined ? 0 : Math.max(relative * largest(gradient), floor * network);
    const grown = Math.max(0, ...disturbed.map((other) => largestDifference(need(other, toOurs(plain)), state)));
    const own = relative * Math.max(largest(tensor), floor) + roundings * grown;
    if (got.length !== wanted.length) worst = Number.POSITIVE_INFINITY;
    for (let i = 0; i < wanted.length; i++) {
      const unsure = t.optimizer === "SGD" ? noise : Math.min(1, noise / Math.abs(slopes?.[i] ?? noise));
      const allowed = own + (gradient === undefined ? 0 : 2 * t.steps * t.lr * unsure);
      const ratio = Math.abs((got[i] as number) - (wanted[i] as number)) / allowed;
      if (!(ratio <= worst)) worst = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
    }
  }
  const measured = disturbed.length > 0 ? " (one rounding grows: measured)" : "";
  return {
    what: `state of ${entries.length} tensors after ${t.steps} steps, of what is allowed${measured}`,
    difference: worst,
    allowed: 1,
  };
}

function largestGradient(recorded: Tensors): number {
  return [...recorded].reduce(
    (most, [name, tensor]) => (name.startsWith("grad.") ? Math.max(most, largest(tensor)) : most),
    0,
  );
}

/** Recorded names to ours, by the scheme that knows them all. */
function names(graph: Graph, recorded: Tensors): (name: string) => string {
  const all = [...recorded.keys()].map((name) => name.slice(name.indexOf(".") + 1));
  for (const scheme of nameSchemes(graph)) {
    const translate = translator(graph, scheme);
    const map = new Map(all.map((name) => [name, translate(name)]));
    if (![...map.values()].includes(undefined)) return (name) => map.get(name) as string;
  }
  throw new FilterBasisError("data-mismatch", "no scheme of names knows all recorded tensors");
}
