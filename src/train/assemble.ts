// From a recipe to what the loop needs: the graph, the network on the engine, batches, loss, optimiser and evaluation.

import { prepare } from "../compress/prepare.js";
import { FilterBasisError } from "../errors/error.js";
import { feeds, withMetadata } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { sparseScales } from "../methods/slimming.js";
import { buildNet } from "../nets/table.js";
import { cost } from "../ops/cost/cost.js";
import { type FloatWeights, floatWeights } from "../passes/quantize/float-weights.js";
import { loadModel } from "../runtime/files.js";
import { type Device, requireDevice, type Tensor } from "../torch/index.js";
import { approximatedLayers, basisParameters } from "./approximation.js";
import { checkBeginning, inEightBits } from "./given-start.js";
import type { Metrics } from "./loop.js";
import { LossScaler } from "./loss-scaler.js";
import { optimizer } from "./optimizers.js";
import { floatOutputs } from "./outputs.js";
import type { Recipe } from "./recipe.js";
import { runnable } from "./runnable.js";
import type { BatchSource } from "./sources.js";
import type { Trainer } from "./step.js";
import { openTaskData, type TaskData } from "./task-data.js";
import { alone, type World } from "./world.js";

/** Everything that a training owns. */
export interface Training extends Disposable {
  readonly trainer: Trainer;
  readonly source: BatchSource;
  readonly whole: BatchSource;
  readonly primaryMetric: TaskData["primaryMetric"];
  evaluate(): Promise<Metrics>;
  /** Judges the network as it was before compression. */
  evaluateOriginal(): Promise<Metrics>;
  /** The model as it is now, with what its user must know in the metadata. */
  model(): Graph;
}

/** The network that a recipe starts from, before any compression. */
export async function recipeGraph(recipe: Recipe): Promise<Graph> {
  checkBeginning(recipe);
  const { network, seed, rounding, start } = recipe;
  const { name, file, ...options } = network;
  if (rounding !== "none" && start === undefined) return await inEightBits(file as string);
  if (name === undefined) return prepare(await loadModel(file as string), { keepBatchNorm: true }).graph;
  const built = buildNet(name, { seed, ...options });
  return file === undefined ? built : trained(await loadModel(file as string), built, name);
}

/** A model that was trained before, which has to be the network that the recipe names. */
function trained(model: Graph, built: Graph, name: string): Graph {
  const [own, expected] = [cost(model).weights, cost(built).weights];
  if (own === expected) return prepare(model, { keepBatchNorm: true }).graph;
  throw new FilterBasisError("data-mismatch", `the model is not the network ${name} that the recipe names`, {
    field: "network.file",
    expected: `${expected} weights`,
    got: `${own}`,
  });
}

/** Makes of the original network the one that is trained, with its batches at hand. */
export type Compress = (original: Network, source: BatchSource) => Promise<Graph>;

/** Builds a training by a recipe. `original` is what the compressed network is held against. */
export async function assemble(
  recipe: Recipe,
  original: Graph,
  compress: Compress,
  note: (text: string) => void,
  world: World = alone,
): Promise<Training> {
  using owned = new DisposableStackLike();
  const device = requireDevice(recipe.device);
  const teacherNetwork = owned.use(new Network(original, { device }));
  const before = runnable(teacherNetwork, original);
  const data = owned.use(await openTaskData(recipe, before, note, world));
  const graph = await compress(teacherNetwork, data.whole);
  const rounded = recipe.rounding === "none" ? undefined : floatWeights(graph);
  const network = owned.use(networkOf(graph, recipe, rounded, device));
  const layers = recipe.loss.gamma > 0 ? approximatedLayers(graph, original, network) : [];
  for (const layer of layers) owned.use(layer.original);
  const labelled = recipe.loss.task !== "none";
  const { input, outputs } = ends(graph, labelled);
  const trainer: Trainer = {
    graph,
    network,
    input,
    outputs,
    optimizer: owned.use(optimizer(network.parameters, recipe.optimizer)),
    loss: recipe.loss,
    clip: recipe.optimizer.clip,
    precision: recipe.precision,
    ...(recipe.precision === "float16" ? { scaler: new LossScaler() } : {}),
    teacher: recipe.loss.distill && { network: teacherNetwork, ...ends(original, labelled) },
    layers,
    ...(world.size > 1 && { shared: owned.use(world.shareGradients([...network.parameters.values()])) }),
    ...((recipe.loss.sparsity ?? 0) > 0 ? { scales: scalesOf(graph, network) } : {}),
  };
  const evaluated = runnable(network, graph);
  const keep = owned.move();
  return {
    trainer,
    source: data.source,
    whole: data.whole,
    primaryMetric: data.primaryMetric,
    evaluate: () => data.evaluate(evaluated),
    evaluateOriginal: () => data.evaluate(before),
    model: () => withMetadata(rounded?.restored(network.toGraph()) ?? network.toGraph(), data.conventions),
    [Symbol.dispose]: keep,
  };
}

/** What is trained of a network, on the engine. */
function networkOf(graph: Graph, { train }: Recipe, rounded: FloatWeights | undefined, device: Device): Network {
  const only = train === "basis" ? basisParameters(graph) : undefined;
  const learns = rounded && ((name: string, usual: boolean): boolean => usual || rounded.learned.has(name));
  const trainable = only ? (name: string): boolean => only.has(name) : learns;
  const straightThrough = rounded !== undefined;
  return new Network(rounded?.graph ?? graph, { device, straightThrough, ...(trainable && { trainable }) });
}

/** @throws FilterBasisError `invalid-recipe` for a network without batch norms */
function scalesOf(graph: Graph, { parameters }: Network): readonly Tensor[] {
  const scales = [...sparseScales(graph)].flatMap((name) => parameters.get(name) ?? []);
  if (scales.length > 0) return scales;
  throw new FilterBasisError("invalid-recipe", "the network has no batch norms whose scales could be made small", {
    field: "loss.sparsity",
  });
}

/** Disposes what it was given, last first, unless it was moved on (Node 20 has no DisposableStack). */
class DisposableStackLike implements Disposable {
  #owned: Disposable[] = [];

  use<T extends Disposable>(resource: T): T {
    this.#owned.push(resource);
    return resource;
  }

  move(): () => void {
    const owned = this.#owned;
    this.#owned = [];
    return () => {
      for (const resource of owned.reverse()) resource[Symbol.dispose]();
    };
  }

  [Symbol.dispose](): void {
    this.move()();
  }
}

/**
 * The one input, and the outputs that a loss is of: the original can teach several, labels are of one.
 * @throws FilterBasisError `unsupported`
 */
function ends(graph: Graph, labelled: boolean): Pick<Trainer, "input" | "outputs"> {
  const [input, ...more] = feeds(graph);
  const outputs = floatOutputs(graph);
  if (input !== undefined && more.length === 0 && outputs.length > 0 && !(labelled && graph.outputs.length > 1))
    return { input: input.name, outputs };
  throw new FilterBasisError(
    "unsupported",
    labelled
      ? "only networks with one input and one output can be trained on labels"
      : "only networks with one input and outputs of floats can be trained here",
    {
      expected: labelled ? "1 input, 1 output" : "1 input, 1 output or more",
      got: `${feeds(graph).length} inputs, ${graph.outputs.length} outputs`,
    },
  );
}
