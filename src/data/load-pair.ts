// A super-resolution pair as images: high and low resolution, of sizes that belong together.
import { FilterBasisError } from "../errors/error.js";
import { decodeImage } from "./codec.js";
import { crop, cropToMultiple, type Image, toRgb } from "./image.js";
import { imresize } from "./imresize.js";
import type { PairFiles } from "./sr-pairs.js";

export interface Pair {
  readonly name: string;
  /** Exactly `scale` times the size of `lr`. */
  readonly hr: Image;
  readonly lr: Image;
}

/**
 * Decodes a pair. Without an LR file the HR image is cut to a multiple of the scale and LR is made from it. With one,
 * HR may be up to scale - 1 pixels larger than scale x LR and is then cut at the right and below, as the authors' code
 * does.
 * @throws FilterBasisError `data-mismatch` (sizes that do not belong together), and what decoding throws
 */
export async function loadPair({ name, hr: hrFile, lr: lrFile }: PairFiles, scale: number): Promise<Pair> {
  const hr = await decodeImage(hrFile);
  if (lrFile === undefined) {
    if (Math.min(hr.width, hr.height) < scale) {
      throw new FilterBasisError("data-mismatch", "the image is too small for this scale", {
        file: hrFile,
        got: `${hr.width} x ${hr.height}`,
      });
    }
    const cut = cropToMultiple(hr, scale);
    return { name, hr: cut, lr: imresize(cut, 1 / scale) };
  }
  const lr = await decodeImage(lrFile);
  const [width, height] = [lr.width * scale, lr.height * scale];
  const [right, below] = [hr.width - width, hr.height - height];
  if (right < 0 || below < 0 || right >= scale || below >= scale) {
    throw new FilterBasisError(
      "data-mismatch",
      `this is not the low-resolution version of ${hrFile} at scale ${scale}`,
      {
        file: lrFile,
        expected: `${Math.floor(hr.width / scale)} x ${Math.floor(hr.height / scale)}`,
        got: `${lr.width} x ${lr.height}`,
      },
    );
  }
  const cut = crop(hr, 0, 0, width, height);
  // Some sets keep one image of a pair in grey and the other in RGB.
  return hr.channels === lr.channels ? { name, hr: cut, lr } : { name, hr: toRgb(cut), lr: toRgb(lr) };
}
