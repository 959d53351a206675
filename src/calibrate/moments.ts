// The input moments of a network's layers, on the original network: as many layers a pass over the images as memory
// allows. A layer whose inputs on all images take less than its sums (wide layers on small planes) keeps the inputs,
// and is summed when it is asked for.
import { elements } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { returnFreedMemory } from "../torch/heap.js";
import { fittingSampling } from "./batch-size.js";
import {
  activationOf,
  batchesOf,
  type CalibrationImages,
  type Engine,
  type Hooks,
  type Sampling,
  samplingFor,
  stopIfAborted,
} from "./engine.js";
import type { Activation } from "./geometry.js";
import type { CalibratedLayer } from "./layers.js";
import { samplesOf } from "./look.js";
import { openPieces, type Stop } from "./pieces.js";
import { inferred, type Types, typesOf } from "./segment.js";
import { addSamples, finishMoments, type MomentSums, type Moments, newSums, type Shares, sumShares } from "./sums.js";

export interface MomentOptions extends Partial<Sampling>, Hooks {
  /** Bytes of sums, or of inputs in their place, that are held at once. */
  readonly memory?: number;
  /** Where several processes look at the same images together, a batch each in turn: all of them get all moments. */
  readonly shares?: Shares;
}

export interface LayerMoments {
  readonly layer: CalibratedLayer;
  readonly moments: Moments;
}

const usualMemory = 7 * 2 ** 28;
/** Sums of so many bytes, and what is computed of them, want the memory that running the network left free. */
const hugeSums = 2 ** 28;
/** Bytes of one batch's layer inputs that are held at once, where the network can be cut so. */
const pieceBytes = 2 ** 27;

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
  if (layers.length === 0) return;
  const { memory = usualMemory } = options;
  const types = typesOf(graph);
  const sampling = await fittingSampling(graph, images, options);
  const size = await sizesOf(graph, images, Math.min(sampling.batch, images.count));
  const batches = Math.ceil(images.count / sampling.batch);
  let done = 0;
  for (const portion of portionsOf(layers, size, { memory, batches })) {
    const seen = await lookAt(graph, portion, images, engine, {
      ...options,
      ...{ sampling, types, size, done, total: layers.length },
    });
    for (const [layer, seenOf] of seen) {
      stopIfAborted(options);
      seen.delete(layer);
      const own = samplingFor(layer.weight.cols, sampling, images, engine);
      if (8 * layer.weight.cols ** 2 >= hugeSums) returnFreedMemory();
      const sums = summed(layer, seenOf, own, engine);
      if (options.shares !== undefined) await sumShares(sums, options.shares);
      yield { layer, moments: finishMoments(sums, layer.name, sums.products) };
    }
    done += portion.length;
  }
}

interface Portion extends MomentOptions {
  readonly sampling: Sampling;
  readonly types: Types;
  readonly size: SizeOf;
  readonly done: number;
  readonly total: number;
}

/** A layer of a portion, and what of it is held until all images were seen. */
interface Held {
  readonly layer: CalibratedLayer;
  /** Inputs are kept in place of sums. */
  readonly keeps: boolean;
}

/** What was seen of a layer: sums, or inputs that are still to be summed. */
type Seen = MomentSums | { readonly inputs: { readonly input: Activation; readonly first: number }[] };

async function lookAt(
  graph: Graph,
  portion: readonly Held[],
  images: CalibrationImages,
  engine: Engine,
  { sampling, types, size, done, total, ...options }: Portion,
): Promise<Map<CalibratedLayer, Seen>> {
  const seen = new Map(
    portion.map(({ layer, keeps }): [CalibratedLayer, Seen] => [
      layer,
      keeps ? { inputs: [] } : newSums(layer.weight.cols),
    ]),
  );
  const readers = new Map(portion.flatMap(({ layer }) => layer.nodes.map(({ node }) => [node, layer])));
  const stops = portion.flatMap(({ layer }) =>
    layer.nodes.map(({ node, input }): Stop => ({ node, value: input, bytes: 4 * size(input) })),
  );
  const pieces = await openPieces(engine, graph, stops, types, pieceBytes);
  try {
    const { rank = 0, size: processes = 1 } = options.shares ?? {};
    for (const [at, [first, count]] of [...batchesOf(images.count, sampling.batch)].entries()) {
      stopIfAborted(options);
      if (at % processes !== rank) continue;
      await pieces.run(await images.feeds(first, count), (values, stopsHere) => {
        for (const { node, value } of stopsHere) {
          const layer = readers.get(node)!;
          const own = samplingFor(layer.weight.cols, sampling, images, engine);
          const from = first * (images.each ?? 1); // in the data
          add(seen.get(layer)!, layer, { input: activationOf(values, value), first: from }, own, engine);
        }
      });
      const share = (first + count) / images.count;
      options.progress?.("moments", done + portion.length * share, total);
    }
  } finally {
    await pieces.close();
  }
  return seen;
}

function add(
  seen: Seen,
  layer: CalibratedLayer,
  { input, first }: { readonly input: Activation; readonly first: number },
  sampling: Sampling,
  engine: Engine,
): void {
  if ("inputs" in seen) {
    seen.inputs.push({ input, first });
    return;
  }
  for (const { rows, input: patches } of samplesOf({ layer, input, outputs: [], first }, sampling))
    addSamples(seen, rows, patches, engine.products);
}

function summed(layer: CalibratedLayer, seen: Seen, sampling: Sampling, engine: Engine): MomentSums {
  if (!("inputs" in seen)) return seen;
  const sums = newSums(layer.weight.cols);
  for (const one of seen.inputs) add(sums, layer, one, sampling, engine);
  return sums;
}

/**
 * The layers in runs that hold no more than `memory`; a layer that takes more by itself stands alone.
 */
function portionsOf(
  layers: readonly CalibratedLayer[],
  size: SizeOf,
  { memory, batches }: { readonly memory: number; readonly batches: number },
): readonly (readonly Held[])[] {
  const runs: Held[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const layer of layers) {
    const sums = 8 * layer.weight.cols ** 2;
    const inputs = layer.nodes.map(({ input }) => 4 * size(input));
    const all = inputs.every((bytes) => bytes > 0) ? batches * inputs.reduce((a, b) => a + b, 0) : Infinity;
    const bytes = Math.min(sums, all);
    if (held + bytes > memory) {
      runs.push([]);
      held = 0;
    }
    runs.at(-1)!.push({ layer, keeps: all < sums });
    held += bytes;
  }
  return runs;
}

type SizeOf = (name: string) => number;

/** Elements of a value for a batch, as far as shapes tell; 0 where they do not. */
async function sizesOf(graph: Graph, images: CalibrationImages, batch: number): Promise<SizeOf> {
  const fed = await images.feeds(0, batch);
  const types = inferred(graph, new Map(Object.entries(fed).map(([name, { dims }]) => [name, dims])));
  return (name) => {
    const dims = types.get(name)?.dims;
    return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : 0;
  };
}
