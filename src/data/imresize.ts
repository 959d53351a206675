// MATLAB's imresize, bicubic: what the field makes its low-resolution images with. Keys' cubic, a = -0.5, antialiased.
import { FilterBasisError } from "../errors/error.js";
import type { Image } from "./image.js";

/** For each output position its taps: `count` input positions from `index[i * count]` on, and their weights. */
interface Taps {
  readonly count: number;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/**
 * Resizes an 8-bit image by `scale` (0.5 halves it; sides are rounded up, as in MATLAB), bit for bit as MATLAB did when
 * the benchmark images were made: columns first, each pass rounded to 8 bits, edge pixels repeated. Alpha is resized
 * alike.
 */
export function imresize(image: Image, scale: number): Image {
  const { channels, data, alpha } = image;
  const planes = resizePlanes(data, channels, image.height, image.width, scale, roundTo8);
  const { width, height } = planes;
  const rest = alpha && { alpha: resizePlanes(alpha, 1, image.height, image.width, scale, roundTo8).data };
  return { width, height, channels, data: planes.data, ...rest };
}

/**
 * The same on float values, [channels, height, width], with no rounding and no clipping anywhere. At the edges `repeat`
 * repeats the last pixel, as MATLAB does; `leave out` takes only the pixels that are there, their weights scaled to sum
 * 1, as Pillow does.
 */
export function imresizeFloat(
  data: Float32Array,
  channels: number,
  height: number,
  width: number,
  scale: number,
  { edge = "repeat" }: { readonly edge?: Edge } = {},
): { readonly data: Float32Array; readonly height: number; readonly width: number } {
  return resizePlanes(data, channels, height, width, scale, undefined, edge);
}

type Edge = "repeat" | "leave out";

/** MATLAB's uint8(): to nearest, halves up, clipped. */
function roundTo8(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5);
}

type Values = Uint8Array | Float32Array;

function resizePlanes<T extends Values>(
  data: T,
  channels: number,
  height: number,
  width: number,
  scale: number,
  round: ((value: number) => number) | undefined,
  edge: Edge = "repeat",
): { data: T; height: number; width: number } {
  const [outHeight, outWidth] = [height, width].map((side) => Math.ceil(side * scale - 1e-9)) as [number, number];
  if (!(scale > 0) || outHeight < 1 || outWidth < 1 || outHeight > 1e6 || outWidth > 1e6) {
    throw new FilterBasisError("usage", "an image cannot be resized by this factor", {
      got: `${width} x ${height} by ${scale}`,
    });
  }
  const make = (size: number) => (data instanceof Uint8Array ? new Uint8Array(size) : new Float32Array(size)) as T;
  const [down, along] = [taps(height, outHeight, scale, edge), taps(width, outWidth, scale, edge)];
  const middle = make(channels * outHeight * width);
  const out = make(channels * outHeight * outWidth);
  const row = new Float64Array(width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < outHeight; y++) {
      weighRows(data, c * height * width, width, down, y, row);
      store(row, middle, (c * outHeight + y) * width, round);
    }
  }
  const line = new Float64Array(outWidth);
  for (let y = 0; y < channels * outHeight; y++) {
    weighColumns(middle, y * width, along, line);
    store(line, out, y * outWidth, round);
  }
  return { data: out, height: outHeight, width: outWidth };
}

/** sum[x] = the weighted sum over the taps of output row y: whole rows at a time, so that memory is read in order. */
function weighRows(
  data: Values,
  offset: number,
  width: number,
  { count, index, weight }: Taps,
  y: number,
  sum: Float64Array,
): void {
  sum.fill(0);
  for (let t = y * count; t < (y + 1) * count; t++) {
    const w = weight[t]!;
    if (w === 0) continue;
    const from = offset + index[t]! * width;
    for (let x = 0; x < width; x++) sum[x]! += w * data[from + x]!;
  }
}

function weighColumns(data: Values, offset: number, { count, index, weight }: Taps, sums: Float64Array): void {
  for (let x = 0, t = 0; x < sums.length; x++) {
    let sum = 0;
    for (const end = t + count; t < end; t++) sum += weight[t]! * data[offset + index[t]!]!;
    sums[x] = sum;
  }
}

function store(from: Float64Array, to: Values, at: number, round: ((value: number) => number) | undefined): void {
  if (round === undefined) to.set(from, at);
  else for (let i = 0; i < from.length; i++) to[at + i] = round(from[i]!);
}

/** Keys' cubic convolution kernel with a = -0.5. */
function cubic(x: number): number {
  const d = Math.abs(x);
  if (d <= 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
  return d <= 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
}

/**
 * With positions counted from 1 as in MATLAB: output i sits at u = i / scale + (1 - 1 / scale) / 2; the kernel is
 * widened when shrinking.
 */
function taps(size: number, outSize: number, scale: number, edge: Edge): Taps {
  const shrink = Math.min(scale, 1);
  const support = 4 / shrink;
  const count = Math.ceil(support) + 2;
  const index = new Int32Array(outSize * count);
  const weight = new Float64Array(outSize * count);
  for (let i = 0; i < outSize; i++) {
    const u = (i + 1) / scale + 0.5 * (1 - 1 / scale);
    const left = Math.floor(u - support / 2);
    let sum = 0;
    for (let t = 0; t < count; t++) {
      const outside = left + t < 1 || left + t > size;
      const w = outside && edge === "leave out" ? 0 : shrink * cubic(shrink * (u - left - t));
      sum += w;
      weight[i * count + t] = w;
      index[i * count + t] = Math.min(Math.max(left + t - 1, 0), size - 1); // the edge pixel is repeated
    }
    for (let t = 0; t < count; t++) weight[i * count + t]! /= sum;
  }
  return { count, index, weight };
}
