// What every convolution of a network sees on data: second moments of its input patches, from a sample of places in a
// few batches of a training's source. Patches and sums are those of a calibration.
import type { ActivationMoments } from "../basis/moments.js";
import { divisors } from "../basis/split.js";
import { type CalibratedLayer, findCalibratedLayers } from "../calibrate/layers.js";
import { activationMoments as momentsOnImages } from "../calibrate/moments.js";
import type { Moments, Shares } from "../calibrate/sums.js";
import { torchEngine } from "../calibrate/torch-engine.js";
import { FilterBasisError } from "../errors/error.js";
import { float32Tensor } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { matrix } from "../linalg/matrix.js";
import { findLayers } from "../methods/layers.js";
import type { Device } from "../torch/index.js";
import { type BatchSource, nthBatch } from "./sources.js";

export interface MomentsOptions {
  readonly batches: number;
  readonly seed: number;
  /** Told which layers have none, and why. */
  readonly note: (text: string) => void;
  readonly device?: Device;
  /** Where several processes calibrate together. */
  readonly shares?: Shares;
}

/** The widest patch whose moments are kept whole, c h w; wider ones go by blocks of channels. 10 MB of doubles. */
const widest = 1152;
/** Places sampled for the layer with the widest patch: at least so many, and so many for each number of a patch. */
const [leastPlaces, placesForEach] = [4096, 4];

/**
 * The moments for every two-dimensional convolution that could be compressed, by layer name.
 * @throws what running the network throws
 * @example
 * ```ts
 * import { activationMoments, basis, loadModel, openData } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const source = await (await openData("photos")).inputs({ size: { width: 32, height: 32 }, batch: 2 });
 * const moments = await activationMoments(graph, source, { batches: 1, seed: 1, note: console.log });
 * console.log(basis({ keepParams: 0.5, moments })(graph).outcomes.length);
 * ```
 */
export async function activationMoments(
  graph: Graph,
  source: BatchSource,
  { batches, seed, note, device, shares }: MomentsOptions,
): Promise<ReadonlyMap<string, ActivationMoments>> {
  const [feed] = feeds(graph);
  if (feed === undefined) throw new FilterBasisError("unsupported", "the network has no input");
  const layers = layersOf(graph, note);
  const width = Math.max(1, ...layers.map(({ weight }) => weight.cols));
  const places = Math.ceil(Math.max(leastPlaces, placesForEach * width) / (batches * source.batchSize));
  // A batch as the source makes it, which may be a smaller one at the end of an epoch, counts as one image.
  const images = {
    count: batches,
    async feeds(first: number) {
      const { input, inputDims } = await nthBatch(source, first);
      return { [feed.name]: float32Tensor(inputDims, input) };
    },
  };
  const found = momentsOnImages(graph, layers, images, torchEngine(device), {
    batch: 1,
    places,
    seed,
    ...(shares && { shares }),
  });
  const all = new Map<string, ActivationMoments>();
  for await (const { layer, moments } of found)
    all.set(layer.name, inBlocks(layer, moments, forgivesShift(graph, layer)));
  return all;
}

/** Layers that a plan may compress, as a calibration reads them; of the others it is told why they have no moments. */
function layersOf(graph: Graph, note: (text: string) => void): readonly CalibratedLayer[] {
  const { layers, skipped } = findCalibratedLayers(graph);
  const reasons = new Map(skipped.map(({ name, reason }) => [name, reason]));
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  return findLayers(graph).layers.flatMap(({ name, kernel }) => {
    const layer = kernel.length === 2 ? byName.get(name) : undefined;
    if (layer !== undefined) return [layer];
    note(`not calibrated: ${name}: ${reasons.get(name) ?? "its kernel is not two-dimensional"}`);
    return [];
  });
}

/**
 * Whether a constant change of the layer's outputs does no harm: each of its nodes has a bias to put it into, or a
 * batch norm to take it out.
 */
function forgivesShift(graph: Graph, { nodes }: CalibratedLayer): boolean {
  const { stored, soleReader } = indexOf(graph);
  return nodes.every(({ node, output }) => {
    if (stored(node.inputs[2] ?? "") !== undefined) return true;
    return soleReader(output)?.op === "BatchNormalization";
  });
}

/** The mean of the blocks on the diagonal; about the mean of the patches where that does no harm. */
function inBlocks(
  { shape, weight }: CalibratedLayer,
  { mean, covariance }: Moments,
  centred: boolean,
): ActivationMoments {
  const side = weight.cols;
  const kernelElements = side / shape.c;
  const channels = divisors(shape.c).findLast((divisor) => divisor * kernelElements <= widest) ?? 1;
  const width = channels * kernelElements;
  const blocks = side / width;
  const second = new Float64Array(width * width);
  for (let block = 0; block < blocks; block++) {
    const start = block * width;
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) {
        const product = centred ? 0 : mean[start + i]! * mean[start + j]!;
        const value = covariance.data[(start + i) * side + start + j]! + product;
        second[i * width + j] = second[i * width + j]! + value / blocks;
      }
  }
  return { channels, second: matrix(width, width, second), mean: centred ? mean : undefined };
}
