// What a page has in the place of a disk: models by name, and decoded pictures by name.
import type { Image } from "../../src/data/image.js";
import { FilterBasisError } from "../../src/errors/error.js";

export const files = new Map<string, Uint8Array>();
export const pictures = new Map<string, Image>();

/** @throws FilterBasisError `not-found` */
export function fileBytes(name: string): Uint8Array {
  const found = files.get(name);
  if (found === undefined) throw new FilterBasisError("not-found", "there is no such file in the page", { file: name });
  return found;
}

/** @throws FilterBasisError `not-found` */
export function pictureNamed(name: string): Image {
  const found = pictures.get(name);
  if (found === undefined) throw new FilterBasisError("not-found", "there is no such picture", { file: name });
  return found;
}
