// An image in memory, and the plain things done with one: cutting, luma, grey to RGB.
import { FilterBasisError } from "../errors/error.js";

/** 8-bit, planar. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** [channels, height, width], red first. */
  readonly data: Uint8Array;
  /** [height, width]; absent where the image has no transparency. */
  readonly alpha?: Uint8Array;
}

/**
 * The weights of luma on 8-bit R, G, B, as the authors' code and the field's measurements have them (ITU-R BT.601, 16
 * .. 235 without its 16). The other usual spelling, (65.481, 128.553, 24.966) / 255, is the same to 5 digits, far below
 * 0.001 dB.
 */
export const lumaWeights = [65.738 / 256, 129.057 / 256, 25.064 / 256] as const;

/** Luma of an image, [height, width], 16 .. 235, not rounded. A grey image counts as R = G = B. */
export function luma({ width, height, channels, data }: Image): Float32Array {
  const size = width * height;
  const [r, g, b] = lumaWeights;
  if (channels === 1) return Float32Array.from({ length: size }, (_, i) => 16 + (r + g + b) * data[i]!);
  return Float32Array.from(
    { length: size },
    (_, i) => 16 + r * data[i]! + g * data[size + i]! + b * data[2 * size + i]!,
  );
}

/** Three equal channels out of one; an RGB image as it is. */
export function toRgb(image: Image): Image {
  if (image.channels === 3) return image;
  const { data } = image;
  const tripled = new Uint8Array(3 * data.length);
  for (let c = 0; c < 3; c++) tripled.set(data, c * data.length);
  return { ...image, channels: 3, data: tripled };
}

/**
 * The rectangle of `width` x `height` pixels whose top left corner is at column `x`, row `y`.
 * @throws FilterBasisError `shape-mismatch`
 */
export function crop(image: Image, x: number, y: number, width: number, height: number): Image {
  if (x < 0 || y < 0 || width < 1 || height < 1 || x + width > image.width || y + height > image.height) {
    throw new FilterBasisError("shape-mismatch", "the rectangle is not inside the image", {
      expected: `inside ${image.width} x ${image.height}`,
      got: `${width} x ${height} at ${x}, ${y}`,
    });
  }
  if (width === image.width && height === image.height) return image;
  const cut = (planes: Uint8Array, count: number) => {
    const out = new Uint8Array(count * width * height);
    for (let c = 0; c < count; c++) {
      for (let row = 0; row < height; row++) {
        const from = (c * image.height + y + row) * image.width + x;
        out.set(planes.subarray(from, from + width), (c * height + row) * width);
      }
    }
    return out;
  };
  const { channels, data, alpha } = image;
  return { width, height, channels, data: cut(data, channels), ...(alpha && { alpha: cut(alpha, 1) }) };
}

/**
 * Cut at the right and below so that both sides are multiples of the scale.
 * @throws FilterBasisError `shape-mismatch` (nothing would be left)
 */
export function cropToMultiple(image: Image, scale: number): Image {
  return crop(image, 0, 0, image.width - (image.width % scale), image.height - (image.height % scale));
}
