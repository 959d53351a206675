// A folder of images in two resolutions, opened; and low-resolution images as inputs.
import { resizeImage, type Sizing } from "./codec.js";
import type { Data } from "./dataset.js";
import { crop } from "./image.js";
import { imageCandidate } from "./image-files.js";
import { imresize } from "./imresize.js";
import { type Candidate, inputsOf } from "./inputs.js";
import { findPairs, loadPair, type Pair, type PairFiles, type PairSet, type Split } from "./sr-pairs.js";

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

/**
 * The low-resolution images of pairs, with their truths; those that are not there are made from the high-resolution
 * ones. A size is cut from the middle of both; a smaller image is enlarged to it before it is degraded.
 */
export function lowResolution(pairs: readonly PairFiles[], scale: number): readonly Candidate[] {
  return pairs.map((files) => {
    const load = async (sizing: Sizing | undefined) => sizedPair(await loadPair(files, scale), scale, sizing);
    return {
      file: files.lr ?? files.hr,
      load: async (sizing) => (await load(sizing)).lr,
      truth: async (sizing) => (await load(sizing)).hr,
    };
  });
}

async function sizedPair(
  { hr, lr }: Pair,
  scale: number,
  sizing: Sizing | undefined,
): Promise<Pick<Pair, "hr" | "lr">> {
  if (sizing === undefined) return { hr, lr };
  const { width, height } = sizing;
  const [left, top] = [Math.floor((lr.width - width) / 2), Math.floor((lr.height - height) / 2)];
  if (left >= 0 && top >= 0) {
    const truth = crop(hr, left * scale, top * scale, width * scale, height * scale);
    return { hr: truth, lr: crop(lr, left, top, width, height) };
  }
  const truth = await resizeImage(hr, { width: width * scale, height: height * scale, fit: "cover" });
  return { hr: truth, lr: imresize(truth, 1 / scale) };
}

/** High-resolution images are the same for every scale but for a few pixels at their edge. */
async function anyScale(find: (scale: number) => Promise<PairSet>): Promise<PairSet> {
  return await find(2).catch(() => find(3).catch(() => find(4)));
}
