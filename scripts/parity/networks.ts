// Networks: their outputs with stored or procedural weights, the gradients of one step and the state after two.
import { z } from "zod";
import { FilterBasisError } from "../../src/errors/error.js";
import { elements } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { floats } from "../../src/graph/values.js";
import { Network } from "../../src/interpreter/network.js";
import { loadWeights } from "../../src/nets/load-weights.js";
import { noGrad, TensorScope } from "../../src/torch/index.js";
import { buildFromConfig } from "./config.js";
import { type Check, type Entry, type Folder, largestDifference, need, parse, type Tensors } from "./entry.js";
import { proceduralTensor } from "./procedural.js";
import { checkTraining, copy, run, times, trainSchema } from "./training.js";

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
  train: trainSchema.optional(),
});
type NetworkEntry = z.infer<typeof network>;

/** Runs an entry of kind `forward` or `forward_procedural_weights`. */
export function checkNetwork(entry: Entry, folder: Folder): readonly Check[] {
  const o = parse(network, entry, entry.name);
  const io = folder.tensors(o.io);
  const checks: Check[] = [];
  const weights = o.weights === undefined ? procedural(o, io, folder, checks) : folder.tensors(o.weights);
  const { graph } = loadWeights(buildFromConfig(o.config), weights, {
    aliases: o.aliases,
    file: o.weights ?? entry.name,
  });
  const input = need(io, "input");
  if (o.params !== undefined)
    checks.push({ what: "parameters", difference: Math.abs(parameterCount(graph) - o.params), allowed: 0 });
  const expected = need(io, "output");
  using _scope = new TensorScope();
  using net = new Network(graph);
  const output = noGrad(() => run(net, input, false));
  const allowed = times * o.max_abs_f32_minus_f64;
  checks.push({ what: "output", difference: largestDifference(copy(output), expected), allowed });
  const exact = io.get("output_f64");
  if (exact !== undefined)
    checks.push({ what: "output (float64)", difference: largestDifference(copy(output), exact), allowed });
  if (o.train !== undefined) checks.push(...checkTraining(graph, { ...o, train: o.train }, io, folder));
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

/** Everything that is trained: all float initializers but the running statistics. */
function parameterCount(graph: Graph): number {
  let count = 0;
  for (const [name, { type, dims }] of graph.initializers)
    if (type === "float32" && !/\.running_(mean|var)$/.test(name)) count += elements(dims);
  return count;
}
