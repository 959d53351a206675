// What a network costs, in the three kinds that papers use: parameters as their method's paper counts them, all
// parameters, and bits; multiply-accumulates as they are executed, and as the paper counts them where that differs.

import { elements } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Dim, Graph } from "../graph/types.js";
import { type Cost, cost } from "../ops/cost/cost.js";
import { readCodes } from "./code-record.js";
import { codesFault, storedBits } from "./codes.js";
import { type CompressedLayer, compressedLayers } from "./compressed-layers.js";

export interface Counts {
  /** Weights of convolutions and fully connected layers; of K-means also one for each index. */
  readonly weights: number;
  readonly parameters: number;
  /** Of all constants, indices at the width that they need. */
  readonly storedBits: number;
  readonly macs: number;
  /**
   * KSE: each centroid is convolved once. kh x 1 and 1 x kw in a row: both at the output's size, as where the first
   * takes both strides. All else as executed.
   */
  readonly paperMacs: number;
}

/**
 * The three counts of a network, compressed or not, at one image. @throws FilterBasisError as `cost` does
 *
 * @example
 * ```ts
 * import { buildNet, countsOf, methodPass } from "filterbasis";
 *
 * const small = methodPass("kmeans", { kernels: 16 })(buildNet("resnet", { depth: 8 })).graph;
 * const { weights, parameters, storedBits } = countsOf(small);
 * console.log(weights, parameters, storedBits / 8); // storedBits / 8 are the bytes of all constants
 * ```
 */
export function countsOf(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]> = new Map()): Counts {
  const counted = cost(graph, inputs);
  const layers = compressedLayers(graph);
  return {
    weights: paperWeights(graph, counted.weights),
    parameters: counted.parameters,
    storedBits: storedBits(graph),
    macs: counted.macs,
    paperMacs: counted.macs + layers.reduce((sum, layer) => sum + paperDifference(layer, counted), 0),
  };
}

/** The weights of a graph as papers count them, with an index of K-means as one. */
export function paperWeights(graph: Graph, weights: number = cost(graph).weights): number {
  if (codesFault(graph) !== undefined) return weights;
  const { stored } = indexOf(graph);
  const names = new Set(
    readCodes(graph).flatMap(({ method, indices }) => (method === "kmeans" ? indices.map(({ name }) => name) : [])),
  );
  return [...names].reduce((sum, name) => sum + elements(stored(name)?.tensor.dims ?? [0]), weights);
}

/** Multiply-accumulates as the paper counts them, less those executed. */
function paperDifference(layer: CompressedLayer, { layers }: Cost): number {
  const values = new Set(layer.nodes.flatMap(({ outputs }) => outputs));
  const own = layers.filter(({ value }) => values.has(value));
  const executed = own.reduce((sum, { macs }) => sum + macs, 0);
  const output = own.at(-1)?.output ?? [];
  const positions = output.length === 0 ? 0 : elements(output.filter((_, axis) => axis !== 1));
  if (positions === 0) return 0;
  if (layer.kind === "code") return layer.code.paperMacs * positions - executed;
  if (layer.kind === "chain" && layer.chain.family === "separable") {
    const { shape, ranks } = layer.chain;
    return ranks[0]! * (shape.c * shape.kernel[0] + shape.n * shape.kernel[1]) * positions - executed;
  }
  return 0;
}
