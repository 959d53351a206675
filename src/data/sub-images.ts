// Large images as overlapping squares: DIV2K's 480-pixel sub-images at step 240, as the field cuts them. No pixel is
// copied.
import { FilterBasisError } from "../errors/error.js";

/** A rectangle of a low-resolution image, in its pixels. */
export interface SubImage {
  readonly image: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A remainder of at most this many pixels at the right or below gets no square of its own. */
const threshold = 48;

/**
 * The starts of squares along one side: every `step` pixels, and one more at the end where more than 48 pixels would be
 * left.
 */
export function starts(side: number, size: number, step: number): number[] {
  const found: number[] = [];
  for (let at = 0; at + size <= side; at += step) found.push(at);
  const last = found.at(-1);
  if (last !== undefined && side - (last + size) > threshold) found.push(side - size);
  return found;
}

/**
 * All sub-images of a set; `size` and `step` are HR pixels and multiples of the scale. An image smaller than a square
 * gives none.
 * @throws FilterBasisError `usage`, `data-mismatch` (no sub-image at all)
 */
export function subImagesOf(
  pairs: readonly { readonly hr: { readonly width: number; readonly height: number } }[],
  scale: number,
  { size, step }: { readonly size: number; readonly step: number },
): SubImage[] {
  if (size < 1 || step < 1 || size % scale !== 0 || step % scale !== 0) {
    throw new FilterBasisError("usage", "size and step of sub-images must be multiples of the scale", {
      expected: `multiples of ${scale}`,
      got: `${size}, ${step}`,
    });
  }
  const found = pairs.flatMap(({ hr }, image) =>
    starts(hr.height, size, step).flatMap((y) =>
      starts(hr.width, size, step).map((x) => ({
        image,
        x: x / scale,
        y: y / scale,
        width: size / scale,
        height: size / scale,
      })),
    ),
  );
  if (found.length === 0)
    throw new FilterBasisError("data-mismatch", "no image is as large as a sub-image", {
      expected: `at least ${size} x ${size}`,
    });
  return found;
}
