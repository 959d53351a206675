// A folder of images without labels, or of train and test with such images, or one image.
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { imageFormat } from "../codec.js";
import type { Dataset } from "../dataset.js";
import { imageCandidate, imageFiles } from "../image-files.js";
import { hasClasses, imageParts, loadImageFolder } from "../image-folder.js";
import { inputsOf } from "../inputs.js";
import { lowResolution } from "../low-resolution.js";
import { findPairs, type PairSet, type Split } from "../sr-pairs.js";

export const imageFolder: Dataset = {
  name: "images",
  summary: "a folder of images (PNG, JPEG, WebP), with train and test in it where there are both, or one image",
  holds: async (path) => (await filesOf(path)).length > 0 || (await partOf(path)) !== undefined,
  async open({ path = "." }) {
    // Folders of classes may lie beside the images.
    const labelled = (await hasClasses(path)) ? { labelled: () => loadImageFolder(path) } : {};
    /** Where the images of a part lie, and which they are. */
    const at = async (part: "train" | "test" = "train") => {
      const own = await filesOf(path);
      if (own.length > 0) return { source: path, files: own };
      const source = (await partOf(path, part)) ?? path;
      return { source, files: await filesOf(source) };
    };
    const pairsOf = async (part: "train" | "test", scale: number, split?: Split): Promise<PairSet> => {
      const { source, files } = await at(part);
      const folder = files[0] === source ? dirname(source) : source;
      const { layout, pairs: found } = await findPairs(folder, scale, { ...(split && { split }) });
      return { layout, pairs: folder === source ? found : found.filter(({ hr }) => hr === source) };
    };
    return {
      name: path,
      ...labelled,
      pairs: (scale, split) => pairsOf(split === "valid" ? "test" : "train", scale, split),
      async inputs(options = {}) {
        const { scale, part } = options;
        const candidates =
          scale === undefined
            ? (await at(part)).files.map(imageCandidate)
            : lowResolution((await pairsOf(part ?? "train", scale)).pairs, scale);
        return inputsOf(path, candidates, options);
      },
    };
  },
};

/** The folder of a part; of the other one where there is only that. */
async function partOf(path: string, part: "train" | "test" = "train"): Promise<string | undefined> {
  const { train, test } = await imageParts(path);
  return part === "test" ? (test ?? train) : (train ?? test);
}

async function filesOf(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return imageFormat(path) === undefined ? [] : [path];
  return found?.isDirectory() ? await imageFiles(path) : [];
}
