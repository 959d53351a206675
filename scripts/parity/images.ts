// Everything about images: PSNR, rounding, normalisation, augmentation, patches.
import { z } from "zod";
import { normalizeBatch } from "../../src/data/augment.js";
import type { Image } from "../../src/data/image.js";
import type { ImageSet, Normalization } from "../../src/data/image-set.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { psnr, quantize } from "../../src/evaluate/psnr.js";
import { float32Tensor } from "../../src/graph/attributes.js";
import type { TensorData } from "../../src/graph/types.js";
import { floats } from "../../src/graph/values.js";
import { type Check, type Entry, type Folder, largestDifference, need, parse } from "./entry.js";

const psnrEntry = z.looseObject({
  file: z.string(),
  cases: z.array(
    z.looseObject({ sr: z.string(), hr: z.string(), scale: z.int(), div2k: z.boolean(), psnr: z.number() }),
  ),
});

/** Agreement in dB that float32 differences of 8-bit values allow. */
const decibels = 1e-5;

export function checkPsnr(entry: Entry, folder: Folder): readonly Check[] {
  const { file, cases } = parse(psnrEntry, entry, entry.name);
  const tensors = folder.tensors(file);
  const off = cases.map(({ sr, hr, scale, div2k, psnr: recorded }) => {
    const ours = psnr(
      image(need(tensors, sr)),
      image(need(tensors, hr)),
      div2k ? scale + 6 : scale,
      div2k ? "rgb" : "luma",
    );
    return Math.abs(ours - recorded);
  });
  return [{ what: `${cases.length} cases, dB`, difference: Math.max(...off), allowed: decibels }];
}

/** [C, H, W]; float values are clipped and rounded first. */
function image(tensor: TensorData): Image {
  const [channels = 0, height = 0, width = 0] = tensor.dims;
  if (channels !== 1 && channels !== 3)
    throw new FilterBasisError("malformed", "an image has 1 or 3 channels", { got: String(channels) });
  return { width, height, channels, data: tensor.type === "uint8" ? tensor.data : quantize(floats(tensor)) };
}

export function checkQuantize(entry: Entry): readonly Check[] {
  const { input, output } = parse(
    z.looseObject({ input: z.array(z.number()), output: z.array(z.number()) }),
    entry,
    entry.name,
  );
  const ours = quantize(Float32Array.from(input));
  const off = output.map((value, i) => Math.abs(value - (ours[i] ?? Number.NaN)));
  return [{ what: `${output.length} values`, difference: Math.max(...off), allowed: 0 }];
}

const normalizeEntry = z.looseObject({
  file: z.string(),
  mean_255: z.tuple([z.number(), z.number(), z.number()]),
  std_255: z.tuple([z.number(), z.number(), z.number()]),
});

export function checkNormalize(entry: Entry, folder: Folder): readonly Check[] {
  const o = parse(normalizeEntry, entry, entry.name);
  const tensors = folder.tensors(o.file);
  const image = need(tensors, "image_hwc_u8");
  const expected = need(tensors, "normalized_chw_f32");
  const [height = 0, width = 0] = image.dims;
  const images = toPlanes(image.data, height, width);
  const set: ImageSet = {
    name: entry.name,
    images,
    labels: Uint8Array.of(0),
    classes: ["one"],
    count: 1,
    height,
    width,
  };
  const over255 = (values: readonly [number, number, number]) =>
    values.map((value) => value / 255) as [number, number, number];
  const normalization: Normalization = { mean: over255(o.mean_255), std: over255(o.std_255) };
  const out = new Float32Array(images.length);
  normalizeBatch(set, [0], normalization, out);
  return [
    {
      what: "normalised image",
      difference: largestDifference(float32Tensor([3, height, width], out), expected),
      allowed: 1e-6,
    },
  ];
}

/** [H, W, 3] -> [3, H, W]. */
export function toPlanes(data: Uint8Array, height: number, width: number): Uint8Array {
  const size = height * width;
  return Uint8Array.from({ length: 3 * size }, (_, i) => data[(i % size) * 3 + Math.floor(i / size)] as number);
}
