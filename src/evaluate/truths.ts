// What is right for an input, where the data says so: its class, or the image that a super-resolution network should
// make of it; and how near two networks come to it.
import { type Image, luma } from "../data/image.js";
import { elements } from "../graph/attributes.js";
import { type Mean, meanOf } from "./mean.js";
import { psnr, psnrPlane, quantize } from "./psnr.js";
import { ssim } from "./ssim.js";

interface ClassTruth {
  readonly kind: "class";
  readonly label: number;
  /** How many there are; undefined where labels are plain numbers. */
  readonly classes: number | undefined;
}

interface ImageTruth {
  readonly kind: "image";
  /** RGB. */
  readonly image: Image;
  readonly scale: number;
  /** What 8-bit 255 is in the output, and whether blue comes first. */
  readonly range: 1 | 255;
  readonly bgr: boolean;
}

export type Truth = ClassTruth | ImageTruth;

/** What two networks are worth by the truth; null where the data does not say it of this output. */
export interface TruthFigures {
  /** dB, of luma on 8 bits, a border of the scale cut off; what was lost is the original's less the other's. */
  readonly psnrToTruth: { readonly original: Mean; readonly other: Mean; readonly lost: Mean } | null;
  readonly ssimToTruth: { readonly original: Mean; readonly other: Mean } | null;
  /** Percent of the inputs whose largest class is not their label. */
  readonly top1Error: { readonly original: number; readonly other: number } | null;
}

/** Of an image that a network made, against the truth. */
interface ImageQuality {
  /** dB, of luma on 8 bits, a border of the scale cut off; at most `highest`. */
  readonly psnr: number;
  /** Of luma; null where the image is smaller than its window. */
  readonly ssim: number | null;
}

/** Images that are equal have no finite PSNR: this stands for it. */
const highest = 100;

/** Whether values [C, H, W] of one input are an image of the truth's size. */
function isImageOf([channels, height, width, ...more]: readonly number[], { image }: ImageTruth): boolean {
  const image3 = channels === 1 || channels === 3;
  return image3 && more.length === 0 && height === image.height && width === image.width;
}

/** How near values [C, H, W] that are an image of the truth come to it. */
function imageQuality(values: Float32Array, channels: number, { image, scale, range, bgr }: ImageTruth): ImageQuality {
  const { width, height } = image;
  const made = quantize(range === 255 ? values : values.map((value) => 255 * value));
  const true8 = luma(image);
  const [shaved, window] = [Math.min(width, height) - 2 * scale, 11];
  const of = (plane: ArrayLike<number>, decibels: number): ImageQuality => ({
    psnr: Math.min(highest, decibels),
    ssim: shaved >= window ? ssim(plane, true8, width, height, scale) : null,
  });
  if (channels === 1) return of(made, psnrPlane(made, true8, width, height, scale));
  const own: Image = { width, height, channels: 3, data: bgr ? reversed(made, width * height) : made };
  return of(luma(own), psnr(own, image, scale));
}

/** Planes in the other order. */
function reversed(data: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let c = 0; c < 3; c++) out.set(data.subarray(c * size, (c + 1) * size), (2 - c) * size);
  return out;
}

/** Whether an output of one input is one score for each of the classes that the data has. */
const tellsClasses = (dims: readonly number[], { label, classes }: ClassTruth): boolean =>
  classes === undefined ? label < elements(dims) : classes === elements(dims);

/** Collects what two networks make of inputs whose truth is known. */
export function againstTruths() {
  const images: { readonly original: ImageQuality; readonly other: ImageQuality }[] = [];
  let [labelled, wrong] = [0, { original: 0, other: 0 }];
  return {
    /** Values of one input, of sizes `dims`. Inputs that the original makes nothing finite of do not count. */
    add(original: Float32Array, other: Float32Array, dims: readonly number[], truth: Truth | undefined): void {
      if (truth === undefined || !original.every(Number.isFinite)) return;
      if (truth.kind === "image") {
        if (!isImageOf(dims, truth)) return;
        const lost = { psnr: 0, ssim: 0 };
        const made = other.every(Number.isFinite) ? imageQuality(other, dims[0]!, truth) : lost;
        images.push({ original: imageQuality(original, dims[0]!, truth), other: made });
      } else if (tellsClasses(dims, truth)) {
        labelled++;
        wrong = {
          original: wrong.original + Number(largest(original) !== truth.label),
          other: wrong.other + Number(largest(other) !== truth.label),
        };
      }
    },
    result(): TruthFigures {
      const figure = <T>(of: (quality: ImageQuality) => T) => ({
        original: images.map(({ original }) => of(original)),
        other: images.map(({ other }) => of(other)),
      });
      const [psnrs, ssims] = [figure(({ psnr }) => psnr), figure(({ ssim }) => ssim)];
      const lost = psnrs.original.map((value, i) => value - psnrs.other[i]!);
      const means = (values: { readonly original: readonly number[]; readonly other: readonly number[] }) => ({
        original: meanOf(values.original),
        other: meanOf(values.other),
      });
      const percent = (count: number) => (100 * count) / labelled;
      return {
        psnrToTruth: images.length > 0 ? { ...means(psnrs), lost: meanOf(lost) } : null,
        ssimToTruth: images.length > 0 && allNumbers(ssims) ? means(ssims) : null,
        top1Error: labelled > 0 ? { original: percent(wrong.original), other: percent(wrong.other) } : null,
      };
    },
  };
}

type Pairs<T> = { readonly original: readonly T[]; readonly other: readonly T[] };
const allNumbers = (pairs: Pairs<number | null>): pairs is Pairs<number> =>
  [...pairs.original, ...pairs.other].every((value) => value !== null);

/** The first of the largest scores; -1 where one is no number. */
function largest(scores: Float32Array): number {
  let best = 0;
  for (let k = 0; k < scores.length; k++) {
    if (Number.isNaN(scores[k]!)) return -1;
    if (scores[k]! > scores[best]!) best = k;
  }
  return best;
}
