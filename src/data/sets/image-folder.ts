// A folder of images without labels, or one image.
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { imageFormat } from "../codec.js";
import type { Dataset } from "../dataset.js";
import { imageCandidate, imageFiles } from "../image-files.js";
import { hasClasses, loadImageFolder } from "../image-folder.js";
import { inputsOf } from "../inputs.js";
import { lowResolution } from "../low-resolution.js";
import { findPairs, type PairSet, type Split } from "../sr-pairs.js";

export const imageFolder: Dataset = {
  name: "images",
  summary: "a folder of images (PNG, JPEG, WebP), or one image",
  holds: async (path) => (await filesOf(path)).length > 0,
  async open({ path = "." }) {
    // Folders of classes may lie beside the images.
    const labelled = (await hasClasses(path)) ? { labelled: () => loadImageFolder(path) } : {};
    const files = await filesOf(path);
    const folder = files[0] === path ? dirname(path) : path;
    const pairs = async (scale: number, split?: Split): Promise<PairSet> => {
      const { layout, pairs: found } = await findPairs(folder, scale, { ...(split && { split }) });
      return { layout, pairs: folder === path ? found : found.filter(({ hr }) => hr === path) };
    };
    return {
      name: path,
      ...labelled,
      pairs,
      async inputs(options = {}) {
        const { scale } = options;
        const candidates =
          scale === undefined ? files.map(imageCandidate) : lowResolution((await pairs(scale)).pairs, scale);
        return inputsOf(path, candidates, options);
      },
    };
  },
};

async function filesOf(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return imageFormat(path) === undefined ? [] : [path];
  return found?.isDirectory() ? await imageFiles(path) : [];
}
