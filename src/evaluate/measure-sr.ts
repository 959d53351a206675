// PSNR and SSIM of a super-resolution network over a set of pairs, with bicubic enlargement beside it.

import { type Image, luma, toRgb } from "../data/image.js";
import { imresize } from "../data/imresize.js";
import { loadPair } from "../data/load-pair.js";
import type { PairFiles } from "../data/sr-pairs.js";
import { FilterBasisError } from "../errors/error.js";
import { type Measure, psnr, psnrPlane, quantize } from "./psnr.js";
import { type Planes, type SrModel, superResolve } from "./sr-model.js";
import { ssim } from "./ssim.js";

interface Quality {
  /** dB; infinite for equal images. */
  readonly psnr: number;
  readonly ssim: number;
}

export interface ImageQuality extends Quality {
  readonly name: string;
  readonly bicubic: Quality;
}

export interface SrQuality extends Quality {
  readonly images: number;
  readonly perImage: readonly ImageQuality[];
  readonly bicubic: Quality;
}

export interface MeasureOptions {
  readonly measure?: Measure;
  /** Pixels cut off every side; by default the scale for luma, the scale + 6 for RGB. */
  readonly shave?: number;
  /** How an image is made; by default the network on the whole image. */
  readonly infer?: (sr: SrModel, lr: Image) => Promise<Planes>;
  readonly progress?: (done: number, name: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Super-resolves every LR image and compares with the truth: clipped and rounded to 8 bits, a border shaved off. Means
 * are over images. SSIM is of luma for measure `luma`, the mean over the channels for `rgb`.
 * @throws FilterBasisError what loading and running throw; `interrupted`
 */
export async function measureSr(
  sr: SrModel,
  files: readonly PairFiles[],
  options: MeasureOptions = {},
): Promise<SrQuality> {
  const {
    measure = "luma",
    shave = sr.scale + (measure === "rgb" ? 6 : 0),
    infer = superResolve,
    progress = () => undefined,
    signal,
  } = options;
  const perImage: ImageQuality[] = [];
  for (const [done, file] of files.entries()) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while evaluating");
    progress(done, file.name);
    const { hr, lr } = await loadPair(file, sr.scale);
    const made = await infer(sr, lr);
    perImage.push({
      name: file.name,
      ...qualityOf(toImage(made), toRgb(hr), shave, measure),
      bicubic: qualityOf(toRgb(imresize(lr, sr.scale)), toRgb(hr), shave, measure),
    });
  }
  progress(files.length, "");
  const mean = (of: (image: ImageQuality) => number) =>
    perImage.reduce((sum, image) => sum + of(image), 0) / perImage.length;
  return {
    psnr: mean((image) => image.psnr),
    ssim: mean((image) => image.ssim),
    images: perImage.length,
    perImage,
    bicubic: { psnr: mean(({ bicubic }) => bicubic.psnr), ssim: mean(({ bicubic }) => bicubic.ssim) },
  };
}

/** What a network made, as 8 bits. */
export function toImage({ channels, height, width, data }: Planes): Image {
  return { channels, height, width, data: quantize(data) };
}

/** One made image against an RGB truth. An image of one channel is luma and is compared with the luma of the truth. */
function qualityOf(made: Image, truth: Image, shave: number, measure: Measure): Quality {
  const { width, height } = truth;
  if (made.width !== width || made.height !== height) {
    throw new FilterBasisError("data-mismatch", "the network's image has another size than the truth", {
      expected: `${width} x ${height}`,
      got: `${made.width} x ${made.height}`,
    });
  }
  const truthLuma = luma(truth);
  if (made.channels === 1) {
    if (measure === "rgb")
      throw new FilterBasisError("usage", "a network that gives luma alone cannot be measured in RGB");
    return {
      psnr: psnrPlane(made.data, truthLuma, width, height, shave),
      ssim: ssim(made.data, truthLuma, width, height, shave),
    };
  }
  if (measure === "luma")
    return { psnr: psnr(made, truth, shave), ssim: ssim(luma(made), truthLuma, width, height, shave) };
  const plane = ({ data }: Image, c: number) => data.subarray(c * width * height, (c + 1) * width * height);
  const channels = [0, 1, 2].map((c) => ssim(plane(made, c), plane(truth, c), width, height, shave));
  return { psnr: psnr(made, truth, shave, "rgb"), ssim: channels.reduce((sum, value) => sum + value, 0) / 3 };
}
