// The visitor's pictures as data for a network.
import type { Data } from "../../src/data/dataset.js";
import type { Image } from "../../src/data/image.js";
import { inputsOf } from "../../src/data/inputs.js";
import { lowResolution } from "../../src/data/low-resolution.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { decodeImage } from "../host/codec.js";
import { pictures } from "../host/memory.js";
import { resized } from "../host/resize.js";
import type { NamedFile, Pixels } from "../protocol.js";

/** Longer sides are reduced when a picture is read: networks see far less. */
const longestSide = 1600;

/** @throws FilterBasisError `malformed` for what the browser cannot read */
export async function readPicture({ name, file }: NamedFile): Promise<Image> {
  const bitmap = await createImageBitmap(file).catch((cause: unknown) => {
    throw new FilterBasisError("malformed", "this is no picture that the browser can read", {
      file: name,
      cures: ["give PNG, JPEG or WebP files"],
      cause,
    });
  });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const size = width * height;
  const planes = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) planes[c * size + i] = data[4 * i + c]!;
  const image: Image = { width, height, channels: 3, data: planes };
  const scale = longestSide / Math.max(width, height);
  if (scale >= 1) return image;
  return resized(image, { width: Math.round(width * scale), height: Math.round(height * scale), fit: "fill" });
}

/** Those that were read before and are not given any more are forgotten. */
export async function readPictures(given: readonly NamedFile[]): Promise<readonly string[]> {
  pictures.clear();
  for (const [i, one] of given.entries()) pictures.set(`${i} ${one.name}`, await readPicture(one));
  return [...pictures.keys()];
}

/** @param pairs whether a super-resolution network may degrade them */
export function pictureData(names: readonly string[], { pairs = true } = {}): Data {
  const files = names.map((name) => ({ name, hr: name }));
  return {
    name: "your pictures",
    ...(pairs && { pairs: async () => ({ layout: "pictures, degraded here", pairs: files }) }),
    inputs: (options = {}) =>
      inputsOf(
        "your pictures",
        options.scale === undefined
          ? names.map((name) => ({ file: name, load: (sizing) => decodeImage(name, { sizing }) }))
          : lowResolution(files, options.scale),
        options,
      ),
  };
}

export function toPixels({ width, height, channels, data }: Image): Pixels {
  const size = width * height;
  const rgba = new Uint8ClampedArray(4 * size).fill(255);
  for (let i = 0; i < size; i++)
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[(channels === 1 ? 0 : c * size) + i]!;
  return { width, height, rgba };
}
