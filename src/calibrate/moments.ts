// The input moments of a network's layers, on the original network: as many layers a pass over the images as memory
// allows.
import { elements } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { fittingSampling } from "./batch-size.js";
import {
  activationOf,
  batchesOf,
  type CalibrationImages,
  type Engine,
  type Hooks,
  type Sampling,
  stopIfAborted,
} from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { samplesOf } from "./look.js";
import { inferred, openTap, type Types, typesOf } from "./segment.js";
import { addSamples, finishMoments, type MomentSums, type Moments, newSums } from "./sums.js";

export interface MomentOptions extends Partial<Sampling>, Hooks {
  /** Bytes of sums and of activations that are held at once. */
  readonly memory?: number;
}

export interface LayerMoments {
  readonly layer: CalibratedLayer;
  readonly moments: Moments;
}

const usualMemory = 2 ** 30;

/**
 * Gives the moments of every layer, in their order.
 * @throws FilterBasisError `non-finite`, `interrupted`; what running the network throws
 */
export async function* activationMoments(
  graph: Graph,
  layers: readonly CalibratedLayer[],
  images: CalibrationImages,
  engine: Engine,
  options: MomentOptions = {},
): AsyncGenerator<LayerMoments> {
  const { memory = usualMemory } = options;
  const types = typesOf(graph);
  const sampling = await fittingSampling(graph, images, options);
  let done = 0;
  for (const portion of await portionsOf(graph, layers, images, { memory, batch: sampling.batch })) {
    const sums = await sumPortion(graph, portion, images, engine, {
      ...options,
      sampling,
      types,
      done,
      total: layers.length,
    });
    for (const [layer, own] of sums) yield { layer, moments: finishMoments(own, layer.name) };
    done += portion.length;
  }
}

interface Portion extends MomentOptions {
  readonly sampling: Sampling;
  readonly types: Types;
  readonly done: number;
  readonly total: number;
}

async function sumPortion(
  graph: Graph,
  layers: readonly CalibratedLayer[],
  images: CalibrationImages,
  engine: Engine,
  { sampling, types, done, total, ...options }: Portion,
): Promise<ReadonlyMap<CalibratedLayer, MomentSums>> {
  const sums = new Map(layers.map((layer) => [layer, newSums(layer.weight.cols)]));
  const wanted = [...new Set(layers.flatMap(({ nodes }) => nodes.map(({ input }) => input)))];
  const tap = await openTap(engine, graph, new Set(), wanted, types);
  try {
    for (const [first, count] of batchesOf(images.count, sampling.batch)) {
      stopIfAborted(options);
      const values = await tap.run(await images.feeds(first, count), {});
      for (const layer of layers) {
        for (const { input } of layer.nodes) {
          const look = { layer, input: activationOf(values, input), outputs: [], first };
          for (const { rows, input: patches } of samplesOf(look, sampling))
            addSamples(sums.get(layer)!, rows, patches, engine.products);
        }
      }
      const share = (first + count) / images.count;
      options.progress?.("moments", done + layers.length * share, total);
    }
  } finally {
    await tap.close();
  }
  return sums;
}

/**
 * The layers in runs whose sums, with the inputs of a batch, take no more than `memory`; a layer that takes more by
 * itself stands alone.
 */
async function portionsOf(
  graph: Graph,
  layers: readonly CalibratedLayer[],
  images: CalibrationImages,
  { memory, batch }: { readonly memory: number; readonly batch: number },
): Promise<readonly (readonly CalibratedLayer[])[]> {
  const size = await sizesOf(graph, images, Math.min(batch, images.count));
  const runs: CalibratedLayer[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const layer of layers) {
    const inputs = layer.nodes.reduce((sum, { input }) => sum + 4 * size(input), 0);
    const bytes = 8 * layer.weight.cols ** 2 + inputs;
    if (held + bytes > memory) {
      runs.push([]);
      held = 0;
    }
    runs.at(-1)!.push(layer);
    held += bytes;
  }
  return runs;
}

/** Elements of a value for a batch, as far as shapes tell; 0 where they do not. */
async function sizesOf(graph: Graph, images: CalibrationImages, batch: number): Promise<(name: string) => number> {
  const fed = await images.feeds(0, batch);
  const types = inferred(graph, new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims])));
  return (name) => {
    const dims = types.get(name)?.dims;
    return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : 0;
  };
}
