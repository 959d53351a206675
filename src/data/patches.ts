// Random patches of super-resolution pairs, flipped and transposed: what a training step eats.
import { FilterBasisError } from "../errors/error.js";
import type { Random } from "../linalg/random.js";
import { lumaWeights } from "./image.js";
import { type CacheOptions, type ImageCache, openImageCache } from "./image-cache.js";
import { imresizeFloat } from "./imresize.js";
import type { PairFiles } from "./sr-pairs.js";
import { type SubImage, subImagesOf } from "./sub-images.js";

export interface PatchOptions extends CacheOptions {
  readonly scale: number;
  /** Side of the HR patch in pixels; the LR patch has floor(patch / scale). */
  readonly patch: number;
  /** What 8-bit 255 becomes. */
  readonly range?: 1 | 255;
  /** 1: luma. */
  readonly channels?: 1 | 3;
  /** True for networks that only sharpen: the LR patch comes bicubically enlarged to the size of the HR patch. */
  readonly enlarged?: boolean;
  /** Flips and transposes, each with probability one half. */
  readonly augment?: boolean;
  /** Cut large images into overlapping squares first (DIV2K: 480 at step 240), each as likely as any other. */
  readonly subImages?: { readonly size: number; readonly step: number };
}

/** A batch. The arrays belong to the source and hold until its next batch. */
export interface Patches {
  readonly lr: Float32Array;
  readonly hr: Float32Array;
  readonly shapes: {
    readonly lr: readonly [number, number, number, number];
    readonly hr: readonly [number, number, number, number];
  };
}

export interface PatchSource {
  /** Images, or sub-images of them. */
  readonly count: number;
  /** Patches out of images drawn at random. The batch depends on the state of `random` alone. */
  next(batch: number, random: Random): Patches;
  /** Patches out of the images named, for epochs that visit each once. */
  at(indices: ArrayLike<number>, random: Random): Patches;
  close(): void;
}

/** Flips and transposes of one patch: first left-right, then up-down, then rows against columns. */
export interface Turn {
  readonly horizontal: boolean;
  readonly vertical: boolean;
  readonly transpose: boolean;
}

/**
 * Opens (decoding them on first use) the patches of a set of pairs. Draws for each patch, in this order: column, row,
 * left-right, up-down, transpose.
 * @throws FilterBasisError `data-mismatch` (an image smaller than a patch), and what the cache throws
 * @example
 * ```ts
 * import { findPairs, openPatches, Random } from "filterbasis";
 *
 * const { pairs } = await findPairs("photos", 2);
 * const source = await openPatches(pairs, { scale: 2, patch: 16 });
 * const { lr, hr } = source.next(4, new Random("patches"));
 * console.log(lr.length, hr.length);
 * source.close();
 * ```
 */
export async function openPatches(files: readonly PairFiles[], options: PatchOptions): Promise<PatchSource> {
  const { scale, patch } = options;
  if (!Number.isInteger(patch) || patch < scale) {
    throw new FilterBasisError("usage", "the patch is smaller than the scale", {
      expected: `at least ${scale}`,
      got: String(patch),
    });
  }
  const cache = await openImageCache(files, scale, options);
  try {
    const { pairs } = cache;
    const places = options.subImages
      ? subImagesOf(pairs, scale, options.subImages)
      : pairs.map(({ lr }, image) => ({ image, x: 0, y: 0, width: lr.width, height: lr.height }));
    const side = Math.floor(patch / scale);
    for (const { image, width, height } of places) {
      if (Math.min(width, height) >= side) continue;
      throw new FilterBasisError("data-mismatch", "an image is smaller than a patch", {
        file: files[image]!.hr,
        expected: `at least ${patch} x ${patch}`,
        got: `${width * scale} x ${height * scale}`,
      });
    }
    return makeSource(cache, places, side, options);
  } catch (error) {
    cache.close();
    throw error;
  }
}

