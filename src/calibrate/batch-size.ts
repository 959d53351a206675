// How many images run at once: one where the network fixes its batch, else as many as keep its values within memory.
import { elements } from "../graph/attributes.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { type CalibrationImages, type Sampling, samplingOf } from "./engine.js";
import { inferred } from "./segment.js";

/** Bytes of the largest values that are alive at once, about four of them. */
const most = 2 ** 29;
const together = 4;

/** Sampling as stated; where no batch is stated, one that fits. */
export async function fittingSampling(
  graph: Graph,
  images: CalibrationImages,
  options: Partial<Sampling>,
): Promise<Sampling> {
  const sampling = samplingOf(images, options);
  if (options.batch !== undefined) return sampling;
  // an image is as much as the network takes at once
  const fixed = feeds(graph).some(({ tensor }) => typeof tensor?.dims?.[0] === "number");
  if (fixed) return { ...sampling, batch: 1 };
  const fed = await images.feeds(0, 1);
  const types = inferred(graph, new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims])));
  let largest = 1;
  for (const node of graph.nodes) {
    for (const output of node.outputs) {
      const dims = types.get(output)?.dims;
      if (dims?.every((dim) => typeof dim === "number")) largest = Math.max(largest, elements(dims as number[]));
    }
  }
  return { ...sampling, batch: Math.max(1, Math.min(sampling.batch, Math.floor(most / (4 * together * largest)))) };
}
