// A folder of images in two resolutions, opened.
import type { Data } from "./dataset.js";
import { imageCandidate } from "./image-files.js";
import { inputsOf } from "./inputs.js";
import { lowResolution } from "./low-resolution.js";
import { findPairs, type PairSet, type Split } from "./sr-pairs.js";

/** Inputs are the high-resolution images, or with a scale the low-resolution ones. */
export function pairData(folder: string): Data {
  const pairs = (scale: number, split?: Split): Promise<PairSet> =>
    findPairs(folder, scale, { ...(split && { split }) });
  return {
    name: folder,
    pairs,
    async inputs(options = {}) {
      const { scale, part } = options;
      const split = part === "test" ? "valid" : "train";
      const candidates =
        scale === undefined
          ? (await anyScale((one) => pairs(one, split))).pairs.map(({ hr }) => imageCandidate(hr))
          : lowResolution((await pairs(scale, split)).pairs, scale);
      return inputsOf(folder, candidates, options);
    },
  };
}

/** High-resolution images are the same for every scale but for a few pixels at their edge. */
async function anyScale(find: (scale: number) => Promise<PairSet>): Promise<PairSet> {
  return await find(2).catch(() => find(3).catch(() => find(4)));
}
