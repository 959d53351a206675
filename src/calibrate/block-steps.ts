// Block steps: every block of the compressed network learns, without labels, to make what the original's block makes of
// its own prefix, from what the compressed prefix gives. Mean squared error over the variance of the target; Adam at
// 0.01 of each tensor's root mean square; factors, biases and dense filters learn. A block keeps what it learned only
// where that lowers the error on images held out.
import { composed } from "../basis/composed.js";
import type { Factors } from "../basis/factors.js";
import type { Graph } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { Network } from "../interpreter/network.js";
import { matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { backward, call, type Device, noGrad, type Tensor, TensorScope } from "../torch/index.js";
import { Adam, type FineTuning } from "./adam.js";
import { fittingSampling } from "./batch-size.js";
import { type Block, blocksOf } from "./blocks.js";
import { chained, type LayerNames, storedOrder } from "./chain.js";
import {
  type CalibrationImages,
  type Engine,
  type Hooks,
  type Sampling,
  stopIfAborted,
  type Values,
} from "./engine.js";
import { imagePool, type Pool } from "./image-pool.js";
import type { CalibratedLayer } from "./layers.js";
import { type Cut, Stash, start, type Walk, walk } from "./prefix.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { movingValues, segment, typesOf } from "./segment.js";
import { fromTensor, toTensor } from "./torch-engine.js";

export interface BlockOptions extends Partial<Sampling>, Hooks {
  /** Of each block. */
  readonly steps?: number;
  /** Images of a step. */
  readonly draws?: number;
  /** Of the root mean square of a tensor. */
  readonly rate?: number;
  readonly holdEvery?: number;
  readonly memory?: number;
  readonly device?: Device;
}

interface BlockOutcome {
  readonly layers: readonly string[];
  /** Relative errors on images held out, before and after. */
  readonly before: number;
  readonly after: number;
  readonly kept: boolean;
}

export interface FineTuned {
  readonly replacements: readonly Replacement[];
  readonly outcomes: readonly BlockOutcome[];
}

/** A bias's root mean square counts as at least this. */
const leastBias = 0.05;
const warmUp = 10;

/** @param given every layer of the network in the order of the graph */
export async function blockSteps(
  graph: Graph,
  given: readonly Replacement[],
  images: CalibrationImages,
  engine: Engine,
  options: BlockOptions = {},
): Promise<FineTuned> {
  const types = typesOf(graph);
  const moving = movingValues(graph);
  const sampling = await fittingSampling(graph, images, options);
  const job: Walk = { images, engine, sampling, types, memory: options.memory ?? 2 ** 31, ...options };
  const present = new Map(given.map((one) => [one.layer, one]));
  const blocks = blocksOf(graph, [...present.keys()], moving, types);
  const outcomes: BlockOutcome[] = [];
  let cut = start;
  let touched = false;
  for (const [i, block] of blocks.entries()) {
    options.progress?.("blocks", i, blocks.length);
    if (block.to.length === 0) continue; // no output depends on it
    touched ||= block.layers.some((layer) => present.get(layer)!.factors !== undefined);
    const targets = await passed(job, graph, present, cut, block.to, "original");
    if (targets === undefined) break; // more than memory holds: what comes later stays as it is
    if (touched) {
      const outcome = await learn(job, graph, present, block, { cut, targets, seed: i, options });
      outcomes.push(outcome.outcome);
      for (const one of outcome.replacements) present.set(one.layer, one);
    }
    const compressed = await passed(job, graph, present, cut, block.to, "compressed");
    if (compressed === undefined) break;
    cut = { names: block.to, original: targets, compressed };
  }
  options.progress?.("blocks", blocks.length, blocks.length);
  return { replacements: given.map(({ layer }) => present.get(layer)!), outcomes };
}

/** Values of one of the networks behind a cut, batch by batch; undefined where they are too many. */
async function passed(
  job: Walk,
  graph: Graph,
  present: ReadonlyMap<CalibratedLayer, Replacement>,
  cut: Cut,
  names: readonly string[],
  which: "original" | "compressed",
): Promise<readonly Values[] | undefined> {
  const stash = new Stash(job.memory / 2);
  const wanted = { original: [], compressed: [], [which]: names };
  const compressed = which === "original" ? graph : withReplacements(graph, present.values());
  for await (const pair of walk({ original: graph, compressed }, cut, wanted, job)) stash.add(pair[which], names);
  return stash.values;
}

interface Lesson {
  readonly cut: Cut;
  readonly targets: readonly Values[];
  readonly seed: number;
  readonly options: BlockOptions;
}

async function learn(
  job: Walk,
  graph: Graph,
  present: ReadonlyMap<CalibratedLayer, Replacement>,
  block: Block,
  { cut, targets, seed, options }: Lesson,
): Promise<{ readonly replacements: readonly Replacement[]; readonly outcome: BlockOutcome }> {
  const { steps = 150, draws = 32, rate = 0.01, holdEvery = 8, device = "cpu" } = options;
  const own = block.layers.map((layer) => present.get(layer)!);
  const { graph: written, names } = chained(graph, own, { every: true });
  const piece = segment(written, new Set(block.from), block.to, job.types);
  const pool = await imagePool(job, piece, { cut, targets, to: block.to, holdEvery });
  const learning = new Set([...names.values()].flatMap(({ weights, biases }) => [...weights, ...biases]));
  using network = new Network(piece, { device, trainable: (name) => learning.has(name) });
  const biases = new Set([...names.values()].flatMap((one) => one.biases));
  const rates = [...network.parameters].map(([name, parameter]): FineTuning => {
    const size = rms(parameter);
    return { parameter, rate: rate * Math.max(1e-6, biases.has(name) ? Math.max(leastBias, size) : size) };
  });
  using adam = new Adam(rates);
  const before = heldError(network, pool, block.to);
  const random = new Random(`block ${job.sampling.seed} ${seed}`);
  for (let step = 0; step < steps; step++) {
    stopIfAborted(job);
    descend(network, pool.draw(random, draws), pool, block.to);
    adam.step(Math.min(1, (step + 1) / warmUp) * 0.5 * (1 + Math.cos((Math.PI * step) / steps)));
    await new Promise(setImmediate);
  }
  const after = heldError(network, pool, block.to);
  const kept = after < before;
  const outcome = { layers: block.layers.map(({ name }) => name), before, after, kept };
  const values = (name: string): Float64Array => numbers(fromTensor(network.parameters.get(name)!));
  return { replacements: kept ? own.map((one) => readBack(one, names.get(one.layer)!, values)) : own, outcome };
}

const rms = (tensor: Tensor): number => {
  const values = numbers(fromTensor(tensor));
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, values.length));
};

