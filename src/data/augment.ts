// Batches for a classifier: images picked, padded, cropped, flipped and normalised in one pass over the output.
import { FilterBasisError } from "../errors/error.js";
import type { Random } from "../linalg/random.js";
import { type ImageSet, type Normalization, normalizationTable } from "./image-set.js";

type Indices = ArrayLike<number>;

/**
 * The paper's augmentation: each image is padded by `pad` black pixels (before normalisation), cropped to its own size
 * at a random place, flipped left-right with probability one half, and normalised. Draws per image, in this order: row,
 * column, flip. Writes [indices.length, 3, height, width] into `out`.
 * @throws FilterBasisError `shape-mismatch` (out is too small), `data-mismatch` (an index outside the set)
 */
export function cropFlipBatch(
  set: ImageSet,
  indices: Indices,
  random: Random,
  normalization: Normalization,
  out: Float32Array,
  { pad = 4 }: { readonly pad?: number } = {},
): void {
  checkBatch(set, indices, out);
  const table = normalizationTable(normalization);
  for (let n = 0; n < indices.length; n++) {
    const dy = random.int(2 * pad + 1) - pad;
    const dx = random.int(2 * pad + 1) - pad;
    writeImage(set, indices[n]!, table, out, n, dy, dx, random.int(2) === 1);
  }
}

/** The same images without augmentation: [indices.length, 3, height, width] into `out`. */
export function normalizeBatch(set: ImageSet, indices: Indices, normalization: Normalization, out: Float32Array): void {
  checkBatch(set, indices, out);
  const table = normalizationTable(normalization);
  for (let n = 0; n < indices.length; n++) writeImage(set, indices[n]!, table, out, n, 0, 0, false);
}

/** The labels of a batch as the int64 that losses and ONNX want. */
export function labelBatch(set: ImageSet, indices: Indices): BigInt64Array {
  return BigInt64Array.from({ length: indices.length }, (_, n) => BigInt(set.labels[indices[n]!]!));
}

/** out[n, c, y, x] = table[c][image[c, y + dy, x + dx]], read as 0 outside, then mirrored in x if `flip`. */
function writeImage(
  { images, height, width }: ImageSet,
  index: number,
  table: readonly Float32Array[],
  out: Float32Array,
  n: number,
  dy: number,
  dx: number,
  flip: boolean,
): void {
  const plane = height * width;
  const [first, end] = [Math.max(0, -dx), Math.min(width, width - dx)]; // columns that come from the image
  const [start, step] = flip ? [width - 1, -1] : [0, 1];
  for (let c = 0; c < 3; c++) {
    const values = table[c]!;
    const source = (index * 3 + c) * plane;
    const target = (n * 3 + c) * plane;
    if (dy !== 0 || dx !== 0) out.fill(values[0]!, target, target + plane);
    for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
      const row = source + (y + dy) * width + dx;
      let to = target + y * width + start + first * step;
      for (let x = first; x < end; x++, to += step) out[to] = values[images[row + x]!]!;
    }
  }
}

function checkBatch(set: ImageSet, indices: Indices, out: Float32Array): void {
  const size = indices.length * 3 * set.height * set.width;
  if (out.length < size) {
    throw new FilterBasisError("shape-mismatch", "the batch does not fit its buffer", {
      expected: `${size} values`,
      got: String(out.length),
    });
  }
  for (let n = 0; n < indices.length; n++) {
    const index = indices[n]!;
    if (!(Number.isInteger(index) && index >= 0 && index < set.count)) {
      throw new FilterBasisError("data-mismatch", `${set.name} has no image ${index}`, {
        expected: `0 .. ${set.count - 1}`,
      });
    }
  }
}
