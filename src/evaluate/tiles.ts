// Cutting an image into tiles that overlap as far as the network looks, so that the pieces equal the whole.
import { FilterBasisError } from "../errors/error.js";
import type { ReceptiveField } from "./receptive-field.js";

/** One side of a tile, in low-resolution pixels: what is read, and the part of it whose result is kept. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly keepFrom: number;
  readonly keepTo: number;
}

export interface TileOptions {
  /** Pixels that are kept of a tile, along each side. */
  readonly tile: number;
  /** Pixels read beyond it, before and after. */
  readonly before: number;
  readonly after: number;
  /** Tiles are read from multiples of this on. */
  readonly period: number;
}

/** The spans that cover a side of `size` pixels; what is kept of them joins without gap or overlap. */
export function spans(size: number, { tile, before, after, period }: TileOptions): Span[] {
  const step = Math.max(period, Math.floor(tile / period) * period);
  const lead = Math.ceil(before / period) * period;
  return Array.from({ length: Math.ceil(size / step) }, (_, i) => ({
    from: Math.max(0, i * step - lead),
    to: Math.min(size, (i + 1) * step + after),
    keepFrom: i * step,
    keepTo: Math.min(size, (i + 1) * step),
  }));
}

/**
 * The same for a network that takes one size only: every tile is read at exactly `fixed` pixels. The image must be at
 * least as large.
 * @throws FilterBasisError `data-mismatch` (nothing of a tile would be kept, or the image is too small)
 */
export function fixedSpans(
  size: number,
  fixed: number,
  { before, after }: Pick<ReceptiveField, "before" | "after">,
): Span[] {
  if (size < fixed) {
    throw new FilterBasisError("data-mismatch", "the image is smaller than the one size that the network takes", {
      expected: `at least ${fixed}`,
      got: String(size),
    });
  }
  // As much overlap as the size allows where it cannot cover the receptive field.
  const room = Math.floor((fixed - 1) / 2);
  const [lead, tail] = [Math.min(before, room), Math.min(after, room)];
  const found: Span[] = [];
  for (let keepFrom = 0; keepFrom < size; ) {
    const from = Math.max(0, Math.min(keepFrom - lead, size - fixed));
    const keepTo = from + fixed >= size ? size : from + fixed - tail;
    found.push({ from, to: from + fixed, keepFrom, keepTo });
    keepFrom = keepTo;
  }
  return found;
}