/** Adds the gradients of the mean squared error over the target's variance. */
function descend(network: Network, batch: ReturnType<Pool["draw"]>, pool: Pool, to: readonly string[]): void {
  using _scope = new TensorScope();
  backward(lossOf(network, batch, pool, to));
}

function lossOf(
  network: Network,
  { inputs, targets }: ReturnType<Pool["draw"]>,
  pool: Pool,
  to: readonly string[],
): Tensor {
  const fed = Object.entries(inputs).map(([name, value]) => [name, toTensor(value, network.device)] as const);
  const made = network.forward(new Map(fed));
  const losses = to.map((name) => {
    const wanted = call("to.dtype", toTensor(targets[name]!, network.device), "float32");
    return call("mul.Scalar", call("mse_loss", made.get(name)!, wanted), 1 / pool.variance(name) / to.length);
  });
  return losses.reduce((a, b) => call("add.Tensor", a, b));
}

function heldError(network: Network, pool: Pool, to: readonly string[]): number {
  return noGrad(() => {
    let [sum, images] = [0, 0];
    for (const batch of pool.held()) {
      using _scope = new TensorScope();
      sum += lossOf(network, batch, pool, to).item() * batch.count;
      images += batch.count;
    }
    return sum / Math.max(1, images);
  });
}

/** The replacement with what its tensors have become. */
function readBack(
  { layer, factors, filters }: Replacement,
  names: LayerNames,
  values: (name: string) => Float64Array,
): Replacement {
  const biases = names.biases.map(values);
  if (factors === undefined) {
    const { n, c, kernel } = layer.shape;
    const stage = {
      out: n,
      in: c,
      groups: 1,
      kernel,
      stride: kernel,
      carries: [true, true] as const,
      weight: filters.data,
    };
    return {
      layer,
      filters: matrix(n, filters.cols, storedOrder(layer, stage, true, values(names.weights[0]!))),
      biases,
    };
  }
  const last = factors.stages.length - 1;
  const stages = factors.stages.map((stage, i) => ({
    ...stage,
    weight: storedOrder(layer, stage, i === last, values(names.weights[i]!)),
  }));
  const { basis: _, coefficients: __, error: ___, ...rest } = factors;
  const made: Factors = { ...rest, stages };
  return { layer, filters: composed(made), biases, factors: made };
}
