// Looking at one layer's activations of one batch: samples of input patches, with outputs beside them.
import { FilterBasisError } from "../errors/error.js";
import type { Sampling } from "./engine.js";
import { type Activation, extentOf, gatherOutputs, gatherPatches, placesOf } from "./geometry.js";
import type { CalibratedLayer } from "./layers.js";

/** Samples [rows x d] of the input and, for each output that was given, [rows x n]. The arrays may be changed. */
export interface Samples {
  readonly rows: number;
  readonly input: Float32Array;
  readonly outputs: readonly Float32Array[];
}

export interface Look {
  readonly layer: CalibratedLayer;
  readonly input: Activation;
  /** Without them the samples of the input are empty. Default: true. */
  readonly patches?: boolean;
  /** Values of the shape of the layer's output. */
  readonly outputs: readonly Activation[];
  /** The number of the batch's first image: places depend on the image, not on its batch. */
  readonly first: number;
}

/** Numbers of patches that are gathered at once. */
const most = 2 ** 22;

/**
 * The samples of a batch, in pieces of bounded memory.
 * @throws FilterBasisError `shape-mismatch` where an output does not fit its input
 */
export function* samplesOf(
  { layer, input, patches: gathers = true, outputs, first }: Look,
  { places: wanted, seed }: Sampling,
): Generator<Samples> {
  const { geometry, shape, name } = layer;
  const [images = 0] = input.dims;
  const [rows, columns] = extentOf(geometry, input.dims).output;
  const [count, width] = [rows * columns, gathers ? layer.weight.cols : 0];
  for (const { dims } of outputs) requireOutput(layer, dims, images, count);
  const each = Math.min(count, wanted);
  const together = Math.max(1, Math.floor(most / (Math.max(1, each) * Math.max(width, shape.n))));
  for (let start = 0; start < images; start += together) {
    const end = Math.min(images, start + together);
    const total = (end - start) * each;
    const patches = new Float32Array(total * width);
    const results = outputs.map(() => new Float32Array(total * shape.n));
    for (let image = start; image < end; image++) {
      const places = placesOf(count, wanted, `places ${seed} ${name} ${first + image}`);
      const at = (image - start) * each;
      if (gathers) gatherPatches(geometry, input, image, places, patches, at * width);
      for (const [i, output] of outputs.entries())
        gatherOutputs(geometry, output, image, places, results[i]!, at * shape.n);
    }
    yield { rows: total, input: patches, outputs: results };
  }
}

function requireOutput(
  { geometry, shape, name }: CalibratedLayer,
  dims: readonly number[],
  images: number,
  count: number,
): void {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const channels = geometry.kind === "rows" ? dims.at(-1) : dims[1];
  if (dims[0] === images && channels === shape.n && size === images * count * shape.n) return;
  throw new FilterBasisError("shape-mismatch", "an output does not fit the layer's input", {
    layer: name,
    expected: `${images} images of ${count} places and ${shape.n} channels`,
    got: `[${dims.join(", ")}]`,
  });
}
