// From a recipe to what the loop needs: the graph, the network on the engine, batches, loss, optimiser and judge.

import { loadCifar10 } from "../data/cifar10.js";
import type { ImageSet } from "../data/image-set.js";
import { firstImages, parseNormalization } from "../data/image-set.js";
import { Network } from "../engine/network.js";
import { FilterBasisError } from "../errors/error.js";
import { topOne } from "../evaluate/classify.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { buildNet } from "../nets/table.js";
import { loadModel } from "../runtime/files.js";
import { approximatedLayers, basisParameters } from "./approximation.js";
import type { Figures } from "./loop.js";
import { optimizer } from "./optimizers.js";
import type { Recipe } from "./recipe.js";
import { runnable } from "./runnable.js";
import { type BatchSource, imageSource } from "./sources.js";
import type { Learner } from "./step.js";

/** Everything that a training owns. */
export interface Training extends Disposable {
  readonly learner: Learner;
  readonly source: BatchSource;
  readonly merit: { readonly figure: string; readonly higher: boolean };
  evaluate(): Promise<Figures>;
}

/** The network that a recipe starts from, before any compression. */
export async function recipeGraph({ network, seed }: Recipe): Promise<Graph> {
  const { name, file, ...options } = network;
  if (name === undefined) return loadModel(file as string);
  return buildNet(name, { seed, ...options });
}

/** Builds a training of `graph` (compressed or not) by a recipe. `original` is what a compressed network is held against. */
export async function assemble(recipe: Recipe, original: Graph, graph: Graph, note: (text: string) => void): Promise<Training> {
  const [input, output] = ends(graph);
  const { train, test } = await labelledImages(recipe, note);
  const normalization = parseNormalization(recipe.data.normalize);
  const only = recipe.train === "basis" ? basisParameters(graph) : undefined;
  const network = new Network(graph, only === undefined ? {} : { trainable: (name) => only.has(name) });
  const layers = recipe.loss.gamma > 0 ? approximatedLayers(graph, original, network) : [];
  const [teacherInput, teacherOutput] = ends(original);
  const teacher = recipe.loss.distill && { network: new Network(original), input: teacherInput, output: teacherOutput };
  const learner: Learner = {
    graph,
    network,
    input,
    output,
    optimizer: optimizer(network.parameters, recipe.optimizer),
    loss: recipe.loss,
    clip: recipe.optimizer.clip,
    teacher,
    layers,
  };
  const judged = runnable(network, graph);
  return {
    learner,
    source: imageSource(train, { ...recipe.data, normalization, seed: recipe.seed, labelled: recipe.loss.task !== "none" }),
    merit: { figure: "top1Error", higher: false },
    evaluate: async () => ({ top1Error: (await topOne(judged, test, normalization, { batch: 250 })).top1Error }),
    [Symbol.dispose]() {
      learner.optimizer[Symbol.dispose]();
      network[Symbol.dispose]();
      teacher?.network[Symbol.dispose]();
      for (const layer of layers) layer.original.dispose();
    },
  };
}

async function labelledImages(recipe: Recipe, note: (text: string) => void): Promise<{ train: ImageSet; test: ImageSet }> {
  const { name, subset, folder } = recipe.data;
  if (name !== "cifar10")
    throw new FilterBasisError("invalid-recipe", "no such data", { field: "data.name", expected: "cifar10", got: name });
  const { train, test } = await loadCifar10({ note, ...(folder === undefined ? {} : { folder }) });
  const { testSubset = test.count } = recipe.data;
  return { train: firstImages(train, subset ?? train.count), test: firstImages(test, testSubset) };
}

function ends(graph: Graph): readonly [input: string, output: string] {
  const [inputs, outputs] = [feeds(graph), graph.outputs];
  if (inputs.length !== 1 || outputs.length !== 1) {
    throw new FilterBasisError("unsupported", "only networks with one input and one output learn here", {
      expected: "1 input, 1 output",
      got: `${inputs.length} inputs, ${outputs.length} outputs`,
    });
  }
  return [inputs[0]?.name as string, outputs[0]?.name as string];
}
