// An image in another size: linear interpolation with antialiasing, as sharp does it for the command line.
import type { Sizing } from "../../src/data/codec.js";
import { crop, type Image } from "../../src/data/image.js";

export function resized(image: Image, { width, height, fit }: Sizing): Image {
  if (image.width === width && image.height === height) return image;
  if (fit === "fill") return stretched(image, width, height);
  const [across, down] = [width / image.width, height / image.height];
  const scale = fit === "cover" ? Math.max(across, down) : Math.min(across, down);
  const side = (own: number, most: number) => (Math.abs(own * scale - most) < 1 ? most : Math.round(own * scale));
  const made = stretched(image, Math.max(1, side(image.width, width)), Math.max(1, side(image.height, height)));
  const [left, top] = [Math.floor((made.width - width) / 2), Math.floor((made.height - height) / 2)];
  return fit === "cover" ? crop(made, left, top, width, height) : framed(made, width, height);
}

/** Whole, between black bars. */
function framed({ channels, data, ...from }: Image, width: number, height: number): Image {
  const out = new Uint8Array(channels * width * height);
  const [left, top] = [Math.floor((width - from.width) / 2), Math.floor((height - from.height) / 2)];
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < from.height; y++) {
      const row = (c * from.height + y) * from.width;
      out.set(data.subarray(row, row + from.width), (c * height + y + top) * width + left);
    }
  return { width, height, channels, data: out };
}

function stretched({ channels, width, height, data }: Image, toWidth: number, toHeight: number): Image {
  const across = weightsOf(width, toWidth);
  const down = weightsOf(height, toHeight);
  const out = new Uint8Array(channels * toWidth * toHeight);
  const rows = new Float32Array(height * toWidth);
  for (let c = 0; c < channels; c++) {
    const plane = data.subarray(c * width * height, (c + 1) * width * height);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < toWidth; x++) rows[y * toWidth + x] = weighed(across[x]!, (at) => plane[y * width + at]!);
    for (let y = 0; y < toHeight; y++)
      for (let x = 0; x < toWidth; x++)
        out[(c * toHeight + y) * toWidth + x] = Math.min(
          255,
          Math.max(0, Math.round(weighed(down[y]!, (at) => rows[at * toWidth + x]!))),
        );
  }
  return { width: toWidth, height: toHeight, channels, data: out };
}

interface Weights {
  readonly first: number;
  readonly values: readonly number[];
}

function weighed({ first, values }: Weights, at: (index: number) => number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * at(first + i);
  return sum;
}

/** Of the neighbours of every place: a triangle as wide as a place is, one at least. */
function weightsOf(from: number, to: number): readonly Weights[] {
  const step = from / to;
  const reach = Math.max(1, step);
  return Array.from({ length: to }, (_, i) => {
    const middle = (i + 0.5) * step - 0.5;
    const first = Math.max(0, Math.ceil(middle - reach));
    const last = Math.min(from - 1, Math.floor(middle + reach));
    const raw = Array.from({ length: last - first + 1 }, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k - middle) / reach),
    );
    const sum = raw.reduce((total, one) => total + one, 0);
    return { first, values: raw.map((one) => one / sum) };
  });
}
