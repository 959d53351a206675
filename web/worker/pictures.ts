// The visitor's pictures as data for a network.
import type { Data } from "../../src/data/dataset.js";
import { crop, type Image } from "../../src/data/image.js";
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

/** So many pieces of pictures are enough to look at. */
const enough = 24;

/**
 * Pieces of the pictures that lie beside each other, where there are few pictures and they are much larger than what
 * the network sees: the middle of a picture alone shows little. Pieces of so many pixels, the pictures in turns.
 */
export function cutPictures(names: readonly string[], { width, height }: Size) {
  const each = Math.ceil(enough / Math.max(1, names.length));
  return names.flatMap((name) => {
    const image = pictures.get(name)!;
    const [across, down] = [Math.floor(image.width / width), Math.floor(image.height / height)];
    if (each < 2 || across * down < 2) return [name];
    const step = Math.max(1, (across * down) / each);
    return Array.from({ length: Math.min(each, across * down) }, (_, i) => {
      const at = Math.floor(i * step);
      const piece = `${name} ${at}`;
      pictures.set(piece, crop(image, (at % across) * width, Math.floor(at / across) * height, width, height));
      return piece;
    });
  });
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Half as wide and high as the smallest picture, but not smaller than what the network sees. */
export function halvesOf(names: readonly string[], { width, height }: Size): Size {
  const all = names.map((name) => pictures.get(name)!);
  const half = (side: "width" | "height") => Math.floor(Math.min(...all.map((image) => image[side])) / 2);
  return { width: Math.max(width, half("width"), 1), height: Math.max(height, half("height"), 1) };
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
