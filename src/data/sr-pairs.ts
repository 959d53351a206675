// Which images of a folder make super-resolution pairs: HR alone, or HR with LR in the layouts that the field's sets
// have.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { decodeImage, imageFormat } from "./codec.js";
import { crop, cropToMultiple, type Image, toRgb } from "./image.js";
import { imageNames as images, listFolder as list } from "./image-files.js";
import { imresize } from "./imresize.js";

/** One image: where its truth is, and where its low-resolution version is unless that is made here. */
export interface PairFiles {
  readonly name: string;
  readonly hr: string;
  readonly lr?: string;
}

export interface Pair {
  readonly name: string;
  /** Exactly `scale` times the size of `lr`. */
  readonly hr: Image;
  readonly lr: Image;
}

export interface PairSet {
  /** The layout that was recognised, in words. */
  readonly layout: string;
  readonly pairs: readonly PairFiles[];
}

export type Split = "train" | "valid";

/**
 * The pairs of a folder for one scale, sorted by name. Recognised, in this order: SelfExSR (`image_SRF_S/NAME_HR.png`,
 * `..._LR.png`), the benchmark sets (`HR/NAME.png`, `LR_bicubic/XS/NAMExS.png`), DIV2K (`DIV2K_train_HR/0001.png`,
 * `DIV2K_train_LR_bicubic/XS/0001xS.png`; `split` picks train or valid), one scale's folder of SelfExSR, and a plain
 * folder of HR images, or of folders of them, whose LR versions are made here by MATLAB's bicubic.
 * @throws FilterBasisError `not-found` (no folder, no images, an LR file missing)
 */
export async function findPairs(
  folder: string,
  scale: number,
  { split = "train" }: { readonly split?: Split } = {},
): Promise<PairSet> {
  const top = await list(folder);
  const selfex = `image_SRF_${scale}`;
  if (top.includes(selfex))
    return { layout: "SelfExSR", pairs: selfExPairs(join(folder, selfex), await list(join(folder, selfex))) };
  if (top.some((name) => name.startsWith("image_SRF_")))
    throw noScale(
      folder,
      scale,
      top.filter((name) => name.startsWith("image_SRF_")),
    );
  for (const [hr, lr, layout] of [
    ["HR", "LR_bicubic", "benchmark"],
    [`DIV2K_${split}_HR`, `DIV2K_${split}_LR_bicubic`, "DIV2K"],
  ] as const) {
    if (!top.includes(hr)) continue;
    const names = images(await list(join(folder, hr)));
    if (!top.includes(lr))
      return { layout: `${layout}, LR made here`, pairs: required(folder, alone(join(folder, hr), names)) };
    const scales = await list(join(folder, lr));
    if (!scales.includes(`X${scale}`)) throw noScale(folder, scale, scales);
    return {
      layout,
      pairs: required(folder, await besideLr(join(folder, hr), names, join(folder, lr, `X${scale}`), scale)),
    };
  }
  if (top.some((name) => /_HR\.\w+$/.test(name)) && top.some((name) => /_LR\.\w+$/.test(name)))
    return { layout: "SelfExSR", pairs: selfExPairs(folder, top) };
  const names = images(top);
  return {
    layout: "HR images, LR made here",
    pairs: required(folder, alone(folder, names.length > 0 ? names : await imagesBelow(folder, top))),
  };
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

function selfExPairs(folder: string, names: readonly string[]): PairFiles[] {
  const pairs = names
    .filter((name) => /_HR\.\w+$/.test(name) && imageFormat(name))
    .map((name) => {
      const lr = name.replace(/_HR(\.\w+)$/, "_LR$1");
      if (!names.includes(lr))
        throw new FilterBasisError("not-found", "a low-resolution image is missing", { file: join(folder, lr) });
      return { name: name.replace(/_HR\.\w+$/, ""), hr: join(folder, name), lr: join(folder, lr) };
    });
  return required(folder, pairs);
}

async function besideLr(
  hrFolder: string,
  names: readonly string[],
  lrFolder: string,
  scale: number,
): Promise<PairFiles[]> {
  const there = new Map(images(await list(lrFolder)).map((name) => [stem(name), name]));
  return names.map((name) => {
    const lr = there.get(`${stem(name)}x${scale}`) ?? there.get(stem(name));
    if (lr === undefined) {
      throw new FilterBasisError("not-found", "a low-resolution image is missing", {
        file: join(lrFolder, `${stem(name)}x${scale}.png`),
      });
    }
    return { name: stem(name), hr: join(hrFolder, name), lr: join(lrFolder, lr) };
  });
}

function alone(folder: string, names: readonly string[]): PairFiles[] {
  return names.map((name) => ({ name: stem(name), hr: join(folder, name) }));
}

function required(folder: string, pairs: PairFiles[]): PairFiles[] {
  if (pairs.length > 0) return pairs;
  throw new FilterBasisError("not-found", "the folder holds no images", {
    file: folder,
    expected: "PNG, JPEG or WebP files, or HR and LR folders as DIV2K, the benchmark sets or SelfExSR have them",
  });
}

function noScale(folder: string, scale: number, there: readonly string[]): FilterBasisError {
  return new FilterBasisError("not-found", `the folder has no images for scale ${scale}`, {
    file: folder,
    got: there.join(", "),
  });
}

const stem = (name: string) => name.replace(/\.\w+$/, "");

/** The images in the folders of a folder, as paths from it. */
async function imagesBelow(folder: string, names: readonly string[]): Promise<string[]> {
  const below: string[] = [];
  for (const name of names) {
    if (name.startsWith(".") || !(await stat(join(folder, name)).catch(() => undefined))?.isDirectory()) continue;
    below.push(...images(await list(join(folder, name))).map((image) => join(name, image)));
  }
  return below;
}