function makeSource(cache: ImageCache, places: readonly SubImage[], side: number, options: PatchOptions): PatchSource {
  const { scale, channels = 3, enlarged = false, augment = true, range = 255 } = options;
  const reader = patchReader(cache, range);
  const inputSide = enlarged ? side * scale : side;
  let [lr, hr] = [new Float32Array(0), new Float32Array(0)];
  const source: PatchSource = {
    count: places.length,
    next: (batch, random) =>
      source.at(
        Uint32Array.from({ length: batch }, () => random.int(places.length)),
        random,
      ),
    at(indices, random) {
      const batch = indices.length;
      const shapes = {
        lr: [batch, channels, inputSide, inputSide] as const,
        hr: [batch, channels, side * scale, side * scale] as const,
      };
      const sizes = [batch * channels * inputSide ** 2, batch * channels * (side * scale) ** 2] as const;
      if (lr.length !== sizes[0] || hr.length !== sizes[1])
        [lr, hr] = [new Float32Array(sizes[0]), new Float32Array(sizes[1])];
      for (let n = 0; n < batch; n++) {
        const place = places[indices[n]!];
        if (place === undefined)
          throw new FilterBasisError("data-mismatch", `there is no image ${indices[n]}`, {
            expected: `0 .. ${places.length - 1}`,
          });
        const x = place.x + random.int(place.width - side + 1);
        const y = place.y + random.int(place.height - side + 1);
        const turn = {
          horizontal: augment && random.int(2) === 1,
          vertical: augment && random.int(2) === 1,
          transpose: augment && random.int(2) === 1,
        };
        const pair = cache.pairs[place.image]!;
        const low = enlarged
          ? reader.enlarged(pair.lr, x, y, side, scale, channels)
          : reader.plain(pair.lr, x, y, side, channels);
        turnPatch(low, inputSide, inputSide, channels, turn, lr, n * channels * inputSide ** 2);
        const high = reader.plain(pair.hr, x * scale, y * scale, side * scale, channels);
        turnPatch(high, side * scale, side * scale, channels, turn, hr, n * channels * (side * scale) ** 2);
      }
      return { lr, hr, shapes };
    },
    close: () => cache.close(),
  };
  return source;
}

/** Cuts squares out of stored images as floats, [channels, side, side]; the array is used again. */
function patchReader(cache: ImageCache, range: 1 | 255) {
  let rows = new Uint8Array(0);
  let patch = new Float32Array(0);
  const unit = range / 255;
  type Stored = Parameters<ImageCache["readRows"]>[0];

  function rectangle(
    image: Stored,
    x: number,
    y: number,
    width: number,
    height: number,
    channels: 1 | 3,
  ): Float32Array {
    const span = height * image.width;
    if (rows.length < 3 * span) rows = new Uint8Array(3 * span);
    cache.readRows(image, y, height, rows);
    const size = width * height;
    if (patch.length < channels * size) patch = new Float32Array(channels * size);
    const [r, g, b] = lumaWeights;
    for (let row = 0, to = 0; row < height; row++) {
      let from = row * image.width + x;
      for (let column = 0; column < width; column++, from++, to++) {
        if (channels === 1)
          patch[to] = unit * (16 + r * rows[from]! + g * rows[span + from]! + b * rows[2 * span + from]!);
        else for (let c = 0; c < 3; c++) patch[c * size + to] = unit * rows[c * span + from]!;
      }
    }
    return patch;
  }

  return {
    plain: (image: Stored, x: number, y: number, side: number, channels: 1 | 3) =>
      rectangle(image, x, y, side, side, channels),
    /**
     * With the neighbours that bicubic enlargement looks at, so that the patch equals a piece of the whole image
     * enlarged.
     */
    enlarged(image: Stored, x: number, y: number, side: number, scale: number, channels: 1 | 3): Float32Array {
      const margin = 3;
      const [left, top] = [Math.max(0, x - margin), Math.max(0, y - margin)];
      const [right, bottom] = [Math.min(image.width, x + side + margin), Math.min(image.height, y + side + margin)];
      const data = rectangle(image, left, top, right - left, bottom - top, channels).slice(
        0,
        channels * (right - left) * (bottom - top),
      );
      const whole = imresizeFloat(data, channels, bottom - top, right - left, scale, { edge: "leave out" });
      const out = side * scale;
      const cut = new Float32Array(channels * out * out);
      for (let c = 0; c < channels; c++) {
        for (let row = 0; row < out; row++) {
          const from = (c * whole.height + (y - top) * scale + row) * whole.width + (x - left) * scale;
          cut.set(whole.data.subarray(from, from + out), (c * out + row) * out);
        }
      }
      return cut;
    },
  };
}

/**
 * out[c, y, x] of a patch [channels, height, width] after flips and transpose, into `out` from `offset` on; transposed
 * it is [channels, width, height].
 */
export function turnPatch(
  patch: ArrayLike<number>,
  height: number,
  width: number,
  channels: number,
  { horizontal, vertical, transpose }: Turn,
  out: Float32Array,
  offset = 0,
): void {
  // One step along a row, and along a column, of the result, seen in the patch.
  const [right, down] = [horizontal ? -1 : 1, vertical ? -width : width];
  const [alongRow, alongColumn] = transpose ? [down, right] : [right, down];
  const [outHeight, outWidth] = transpose ? [width, height] : [height, width];
  const first = (horizontal ? width - 1 : 0) + (vertical ? (height - 1) * width : 0);
  for (let c = 0, to = offset; c < channels; c++) {
    for (let y = 0; y < outHeight; y++) {
      let from = c * height * width + first + y * alongColumn;
      for (let x = 0; x < outWidth; x++, from += alongRow) out[to++] = patch[from]!;
    }
  }
}
