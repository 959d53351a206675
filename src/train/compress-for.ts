// The network as a recipe compresses it before its first step, from batches that ask whether to go on.
import { startNetwork } from "../compress/start.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { givenStart } from "./given-start.js";
import { knowledgeOf } from "./knowledge.js";
import type { Recipe } from "./recipe.js";
import type { BatchSource } from "./sources.js";
import { sharesOf, type World } from "./world.js";

/** The source, which asks before every batch whether to go on: until the first step there is nothing to save. */
export function abortable(source: BatchSource, throwIfAborted: () => void): BatchSource {
  const { stepsPerEpoch, batchSize } = source;
  return {
    stepsPerEpoch,
    batchSize,
    batch(epoch, step) {
      throwIfAborted();
      return source.batch(epoch, step);
    },
  };
}

/** The network that the recipe begins from: as it compresses it, or the file that it names. */
export async function compressFor(
  { compress, start, rounding, calibrate: batches, seed }: Recipe,
  graph: Graph,
  network: Network,
  source: BatchSource,
  note: (text: string) => void,
  world: World,
): Promise<Graph> {
  if (start !== undefined) return await givenStart(start, graph, rounding);
  if (compress === undefined) return graph;
  const { method, ...options } = compress;
  const shares = sharesOf(world);
  const task = { graph, network, source, batches, seed, note, options, ...(shares && { shares }) };
  const known = batches > 0 ? await knowledgeOf(method, task) : {};
  return startNetwork(graph, compress, known, { note });
}
