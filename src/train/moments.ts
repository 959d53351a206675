// What every convolution of a network sees on data: second moments of its input patches, from a sample of places in a
// few batches.
import type { ActivationMoments } from "../basis/moments.js";
import { divisors } from "../basis/split.js";
import { FilterBasisError } from "../errors/error.js";
import { indexOf } from "../graph/graph-index.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { padsFor, windows } from "../interpreter/operators/windows.js";
import { matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { findLayers, type Layer } from "../methods/layers.js";
import { inferShapes } from "../ops/index.js";
import { call, type Device, fromArray, noGrad, type Tensor, TensorScope } from "../torch/index.js";
import { type Batch, type BatchSource, nthBatch } from "./sources.js";

export interface MomentsOptions {
  readonly batches: number;
  readonly seed: number;
  /** Told which layers have none, and why. */
  readonly note: (text: string) => void;
}

/**
 * The widest patch whose moments are taken whole, c h w; wider ones go by blocks of channels. Its matrix is 10 MB of
 * doubles.
 */
const widest = 1152;
/** Places sampled for each layer: at least so many, and so many for each number of a patch. */
const [leastPlaces, placesForEach] = [4096, 4];
/** Bytes of activations that are held at once. */
const memory = 2 ** 29;

/**
 * The moments for every two-dimensional convolution that could be compressed, by layer name. Throws what running the
 * network throws.
 */
export async function activationMoments(
  graph: Graph,
  network: Network,
  source: BatchSource,
  { batches, seed, note }: MomentsOptions,
): Promise<ReadonlyMap<string, ActivationMoments>> {
  const [feed] = feeds(graph);
  if (feed === undefined) throw new FilterBasisError("unsupported", "the network has no input");
  const samples = new Map<Layer, Sample>();
  for (const layer of findLayers(graph).layers) {
    if (layer.kernel.length === 2) samples.set(layer, newSample(layer, forgivesShift(graph, layer)));
    else note(`not calibrated: ${layer.name}: its kernel is not two-dimensional`);
  }
  for (let step = 0; step < batches; step++) {
    const batch = await nthBatch(source, step);
    for (const layers of portions(graph, [...samples.keys()], feed.name, batch.inputDims)) {
      noGrad(() => {
        using _scope = new TensorScope();
        accumulate(network, feed.name, batch, layers, samples, { step, batches, seed });
      });
      await new Promise(setImmediate);
    }
  }
  return new Map([...samples].map(([{ name }, sample]) => [name, momentsOf(sample, name)]));
}

/** Sums over sampled patches. */
interface Sample {
  /** Channels of a block, and its width channels * h * w. */
  readonly channels: number;
  readonly width: number;
  readonly centred: boolean;
  /** Sum of x x^T over patches and blocks [width, width]. */
  readonly products: Float64Array;
  /** Sum of x [c h w]. */
  readonly sums: Float64Array;
  patches: number;
}

function newSample({ inChannels, kernelElements }: Layer, centred: boolean): Sample {
  const channels = divisors(inChannels).findLast((divisor) => divisor * kernelElements <= widest) ?? 1;
  const width = channels * kernelElements;
  const [products, sums] = [new Float64Array(width * width), new Float64Array(inChannels * kernelElements)];
  return { channels, width, centred, products, sums, patches: 0 };
}

/**
 * Whether a constant change of the layer's outputs does no harm: each of its nodes has a bias to put it into, or a
 * batch norm to take it out.
 */
function forgivesShift(graph: Graph, { nodes }: Layer): boolean {
  const { stored, soleReader } = indexOf(graph);
  return nodes.every(({ node }) => {
    if (stored(node.inputs[2] ?? "") !== undefined) return true;
    return soleReader(node.outputs[0] ?? "")?.op === "BatchNormalization";
  });
}

/** The layers in runs whose inputs together take no more than `memory`. */
function portions(
  graph: Graph,
  layers: readonly Layer[],
  input: string,
  dims: readonly number[],
): readonly (readonly Layer[])[] {
  // A batch is as large as the recipe says, whatever the file states; the engine does not mind.
  const inputs = graph.inputs.map((value) => (value.name === input ? { name: input } : value));
  const shapes = inferShapes({ ...graph, inputs }, new Map([[input, dims]]));
  const runs: Layer[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const layer of layers) {
    const bytes = layer.nodes.reduce((sum, { node }) => {
      const size = shapes
        .get(node.inputs[0]!)
        ?.dims?.reduce<number>((n, dim) => n * (typeof dim === "number" ? dim : 1), 4);
      return sum + (size ?? 0);
    }, 0);
    if (held + bytes > memory) {
      runs.push([]);
      held = 0;
    }
    runs.at(-1)!.push(layer);
    held += bytes;
  }
  return runs;
}

function accumulate(
  network: Network,
  inputName: string,
  batch: Batch,
  layers: readonly Layer[],
  samples: ReadonlyMap<Layer, Sample>,
  { step, batches, seed }: { readonly step: number; readonly batches: number; readonly seed: number },
): void {
  const input = fromArray(batch.input, batch.inputDims, "float32", network.device);
  const keep = [...new Set(layers.flatMap(({ nodes }) => nodes.map(({ node }) => node.inputs[0]!)))];
  const values = network.forward(new Map([[inputName, input]]), { keep });
  for (const layer of layers) {
    const sample = samples.get(layer)!;
    const places = Math.ceil(Math.max(leastPlaces, placesForEach * sample.sums.length) / batches / layer.nodes.length);
    for (const [index, { node }] of layer.nodes.entries()) {
      const random = new Random(`moments ${seed} ${layer.name} ${index} ${step}`);
      add(sample, patches(values.get(node.inputs[0]!)!, layer, index, places, random), places, network.device);
    }
  }
}

/**
 * Patches [places, c, h, w] of the layer's input [N, c, height, width] at random images and places of its output, 0
 * where it is padded.
 */
function patches(input: Tensor, layer: Layer, index: number, places: number, random: Random): Float32Array {
  const { node } = layer.nodes[index]!;
  const window = windows({ node }, layer.kernel);
  const [images = 0, channels = 0, height = 0, width = 0] = input.shape;
  const pads = padsFor(window, [height, width]) as [number, number, number, number];
  const [kernelHeight, kernelWidth] = window.kernel as [number, number];
  const [strideY, strideX] = window.strides as [number, number];
  const [dilationY, dilationX] = window.dilations as [number, number];
  const rows = Math.floor((height + pads[0] + pads[2] - (kernelHeight - 1) * dilationY - 1) / strideY) + 1;
  const columns = Math.floor((width + pads[1] + pads[3] - (kernelWidth - 1) * dilationX - 1) / strideX) + 1;
  const values = call("contiguous", input).data() as Float32Array;
  const out = new Float32Array(places * channels * kernelHeight * kernelWidth);
  let at = 0;
  for (let place = 0; place < places; place++) {
    const image = random.int(images);
    const top = random.int(rows) * strideY - pads[0];
    const left = random.int(columns) * strideX - pads[1];
    for (let c = 0; c < channels; c++) {
      const plane = (image * channels + c) * height * width;
      for (let i = 0; i < kernelHeight; i++) {
        const y = top + i * dilationY;
        for (let j = 0; j < kernelWidth; j++, at++) {
          const x = left + j * dilationX;
          if (y >= 0 && y < height && x >= 0 && x < width) out[at] = values[plane + y * width + x]!;
        }
      }
    }
  }
  return out;
}

function add(sample: Sample, patches: Float32Array, count: number, device: Device): void {
  const { width, products, sums } = sample;
  const blocks = fromArray(Float64Array.from(patches), [patches.length / width, width], "float64", device);
  const added = call("mm", call("t", blocks), blocks).data() as Float64Array;
  for (let i = 0; i < products.length; i++) products[i] = products[i]! + added[i]!;
  for (let i = 0; i < patches.length; i++) sums[i % sums.length] = sums[i % sums.length]! + patches[i]!;
  sample.patches += count;
}

function momentsOf({ channels, width, centred, products, sums, patches }: Sample, layer: string): ActivationMoments {
  const blocks = sums.length / width;
  const mean = sums.map((sum) => sum / patches);
  const second = products.map((sum) => sum / (patches * blocks));
  if (!second.every(Number.isFinite))
    throw new FilterBasisError("non-finite", "what a layer reads is not finite", { layer });
  if (!centred) return { channels, second: matrix(width, width, second), mean: undefined };
  for (let block = 0; block < blocks; block++) {
    const own = mean.subarray(block * width, (block + 1) * width);
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) second[i * width + j] = second[i * width + j]! - (own[i]! * own[j]!) / blocks;
  }
  return { channels, second: matrix(width, width, second), mean };
}
