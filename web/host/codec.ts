// Pictures in a page: those that were decoded before, by name, in any size.
import type * as original from "../../src/data/codec.js";
import { pictureNamed } from "./memory.js";
import { resized } from "./resize.js";

export const decodeImage = (async (source: string, { sizing } = {}) => {
  const image = pictureNamed(source);
  return sizing === undefined ? image : resized(image, sizing);
}) satisfies (source: string, options?: original.DecodeOptions) => ReturnType<typeof original.decodeImage>;

export const resizeImage: typeof original.resizeImage = async (image, sizing) => resized(image, sizing);
