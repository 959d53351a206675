// A folder of pictures without labels, or one picture.
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pictureFormat } from "../codec.js";
import type { Dataset } from "../dataset.js";
import { hasClasses, loadImageFolder } from "../image-folder.js";
import { inputsOf } from "../inputs.js";
import { lowResolution } from "../pair-data.js";
import { pictureCandidate, pictureFiles } from "../picture-files.js";
import { findPairs, type PairSet, type Split } from "../sr-pairs.js";

export const pictureFolder: Dataset = {
  name: "pictures",
  summary: "a folder of pictures (PNG, JPEG, WebP), or one picture",
  holds: async (path) => (await filesOf(path)).length > 0,
  async open({ path = "." }) {
    // Folders of classes may lie beside the pictures.
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
        const candidates = scale === undefined ? files.map(pictureCandidate) : lowResolution((await pairs(scale)).pairs, scale);
        return inputsOf(path, candidates, options);
      },
    };
  },
};

async function filesOf(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return pictureFormat(path) === undefined ? [] : [path];
  return found?.isDirectory() ? await pictureFiles(path) : [];
}
