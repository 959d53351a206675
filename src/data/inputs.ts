// Images as inputs of a network: sized, normalised, in batches. Those that cannot be used are named and skipped.
import { FilterBasisError, isError } from "../errors/error.js";
import { Random } from "../linalg/random.js";
import type { Batch, BatchSource } from "./batches.js";
import type { Sizing } from "./codec.js";
import { type Image, lumaWeights, toRgb } from "./image.js";
import { type Normalization, parseNormalization, permutation } from "./image-set.js";
import { imresizeFloat } from "./imresize.js";

/** What order and number of channels the network takes. `luma` is that of super-resolution: BT.601, 16 .. 235. */
export const channelOrders = ["rgb", "bgr", "luma"] as const;
export type Channels = (typeof channelOrders)[number];

export interface InputOptions {
  /** Inputs of a batch; the last batch of an epoch may have fewer. Default: 16. */
  readonly batch?: number;
  /** What images are brought to. Without it all must have one size. */
  readonly size?: { readonly width: number; readonly height: number };
  /** `fill` stretches (the default), `contain` puts black bars, `cover` cuts what is over. */
  readonly fit?: Sizing["fit"];
  /** See `parseNormalization`; means and deviations are listed red first. Default: none. */
  readonly normalize?: string;
  /** Default: rgb. */
  readonly channels?: Channels;
  /** What 8-bit 255 becomes before normalisation's units: values are (v / 255 - mean) / std, times this. Default: 1. */
  readonly range?: 1 | 255;
  /** Takes images in an order drawn by it; without one in the order of the data. */
  readonly seed?: number;
  /** At most so many usable images. */
  readonly limit?: number;
  /** Data with two parts; by default the training images. */
  readonly part?: "train" | "test";
  /**
   * Super-resolution: the low-resolution images of this scale instead of the high-resolution ones. A size then cuts
   * them in the middle, and never stretches them.
   */
  readonly scale?: number;
  /** Enlarges what goes in by this factor (bicubic, on floats), for networks that only sharpen. */
  readonly enlarge?: number;
  /** Files of several arrays: which one is the input. */
  readonly array?: string;
  /** Files of several arrays: those that are inputs of the network, so that none of them is labels. */
  readonly fed?: readonly string[];
  /** Arrays of 8 bits are numbers too, and no images. */
  readonly asNumbers?: boolean;
  /** So many inputs that follow each other are drawn together. Default: 1. */
  readonly together?: number;
  readonly note?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** Something that could not be used. */
export interface Skipped {
  readonly file: string;
  readonly reason: string;
}

export interface Inputs extends BatchSource {
  readonly count: number;
  /** The shape of one input, without the batch. */
  readonly dims: readonly number[];
  readonly skipped: readonly Skipped[];
  /** Numbers that go in as they are: nothing that is said of images holds for them. */
  readonly asIs?: boolean;
  /** Whether every input has a label: the targets of batches. */
  readonly labelled?: boolean;
  /** Classes that there are; absent without labels, and where only numbers are known. */
  readonly classes?: number;
  /** Super-resolution: the high-resolution image that input `index` of the data was made from. */
  truth?(index: number): Promise<Image>;
}

/** An image that may become an input. `load` gives it in the size asked for. */
export interface Candidate {
  readonly file: string;
  readonly label?: number;
  load(sizing: Sizing | undefined): Promise<Image>;
  /** What a super-resolution network should make of `load(sizing)`. */
  truth?(sizing: Sizing | undefined): Promise<Image>;
}

/** Decoded images are held as 8-bit RGB; no more of them than this are kept, in bytes. */
const memory = 2 * 2 ** 30;
/** So many unusable files are named one by one. */
const namedSingly = 10;

/**
 * Loads images and makes inputs of them: the `inputs` of a data set of one's own.
 * @throws FilterBasisError `not-found` (nothing usable), `data-mismatch` (several sizes and none asked for), `usage`,
 * `interrupted`
 * @example
 * ```ts
 * import { type Data, decodeImage, inputsOf } from "filterbasis";
 *
 * const images = ["photos/1.png", "photos/2.png"].map((file) => ({ file, load: () => decodeImage(file) }));
 * const photos: Data = { name: "photos", inputs: (options) => inputsOf("photos", images, options) };
 * const { count, dims } = await photos.inputs({ normalize: "imagenet" });
 * console.log(`${count} inputs of ${dims.join(" x ")}`);
 * ```
 */
export async function inputsOf(
  name: string,
  candidates: readonly Candidate[],
  options: InputOptions = {},
): Promise<Inputs> {
  const { size, fit = "fill" } = options;
  const write = inputWriter(options);
  const sizing = size && { ...size, fit };
  const { images, labels, taken, skipped } = await load(name, candidates, options, sizing);
  const [first] = images as [Image];
  const { enlarge = 1 } = options;
  const dims = [write.channels, first.height * enlarge, first.width * enlarge] as const;
  const labelled = labels.every((label) => label !== undefined);
  const withTruth = taken.every(({ truth }) => truth !== undefined);
  return {
    skipped,
    labelled,
    ...(withTruth && { truth: async (index: number) => toRgb(await taken[index]!.truth!(sizing)) }),
    ...inBatches(images.length, dims, options, (indices, out) => {
      const each = dims[0] * dims[1] * dims[2];
      for (const [n, index] of indices.entries()) {
        if (enlarge === 1) write.image(images[index]!, out, n * each);
        else out.set(enlarged(images[index]!, write, enlarge), n * each);
      }
      return labelled ? BigInt64Array.from(indices, (index) => BigInt(labels[index]!)) : null;
    }),
  };
}

/** One input, enlarged with the edges of Pillow, which networks that only sharpen are run with. */
function enlarged(image: Image, write: ReturnType<typeof inputWriter>, factor: number): Float32Array {
  const { width, height } = image;
  const values = new Float32Array(write.channels * width * height);
  write.image(image, values, 0);
  return imresizeFloat(values, write.channels, height, width, factor, { edge: "leave out" }).data;
}

/** The randomness by which a sample is drawn: the same seed takes the same images of the same data. */
const sampleRandom = (seed: number): Random => new Random(`sample ${seed}`);

/** The order in which inputs are taken: that of the data without a seed, else one that is drawn. */
export function sampleOrder(
  count: number,
  { seed, together = 1 }: Pick<InputOptions, "seed" | "together"> = {},
): Uint32Array {
  if (seed === undefined) return Uint32Array.from({ length: count }, (_, i) => i);
  const groups = permutation(Math.floor(count / together), sampleRandom(seed));
  if (together === 1) return groups;
  return Uint32Array.from({ length: groups.length * together }, (_, i) => {
    return groups[Math.floor(i / together)]! * together + (i % together);
  });
}

/** Batches over `count` inputs: the first epoch in their order, each later one in an order of its own. */
export function inBatches(
  count: number,
  dims: readonly number[],
  { batch: batchSize = 16, seed = 0 }: InputOptions,
  fill: (indices: Uint32Array, out: Float32Array) => BigInt64Array | null,
): Omit<Inputs, "skipped"> {
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new FilterBasisError("usage", "a batch holds at least one input", { got: String(batchSize) });
  const each = dims.reduce((product, dim) => product * dim, 1);
  let order: Uint32Array = Uint32Array.from({ length: count }, (_, i) => i);
  let orderOf = 0;
  return {
    count,
    dims,
    batchSize,
    stepsPerEpoch: Math.ceil(count / batchSize),
    batch(epoch, step): Batch {
      if (epoch !== orderOf) {
        order = epoch === 0 ? order.sort() : permutation(count, new Random(`order ${seed} ${epoch}`));
        orderOf = epoch;
      }
      const indices = order.subarray(step * batchSize, (step + 1) * batchSize);
      const input = new Float32Array(indices.length * each);
      const target = fill(indices, input);
      return { input, inputDims: [indices.length, ...dims], target, targetDims: [indices.length] };
    },
  };
}

interface Loaded {
  readonly images: readonly Image[];
  readonly labels: readonly (number | undefined)[];
  /** What the images were loaded from. */
  readonly taken: readonly Candidate[];
  readonly skipped: readonly Skipped[];
}

async function load(
  name: string,
  candidates: readonly Candidate[],
  { seed, together, limit = Number.POSITIVE_INFINITY, note = () => undefined, signal }: InputOptions,
  sizing: Sizing | undefined,
): Promise<Loaded> {
  const order = sampleOrder(candidates.length, {
    ...(seed === undefined ? {} : { seed }),
    ...(together === undefined ? {} : { together }),
  });
  const [images, labels, skipped]: [Image[], (number | undefined)[], Skipped[]] = [[], [], []];
  const taken: Candidate[] = [];
  let room = Math.min(limit, candidates.length);
  for (const index of order) {
    if (images.length >= room) break;
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while loading images");
    const { file, label, load: loadOne } = candidates[index]!;
    const loaded = await loadOne(sizing).catch((error: unknown) => skip(skipped, file, error, note));
    if (loaded === undefined) continue;
    const image = toRgb(loaded);
    const most = Math.floor(memory / image.data.length);
    if (images.length === 0 && most < room) {
      note(`${name}: only ${most} images are used: more do not fit in ${memory / 2 ** 30} GiB`);
      room = Math.max(1, most);
    }
    sameSize(images[0], image, file);
    images.push(image);
    labels.push(label);
    taken.push(candidates[index]!);
  }
  if (skipped.length > namedSingly) note(`${name}: ${skipped.length} files were skipped`);
  if (images.length > 0) return { images, labels, taken, skipped };
  throw new FilterBasisError("not-found", "no image can be used", {
    file: name,
    got: skipped[0] === undefined ? "none at all" : `${skipped[0].file}: ${skipped[0].reason}`,
  });
}

/** Files that are damaged, too large or of a kind that is not read are skipped; any other error is one. */
function skip(skipped: Skipped[], file: string, error: unknown, note: (text: string) => void): undefined {
  if (!isError(error, "malformed", "unsupported", "too-large", "not-found", "io")) throw error;
  const reason = error.got === undefined ? error.problem : `${error.problem} (${error.got})`;
  skipped.push({ file, reason });
  if (skipped.length <= namedSingly) note(`skipped ${file}: ${reason}`);
  return undefined;
}

function sameSize(first: Image | undefined, { width, height }: Image, file: string): void {
  if (first === undefined || (first.width === width && first.height === height)) return;
  throw new FilterBasisError("data-mismatch", "the images have several sizes", {
    file,
    expected: `${first.width} x ${first.height}, as the first has`,
    got: `${width} x ${height}`,
    cures: ["say what they are brought to: --size WxH"],
  });
}

/** Writes an 8-bit RGB image as the network wants it, from an offset on. */
function inputWriter({ normalize = "none", channels = "rgb", range = 1 }: InputOptions): {
  readonly channels: 1 | 3;
  image(image: Image, out: Float32Array, offset: number): void;
} {
  const normalization = parseNormalization(normalize);
  if (channels === "luma") {
    const tone = toneOf(normalization, range, normalize);
    const [r, g, b] = lumaWeights;
    return {
      channels: 1,
      image({ data, width, height }, out, offset) {
        const size = width * height;
        for (let i = 0; i < size; i++)
          out[offset + i] = tone(16 + r * data[i]! + g * data[size + i]! + b * data[2 * size + i]!);
      },
    };
  }
  const tables = [0, 1, 2].map((c) => tableOf(normalization, c as 0 | 1 | 2, range));
  return {
    channels: 3,
    image({ data, width, height }, out, offset) {
      const size = width * height;
      for (let c = 0; c < 3; c++) {
        const [table, to] = [tables[c]!, offset + size * (channels === "bgr" ? 2 - c : c)];
        for (let i = 0; i < size; i++) out[to + i] = table[data[c * size + i]!]!;
      }
    },
  };
}

/** The float32 of every 8-bit value: (v / 255 - mean) / std times the range, rounded where torchvision rounds. */
function tableOf({ mean, std }: Normalization, c: 0 | 1 | 2, range: 1 | 255): Float32Array {
  const { fround } = Math;
  const unit = 255 / range;
  return Float32Array.from({ length: 256 }, (_, v) =>
    fround(fround(fround(v / unit) - fround(mean[c] * range)) / fround(std[c])),
  );
}

function toneOf({ mean, std }: Normalization, range: 1 | 255, got: string): (luma: number) => number {
  if (new Set(mean).size > 1 || new Set(std).size > 1)
    throw new FilterBasisError("usage", "one channel takes one mean and one standard deviation", {
      expected: "m/s",
      got,
    });
  return (luma) => (luma / (255 / range) - mean[0] * range) / std[0];
}
