// Networks: their outputs with stored or procedural weights, the gradients of one step and the state after two.
import { z } from "zod";
import { backward, fromArray, noGrad, type Tensor, TensorScope } from "../../src/engine/index.js";
import { Network } from "../../src/engine/network.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { elements, float32Tensor } from "../../src/graph/attributes.js";
import { cost } from "../../src/graph/cost.js";
import type { Graph, TensorData } from "../../src/graph/types.js";
import { floats, numbers } from "../../src/graph/values.js";
import { loadWeights } from "../../src/nets/load-weights.js";
import { nameSchemes, translator } from "../../src/nets/names.js";
import { taskLoss } from "../../src/train/losses.js";
import { type OptimizerOptions, optimizer } from "../../src/train/optimizers.js";
import { buildFromConfig } from "./config.js";
import { type Check, type Entry, type Folder, largest, largestDifference, need, parse, type Tensors } from "./entry.js";
import { proceduralTensor } from "./procedural.js";

/** How many times the recorded float error a figure may be off. */
const times = 10;

const train = z.looseObject({
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
const network = z.looseObject({
  config: z.unknown(),
  io: z.string(),
  weights: z.string().optional(),
  tensors: z.string().optional(),
  gain: z.number().default(1),
  params: z.int().optional(),
  aliases: z.record(z.string(), z.string()).default({}),
  max_abs_f32_minus_f64: z.number(),
  max_abs_output: z.number(),
  first_values_check: z.record(z.string(), z.array(z.number())).default({}),
  train: train.optional(),
});
type NetworkEntry = z.infer<typeof network>;
type Training = z.infer<typeof train>;

/** Runs an entry of kind `forward` or `forward_procedural_weights`. */
export function checkNetwork(entry: Entry, folder: Folder): readonly Check[] {
  const o = parse(network, entry, entry.name);
  const io = folder.tensors(o.io);
  const checks: Check[] = [];
  const weights = o.weights === undefined ? procedural(o, io, folder, checks) : folder.tensors(o.weights);
  const { graph } = loadWeights(buildFromConfig(o.config), weights, { aliases: o.aliases, file: o.weights ?? entry.name });
  const input = need(io, "input");
  if (o.params !== undefined)
    checks.push({ what: "parameters", difference: Math.abs(parameterCount(graph) - o.params), allowed: 0 });
  // Counting walks every shape; the inferred output has to be the recorded one.
  const sizes = cost(graph, new Map([["input", input.dims]]))
    .layers.at(-1)
    ?.output.join();
  const expected = need(io, "output");
  if (elements(expected.dims) === 0 || sizes === undefined) checks.push({ what: "shape", difference: 1, allowed: 0 });
  using scope = new TensorScope();
  using net = new Network(graph);
  const output = noGrad(() => run(net, input, false));
  const allowed = times * o.max_abs_f32_minus_f64;
  checks.push({ what: "output", difference: largestDifference(copy(output), expected), allowed });
  const exact = io.get("output_f64");
  if (exact !== undefined) checks.push({ what: "output (float64)", difference: largestDifference(copy(output), exact), allowed });
  if (o.train !== undefined) checks.push(...checkTraining(graph, net, o, o.train, io, folder));
  scope.keep(output);
  output.dispose();
  return checks;
}

function procedural(o: NetworkEntry, io: Tensors, folder: Folder, checks: Check[]): Tensors {
  if (o.tensors === undefined) throw new FilterBasisError("malformed", "the entry has neither weights nor tensors");
  const list = parse(z.array(z.tuple([z.string(), z.array(z.int()), z.string()])), folder.json(o.tensors), o.tensors);
  const made = new Map(list.map(([name, dims, rule]) => [name, proceduralTensor(name, dims, rule, o.gain, io)]));
  for (const [name, first] of Object.entries(o.first_values_check)) {
    const values = floats(need(made, name));
    const off = first.map((value, i) => Math.abs(value - (values[i] ?? Number.NaN)) / Math.abs(value || 1));
    checks.push({ what: `first values of ${name}`, difference: Math.max(...off), allowed: 1e-6 }); // printed to 9 digits
  }
  return made;
}

/** Everything that learns: all float initializers but the running statistics. */
function parameterCount(graph: Graph): number {
  let count = 0;
  for (const [name, { type, dims }] of graph.initializers)
    if (type === "float32" && !/\.running_(mean|var)$/.test(name)) count += elements(dims);
  return count;
}

function run(net: Network, input: TensorData, training: boolean): Tensor {
  const output = net.forward(new Map([["input", fromArray(floats(input), input.dims)]]), { training }).get("output");
  if (output === undefined) throw new FilterBasisError("internal", "the network has no output");
  return output;
}

function copy(tensor: Tensor): TensorData {
  return float32Tensor(tensor.shape, Float32Array.from(tensor.data() as Float32Array));
}

/**
 * The recorded float error is that of the output in evaluation; gradients and states are held to the same part of their own size:
 * 10 x (float error / largest output), of the largest gradient of the tensor or of its largest value, and to 1e-5 of the largest gradient of
 * the network at least: gradients that are 0 but for rounding (a bias before a batch norm) have no size of their own.
 */
function checkTraining(graph: Graph, net: Network, o: NetworkEntry, t: Training, io: Tensors, folder: Folder): readonly Check[] {
  const recorded = folder.tensors(t.file);
  const relative = Math.max((times * o.max_abs_f32_minus_f64) / o.max_abs_output, floor);
  const classify = /cross entropy/i.test(t.loss);
  const target = need(io, classify ? "labels" : "target");
  const truth = classify
    ? fromArray(BigInt64Array.from(numbers(target), BigInt), target.dims, "int64")
    : fromArray(floats(target), target.dims);
  const options: OptimizerOptions =
    t.optimizer === "SGD"
      ? { name: "sgd", momentum: t.momentum ?? 0, nesterov: t.nesterov ?? false, weightDecay: t.weight_decay ?? 0 }
      : { name: "adam", betas: t.betas ?? [0.9, 0.999], eps: t.eps ?? 1e-8, weightDecay: t.weight_decay ?? 0 };
  const toOurs = names(graph, recorded);
  const checks: Check[] = [];
  using steps = optimizer(net.parameters, options);
  for (let step = 0; step < t.steps; step++) {
    using _scope = new TensorScope();
    const loss = taskLoss({ task: classify ? "cross-entropy" : "l1", labelSmoothing: 0, gamma: 0, anneal: "none" }, run(net, need(io, "input"), true), truth) as Tensor; // biome-ignore format: one call
    backward(loss);
    const value = t.losses[step] ?? Number.NaN;
    checks.push({ what: `loss ${step + 1}`, difference: Math.abs(loss.item() - value) / Math.abs(value), allowed: step === 0 ? relative : 10 * relative });
    if (step === 0) checks.push(...compareGradients(net, recorded, toOurs, relative));
    steps.step(t.lr);
  }
  if (t.n_trainable_tensors !== undefined)
    checks.push({ what: "trained tensors", difference: Math.abs(net.parameters.size - t.n_trainable_tensors), allowed: 0 });
  checks.push(compareState(net, recorded, toOurs, relative));
  return checks;
} // biome-ignore format: long lines of data

/** The least part of its size that a float32 computation in another order may be off after a whole network and back. */
const floor = 1e-5;

function compareGradients(net: Network, recorded: Tensors, toOurs: (name: string) => string, relative: number): Check[] {
  const entries = [...recorded].filter(([name]) => name.startsWith("grad."));
  const network = entries.reduce((most, [, tensor]) => Math.max(most, largest(tensor)), 0);
  let worst = 0;
  for (const [name, tensor] of entries) {
    const gradient = net.parameters.get(toOurs(name.slice("grad.".length)))?.grad;
    if (!gradient) throw new FilterBasisError("data-mismatch", "a parameter got no gradient", { tensor: name });
    worst = Math.max(worst, largestDifference(copy(gradient), tensor) / Math.max(largest(tensor), (floor * network) / relative));
  }
  return [{ what: `${entries.length} gradients`, difference: worst, allowed: relative }];
}

function compareState(net: Network, recorded: Tensors, toOurs: (name: string) => string, relative: number): Check {
  const entries = [...recorded].filter(([name]) => name.startsWith("after2."));
  let worst = 0;
  for (const [name, tensor] of entries) {
    const ours = toOurs(name.slice("after2.".length));
    const value = net.parameters.get(ours) ?? net.buffers.get(ours);
    if (value === undefined) throw new FilterBasisError("data-mismatch", "a recorded state has no place", { tensor: name });
    worst = Math.max(worst, largestDifference(copy(value), tensor) / Math.max(largest(tensor), floor));
  }
  return { what: `state of ${entries.length} tensors after 2 steps`, difference: worst, allowed: relative };
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
