// Low-resolution images of pairs as inputs of a network, with their truths.
import { resizeImage, type Sizing } from "./codec.js";
import { crop } from "./image.js";
import { imresize } from "./imresize.js";
import type { Candidate } from "./inputs.js";
import { loadPair, type Pair } from "./load-pair.js";
import type { PairFiles } from "./sr-pairs.js";

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
