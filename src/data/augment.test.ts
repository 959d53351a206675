// Batches: normalisation as the authors' code computes it, crops and flips by their definition, the same stream from
// the same state.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { noShared, shared } from "../../test/shared.js";
import { readSafetensors } from "../formats/safetensors.js";
import { Random } from "../linalg/random.js";
import { cropFlipBatch, labelBatch, normalizeBatch } from "./augment.js";
import { type ImageSet, normalizations, normalizationTable, parseNormalization, permutation } from "./image-set.js";

/** Small images whose every byte is different from its neighbours. */
function someImages(count = 3, height = 6, width = 5): ImageSet {
  const images = Uint8Array.from({ length: count * 3 * height * width }, (_, i) => (i * 37 + 11) % 256);
  return {
    name: "some",
    images,
    labels: Uint8Array.from({ length: count }, (_, n) => n),
    classes: ["a", "b", "c"],
    count,
    height,
    width,
  };
}

/** The definition: pad with zeros, crop at (dy, dx), mirror, normalise; one value at a time. */
function oneByOne(set: ImageSet, index: number, dy: number, dx: number, flip: boolean): Float32Array {
  const { height, width } = set;
  const table = normalizationTable(normalizations.cifar10);
  return Float32Array.from({ length: 3 * height * width }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    const [row, column] = [y + dy, (flip ? width - 1 - x : x) + dx];
    const inside = row >= 0 && row < height && column >= 0 && column < width;
    return table[c]![inside ? set.images[((index * 3 + c) * height + row) * width + column]! : 0]!;
  });
}

describe("cropFlipBatch", () => {
  test("pads with zeros before normalising, crops, then flips", () => {
    const set = someImages();
    const indices = [2, 0, 1, 1, 2, 0, 0, 1];
    const out = new Float32Array(indices.length * 90);
    cropFlipBatch(set, indices, new Random(5), normalizations.cifar10, out, { pad: 2 });
    const random = new Random(5);
    for (const [n, index] of indices.entries()) {
      const [dy, dx, flip] = [random.int(5) - 2, random.int(5) - 2, random.int(2) === 1];
      expect(out.subarray(n * 90, n * 90 + 90)).toEqual(oneByOne(set, index, dy, dx, flip));
    }
  });

  test("the same state gives the same batch, and the stream goes on", () => {
    const set = someImages();
    const draw = (random: Random) => {
      const out = new Float32Array(3 * 90);
      cropFlipBatch(set, [0, 1, 2], random, normalizations.none, out);
      return out;
    };
    const random = new Random(1);
    draw(random);
    const resumed = new Random(0);
    resumed.state = JSON.parse(JSON.stringify(random.state));
    expect(draw(resumed)).toEqual(draw(random));
    expect(draw(random)).not.toEqual(draw(new Random(1)));
  });

  test("a buffer that is too small and an index outside the set are refused", () => {
    const set = someImages();
    const random = new Random(1);
    expect(() => cropFlipBatch(set, [0, 1], random, normalizations.none, new Float32Array(90))).toThrow(/does not fit/);
    expect(() => cropFlipBatch(set, [3], random, normalizations.none, new Float32Array(90))).toThrow(/has no image 3/);
  });
});

test("labels come as int64", () => {
  expect(labelBatch(someImages(), [2, 0])).toEqual(BigInt64Array.of(2n, 0n));
});

test("a permutation holds every index once and depends on the seed alone", () => {
  const order = permutation(1000, new Random(3));
  expect(new Set(order).size).toBe(1000);
  expect(Math.max(...order)).toBe(999);
  expect(permutation(1000, new Random(3))).toEqual(order);
  expect(permutation(1000, new Random(4))).not.toEqual(order);
});

describe("parseNormalization", () => {
  test("names and numbers", () => {
    expect(parseNormalization("imagenet").mean).toEqual([0.485, 0.456, 0.406]);
    expect(parseNormalization("0.5, 0.5,0.5/.25,.25,1")).toEqual({ mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 1] });
  });

  test.each([
    "",
    "cifar",
    "1,2,3",
    "1,2/1,1,1",
    "1,2,x/1,1,1",
    "0,0,0/1,0,1",
    "0,0,0/1,1,1/1,1,1",
    "0,,0/1,1,1",
    "toString",
  ])("%j is refused", (text) => {
    expect(() => parseNormalization(text)).toThrow(/not a normalisation/);
  });
});

const fixture = shared("fixtures/cifar_normalize.safetensors");
test.skipIf(fixture === undefined)(
  `normalisation equals the authors', bit for bit${fixture ? "" : `: ${noShared}`}`,
  () => {
    const tensors = readSafetensors(readFileSync(fixture!)).tensors;
    const hwc = tensors.get("image_hwc_u8")!.data;
    const images = Uint8Array.from({ length: 3072 }, (_, i) => hwc[(i % 1024) * 3 + Math.floor(i / 1024)]!);
    const set: ImageSet = {
      name: "one",
      images,
      labels: new Uint8Array(1),
      classes: ["a"],
      count: 1,
      height: 32,
      width: 32,
    };
    const out = new Float32Array(3072);
    normalizeBatch(set, [0], normalizations.cifar10, out);
    const { data } = tensors.get("normalized_chw_f32")!;
    const expected = new Float32Array(Uint8Array.from(data).buffer);
    let worst = 0;
    for (let i = 0; i < 3072; i++) worst = Math.max(worst, Math.abs(out[i]! - expected[i]!));
    expect(worst).toBe(0);
  },
);
