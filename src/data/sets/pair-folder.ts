// Folders of super-resolution images in the layouts that the field's sets have: DIV2K, the benchmark sets, SelfExSR.
import { resizePicture } from "../codec.js";
import type { Data, Dataset } from "../dataset.js";
import { inputsOf } from "../inputs.js";
import { listFolder, pictureCandidate } from "../picture-files.js";
import { findPairs, loadPair, type PairSet, type Split } from "../sr-pairs.js";

/** What only these layouts have at their top. */
const marks = [/^image_SRF_\d$/, /^DIV2K_(train|valid)_HR$/, /^LR_bicubic$/, /_LR\.\w+$/];

export const pairFolder: Dataset = {
  name: "pairs",
  summary: "a folder of high- and low-resolution images as DIV2K, the benchmark sets or SelfExSR have them",
  holds: async (path) => (await listFolder(path).catch(() => [])).some((name) => marks.some((mark) => mark.test(name))),
  open: async ({ path = "." }) => pairData(path),
};

/** A folder of pairs, opened. */
export function pairData(folder: string): Data {
  const pairs = (scale: number, split?: Split): Promise<PairSet> => findPairs(folder, scale, { ...(split && { split }) });
  return {
    name: folder,
    pairs,
    async inputs(options = {}) {
      const { scale, part } = options;
      const split = part === "test" ? "valid" : "train";
      const found = scale === undefined ? await anyScale((one) => pairs(one, split)) : await pairs(scale, split);
      const candidates = found.pairs.map((files) => ({
        ...pictureCandidate(files.hr),
        ...(scale !== undefined && {
          async load(sizing) {
            const { lr } = await loadPair(files, scale);
            return sizing === undefined ? lr : await resizePicture(lr, sizing);
          },
        }),
      })) satisfies Parameters<typeof inputsOf>[1];
      return inputsOf(folder, candidates, options);
    },
  };
}

/** High-resolution images are the same for every scale but for a few pixels at their edge. */
async function anyScale(find: (scale: number) => Promise<PairSet>): Promise<PairSet> {
  return await find(2).catch(() => find(3).catch(() => find(4)));
}
