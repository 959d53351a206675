// Which images of a folder make super-resolution pairs: HR alone, or HR with LR in the layouts that the field's sets
// have.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { imageFormat } from "./codec.js";
import { imageNames as images, listFolder as list } from "./image-files.js";

/** One image: where its truth is, and where its low-resolution version is unless that is made here. */
export interface PairFiles {
  readonly name: string;
  readonly hr: string;
  readonly lr?: string;
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
