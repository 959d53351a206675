// Outputs of a network as pictures: planes of values in a known or found range.
import type { Image } from "../../src/data/image.js";
import type { TensorData } from "../../src/graph/types.js";
import { floats } from "../../src/graph/values.js";

export type Range = readonly [low: number, high: number];

interface Planes {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly at: (channel: number, place: number) => number;
}

/** Fewer places than this are no picture. */
const fewest = 64;

/** [1, C, H, W] or [1, H, W, C] of one or three channels; undefined for everything else. */
function planesOf(tensor: TensorData): Planes | undefined {
  const dims = tensor.dims.length === 3 ? [tensor.dims[0]!, 1, ...tensor.dims.slice(1)] : tensor.dims;
  const [images, a = 0, b = 0, c = 0] = dims;
  if (dims.length !== 4 || images !== 1) return undefined;
  const values = floats(tensor);
  if ((a === 1 || a === 3) && b * c >= fewest)
    return { channels: a, height: b, width: c, at: (channel, place) => values[channel * b * c + place]! };
  if ((c === 1 || c === 3) && a * b >= fewest)
    return { channels: c, height: a, width: b, at: (channel, place) => values[place * c + channel]! };
  return undefined;
}

/** 0 to 1, 0 to 255, or what the values span. */
export function rangeOf(tensor: TensorData): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of floats(tensor)) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low >= -0.2 && high <= 1.2) return [0, 1];
  if (low >= -40 && high <= 300 && high > 20) return [0, 255];
  return [low, high];
}

export function imageOf(tensor: TensorData, [low, high]: Range): Image | undefined {
  const planes = planesOf(tensor);
  if (planes === undefined) return undefined;
  const { channels, height, width, at } = planes;
  const size = height * width;
  const data = new Uint8Array(channels * size);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < size; i++)
      data[c * size + i] = Math.max(0, Math.min(255, Math.round((at(c, i) - low) * scale)));
  return { width, height, channels, data };
}

/** How far two pictures are apart at each place, ten times as bright as they are. */
export function differenceOf(a: Image, b: Image): Image {
  const size = a.width * a.height;
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    let most = 0;
    for (let c = 0; c < a.channels; c++) most = Math.max(most, Math.abs(a.data[c * size + i]! - b.data[c * size + i]!));
    data[i] = Math.min(255, 10 * most);
  }
  return { width: a.width, height: a.height, channels: 1, data };
}
