// Where a layer looks: the patches of its input at places of its output, gathered from plain activations.
import type { Pair } from "../basis/factors.js";
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import { Random } from "../linalg/random.js";

/** A convolution's window over [N, C, H, W] (or [N, C, L], read as [N, C, 1, L]), or the rows of [..., C]. */
export type Geometry = Window | { readonly kind: "rows" };

export interface Window {
  readonly kind: "window";
  /** Spatial axes of the input. */
  readonly axes: 1 | 2;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Zeros before and behind the input, [vertical, horizontal]; not used with `same`. */
  readonly begin: Pair;
  readonly end: Pair;
  readonly same?: "SAME_UPPER" | "SAME_LOWER";
}

/** A value as an engine gives it: row-major. */
export interface Activation {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Sizes of a layer's input and of its output, for one image. */
export interface Extent {
  readonly input: Pair;
  readonly output: Pair;
  /** Where the first window begins: minus the zeros before the input. */
  readonly begin: Pair;
}

/** @throws FilterBasisError `shape-mismatch` for an input into which the window does not fit */
export function extentOf(geometry: Geometry, dims: readonly number[]): Extent {
  if (geometry.kind === "rows") {
    const places = elements(dims.slice(1, -1));
    return { input: [places, 1], output: [places, 1], begin: [0, 0] };
  }
  const sides = dims.slice(2);
  if (sides.length !== geometry.axes) {
    const place = { expected: `${geometry.axes + 2} axes`, got: `[${dims.join(", ")}]` };
    throw new FilterBasisError("shape-mismatch", "the input does not fit the layer", place);
  }
  const input: Pair = [sides.at(-2) ?? 1, sides.at(-1)!];
  const [y, x] = [axis(geometry, 0, input[0]), axis(geometry, 1, input[1])];
  return { input, output: [y.places, x.places], begin: [-y.before, -x.before] };
}

function axis(window: Window, at: 0 | 1, size: number): { readonly places: number; readonly before: number } {
  const [stride, reach] = [window.stride[at], (window.kernel[at] - 1) * window.dilation[at] + 1];
  if (window.same === undefined) {
    const room = size + window.begin[at] + window.end[at] - reach;
    return { places: Math.max(0, Math.floor(room / stride) + 1), before: window.begin[at] };
  }
  const places = Math.ceil(size / stride);
  const total = Math.max(0, (places - 1) * stride + reach - size);
  return { places, before: window.same === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2) };
}

/** All places of an image where there are at most `most`, else `most` random ones, which depend on the seed alone. */
export function placesOf(count: number, most: number, seed: string): Int32Array {
  if (count <= most) return Int32Array.from({ length: count }, (_, i) => i);
  const random = new Random(seed);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < most; i++) {
    const j = i + random.int(count - i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order.subarray(0, most).sort();
}

/** Writes the patches [places, c kh kw] of one image to `out`, from `offset` on; 0 where the input is padded. */
export function gatherPatches(
  geometry: Geometry,
  { dims, values }: Activation,
  image: number,
  places: Int32Array,
  out: Float32Array,
  offset: number,
): void {
  if (geometry.kind === "rows") {
    gatherRows({ dims, values }, image, places, out, offset);
    return;
  }
  const { input, output, begin } = extentOf(geometry, dims);
  const channels = dims[1]!;
  const [[height, width], [kh, kw]] = [input, geometry.kernel];
  const [[sy, sx], [dy, dx]] = [geometry.stride, geometry.dilation];
  let at = offset;
  for (const place of places) {
    const top = Math.floor(place / output[1]) * sy + begin[0];
    const left = (place % output[1]) * sx + begin[1];
    for (let c = 0; c < channels; c++) {
      const plane = (image * channels + c) * height * width;
      for (let i = 0; i < kh; i++) {
        const y = top + i * dy;
        const row = plane + y * width;
        const inside = y >= 0 && y < height;
        for (let j = 0; j < kw; j++, at++) {
          const x = left + j * dx;
          out[at] = inside && x >= 0 && x < width ? values[row + x]! : 0;
        }
      }
    }
  }
}

/** Writes the outputs [places, n] of one image to `out`, from `offset` on. */
export function gatherOutputs(
  geometry: Geometry,
  activation: Activation,
  image: number,
  places: Int32Array,
  out: Float32Array,
  offset: number,
): void {
  if (geometry.kind === "rows") {
    gatherRows(activation, image, places, out, offset);
    return;
  }
  const { dims, values } = activation;
  const [, channels = 0, ...sides] = dims;
  const area = elements(sides);
  for (let c = 0; c < channels; c++) {
    const plane = (image * channels + c) * area;
    for (let p = 0; p < places.length; p++) out[offset + p * channels + c] = values[plane + places[p]!]!;
  }
}

function gatherRows(
  { dims, values }: Activation,
  image: number,
  places: Int32Array,
  out: Float32Array,
  offset: number,
): void {
  const width = dims.at(-1)!;
  const rows = elements(dims.slice(1, -1));
  for (let p = 0; p < places.length; p++) {
    const from = (image * rows + places[p]!) * width;
    out.set(values.subarray(from, from + width), offset + p * width);
  }
}
