// Labelled images in memory, their normalisation, and the order in which an epoch reads them.
import { FilterBasisError } from "../errors/error.js";
import type { Random } from "../linalg/random.js";

/** Images of one size with their classes. */
export interface ImageSet {
  readonly name: string;
  /** [count, 3, height, width], 8 bits, planar, red first. */
  readonly images: Uint8Array;
  /** [count], each the index of a class. */
  readonly labels: Uint8Array | Int32Array;
  readonly classes: readonly string[];
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Training and test images of one data set; a part may be absent where a user's own data has only one. */
export interface ImageData {
  readonly train?: ImageSet;
  readonly test?: ImageSet;
}

/** What a network wants: (v / 255 - mean) / std for an 8-bit v, by channel. */
export interface Normalization {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The usual ones by name. `cifar10` as the authors' code has it, `imagenet` as torchvision's networks expect it. */
export const normalizations = {
  cifar10: { mean: [125.3 / 255, 123 / 255, 113.9 / 255], std: [63 / 255, 62.1 / 255, 66.7 / 255] },
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  none: { mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies Record<string, Normalization>;

/**
 * Reads `cifar10`, `imagenet`, `none`, `m,m,m/s,s,s` or, for all channels alike, `m/s` (in units of v / 255, red
 * first).
 * @throws FilterBasisError `usage`
 */
export function parseNormalization(text: string): Normalization {
  if (Object.hasOwn(normalizations, text)) return normalizations[text as keyof typeof normalizations];
  const [mean = [], std = [], ...rest] = text
    .split("/")
    .map((part) => part.split(",").map((value) => (value.trim() === "" ? Number.NaN : Number(value))))
    .map((values) => (values.length === 1 ? [values[0]!, values[0]!, values[0]!] : values));
  const triples = [mean, std].every((values) => values.length === 3 && values.every(Number.isFinite));
  if (!triples || rest.length > 0 || std.some((value) => value <= 0)) {
    throw new FilterBasisError("usage", "this is not a normalisation", {
      expected:
        "cifar10, imagenet, none, or three means / three positive standard deviations such as 0.5,0.5,0.5/0.25,0.25,0.25, or one of each",
      got: JSON.stringify(text),
    });
  }
  return { mean: mean as [number, number, number] & number[], std: std as [number, number, number] & number[] };
}

/**
 * The normalised float32 of every 8-bit value, [3][256], rounded where torchvision rounds (ToTensor, subtract, divide).
 */
export function normalizationTable({ mean, std }: Normalization): readonly [Float32Array, Float32Array, Float32Array] {
  const { fround } = Math;
  const channel = (c: 0 | 1 | 2) =>
    Float32Array.from({ length: 256 }, (_, v) => fround(fround(fround(v / 255) - fround(mean[c])) / fround(std[c])));
  return [channel(0), channel(1), channel(2)];
}

/** The numbers 0 .. count - 1 in random order (Fisher-Yates). */
export function permutation(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.int(i + 1);
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}

/** The first `count` images only (no copy); all of them where there are no more. */
export function firstImages(set: ImageSet, count: number): ImageSet {
  if (count >= set.count) return set;
  const size = 3 * set.height * set.width;
  return { ...set, count, images: set.images.subarray(0, count * size), labels: set.labels.subarray(0, count) };
}
