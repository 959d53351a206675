// Responses of layers on data, for methods that compress layer after layer: what a value of a network is at the same
// sampled positions, whatever the network has become in between.
import { FilterBasisError } from "../errors/error.js";
import { feeds } from "../graph/index.js";
import type { Graph } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { call, type Device, fromArray, noGrad, TensorScope } from "../torch/index.js";
import { type Batch, type BatchSource, nthBatch } from "./sources.js";

export interface ResponsesOptions {
  readonly batches: number;
  readonly seed: number;
  readonly device: Device;
}

/** Positions of an image. */
const positions = 10;

/**
 * Holds the first batches; the function runs them. @throws FilterBasisError `unsupported` for a network without an
 * input, or for a value that has no channels at positions
 */
export async function sampledResponses(
  source: BatchSource,
  { batches, seed, device }: ResponsesOptions,
): Promise<(graph: Graph, value: string) => Matrix> {
  const held: Pick<Batch, "input" | "inputDims">[] = [];
  for (let step = 0; step < batches; step++) {
    const { input, inputDims } = await nthBatch(source, step);
    held.push({ input: input.slice(), inputDims });
  }
  return (graph, value) => {
    const [feed] = feeds(graph);
    if (feed === undefined) throw new FilterBasisError("unsupported", "the network has no input");
    const random = new Random(`responses ${seed} ${value}`);
    const rows: number[] = [];
    let channels = 0;
    using network = new Network(graph, { device, trainable: () => false });
    for (const { input, inputDims } of held)
      noGrad(() => {
        using _scope = new TensorScope();
        const given = new Map([[feed.name, fromArray(input, inputDims, "float32", device)]]);
        const made = network.forward(given, { keep: [value] }).get(value)!;
        channels = sample(made.shape, call("contiguous", made).data() as Float32Array, random, rows, value);
      });
    return matrix(rows.length / channels, channels, rows);
  };
}

/** Appends the channels at random positions of each image of [N, C, ...]; returns C. */
function sample(
  [images = 0, channels = 0, ...sides]: readonly number[],
  values: Float32Array,
  random: Random,
  rows: number[],
  value: string,
): number {
  if (sides.length === 0)
    throw new FilterBasisError("unsupported", "a value has no channels at positions", { tensor: value });
  const area = sides.reduce((product, side) => product * side, 1);
  for (let image = 0; image < images; image++)
    for (let i = 0; i < positions; i++) {
      const at = random.int(area);
      for (let c = 0; c < channels; c++) rows.push(values[(image * channels + c) * area + at]!);
    }
  return channels;
}
