// What a super-resolution network wants and gives: channels, range of values, scale, and whether its input is enlarged
// first.

import { type Image, luma, toRgb } from "../data/image.js";
import { imresize, imresizeFloat } from "../data/imresize.js";
import { FilterBasisError } from "../errors/error.js";
import { elements, float32Tensor } from "../graph/attributes.js";
import { floats } from "../graph/values.js";
import type { Port } from "../runtime/session.js";
import type { Runnable } from "./classify.js";

/** A network with its conventions. All of it can be known from the network and one image. */
export interface SrModel {
  readonly model: Runnable;
  /** 1: luma, 3: RGB. */
  readonly channels: 1 | 3;
  /** The value that stands for 8-bit 255, in input and output. */
  readonly range: 1 | 255;
  readonly scale: number;
  /** True where the network only sharpens: the image is enlarged (bicubic, float) before it goes in. */
  readonly enlarged: boolean;
  /** Sizes that the graph fixes, [height, width]. */
  readonly fixed?: readonly [number, number];
}

/** Float values on the scale of 8 bits, [channels, height, width]; neither clipped nor rounded. */
export interface Planes {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

export interface SrOptions {
  /** The scale asked for; needed where the network only sharpens. */
  readonly scale?: number;
  readonly range?: 1 | 255 | "auto";
}

/** What a network that is neither a classifier nor enlarges images can be measured by. */
const otherNetworks = "a network of another task is measured beside its original: compare ORIGINAL MODEL --data DATA";

/**
 * Finds out a network's conventions by running it on (a piece of) one low-resolution image. With range `auto`, both are
 * tried and the one whose result is nearer to bicubic is taken.
 * @throws FilterBasisError `data-mismatch` (not a super-resolution network, or another scale than asked for), `usage`
 * (scale needed)
 */
export async function describeSrModel(
  model: Runnable,
  sample: Image,
  { scale, range = "auto" }: SrOptions = {},
): Promise<SrModel> {
  const [input, ...more] = model.inputs;
  const [, channels, height, width] = input?.dims ?? [];
  if (input?.dims.length !== 4 || more.length > 0 || input.type !== "float32" || (channels !== 1 && channels !== 3)) {
    throw new FilterBasisError("data-mismatch", "this is not a super-resolution network", {
      expected: "one float32 input [N, 1 or 3, H, W]",
      got: model.inputs
        .map(({ name, type, dims }) => `${name} ${type} [${dims.map((dim) => dim ?? "?").join(", ")}]`)
        .join("; "),
      cures: [otherNetworks],
    });
  }
  const fixed = typeof height === "number" && typeof width === "number" ? ([height, width] as const) : undefined;
  const base = { model, channels, ...(fixed && { fixed }) } as const;
  // The middle of the image, 48 x 48 or what there is: enough for every network, quick to run.
  const piece = fixed
    ? pieceOf(sample, fixed[1], fixed[0])
    : pieceOf(sample, Math.min(48, sample.width), Math.min(48, sample.height));
  const plain = toPlanes(piece, channels);
  const out = await runPlanes({ ...base, range: 1 }, plain);
  const factor = out.height / plain.height;
  if (out.channels !== channels || out.width / plain.width !== factor || !Number.isInteger(factor)) {
    throw new FilterBasisError("data-mismatch", "this is not a super-resolution network", {
      expected: "an output with the channels of the input and a whole multiple of its size",
      got: `[${plain.channels}, ${plain.height}, ${plain.width}] -> [${out.channels}, ${out.height}, ${out.width}]`,
      cures: [otherNetworks],
    });
  }
  const enlarged = factor === 1;
  if (enlarged && scale === undefined)
    throw new FilterBasisError("usage", "this network does not change the size: state the scale", {
      expected: "--scale 2, 3 or 4",
    });
  if (!enlarged && scale !== undefined && scale !== factor) {
    throw new FilterBasisError("data-mismatch", "the network has another scale", {
      expected: `${scale}`,
      got: `${factor}`,
    });
  }
  const known = { ...base, scale: enlarged ? scale! : factor, enlarged };
  return { ...known, range: range === "auto" ? await nearerRange(known, piece) : range };
}

/** A low-resolution image as the network gets it: RGB or luma, enlarged first where the network only sharpens. */
export function inputPlanes(sr: SrModel, lr: Image): Planes {
  const planes = toPlanes(lr, sr.channels);
  return sr.enlarged ? enlarge(planes, sr.scale) : planes;
}

/** The network on a whole low-resolution image. */
export function superResolve(sr: SrModel, lr: Image): Promise<Planes> {
  return runPlanes(sr, inputPlanes(sr, lr));
}

/**
 * Bicubic enlargement on floats: the input of networks that only sharpen, with the edges of Pillow, which such networks
 * are run with.
 */
export function enlarge({ channels, height, width, data }: Planes, scale: number): Planes {
  return { channels, ...imresizeFloat(data, channels, height, width, scale, { edge: "leave out" }) };
}

/** An image as the values that a network with that many channels looks at: RGB, or luma. */
function toPlanes(image: Image, channels: 1 | 3): Planes {
  const { height, width } = image;
  return { channels, height, width, data: channels === 1 ? luma(image) : Float32Array.from(toRgb(image).data) };
}

/**
 * Scales, runs, scales back. @throws FilterBasisError `data-mismatch` (an output that is no image), what running throws
 */
export async function runPlanes({ model, range }: Pick<SrModel, "model" | "range">, planes: Planes): Promise<Planes> {
  const { channels, height, width, data } = planes;
  checkSize(model.inputs[0]!.dims, planes);
  const [input, output] = [model.inputs[0]!.name, model.outputs[0]!.name];
  const values = range === 255 ? data : data.map((value) => value / 255);
  // A network with a fixed batch gets as many copies, and what it makes of the first counts.
  const [fixed] = model.inputs[0]!.dims;
  const copies = typeof fixed === "number" && fixed > 1 ? fixed : 1;
  const fed = float32Tensor([copies, channels, height, width], repeated(values, copies));
  const result = (await model.run({ [input]: fed }))[output]!;
  const [images, outChannels, outHeight, outWidth] = result.dims as [number, 1 | 3, number, number];
  if (
    result.dims.length !== 4 ||
    images !== copies ||
    (outChannels !== 1 && outChannels !== 3) ||
    elements(result.dims) === 0
  ) {
    throw new FilterBasisError("data-mismatch", "the output is not an image", {
      tensor: output,
      got: `[${result.dims.join(", ")}]`,
    });
  }
  const made = floats(result).subarray(0, elements(result.dims) / copies);
  return {
    channels: outChannels,
    height: outHeight,
    width: outWidth,
    data: range === 255 ? made : made.map((value) => value * 255),
  };
}

function repeated(values: Float32Array, copies: number): Float32Array {
  if (copies === 1) return values;
  const out = new Float32Array(copies * values.length);
  for (let i = 0; i < copies; i++) out.set(values, i * values.length);
  return out;
}

/** @throws FilterBasisError `data-mismatch` for an image of another size than the one that the network takes */
function checkSize([, , ...sides]: Port["dims"], { height, width }: Planes): void {
  if (sides.every((side, axis) => typeof side !== "number" || side === [height, width][axis])) return;
  throw new FilterBasisError("data-mismatch", "the network takes images of one size only", {
    expected: sides.map((side) => side ?? "any").join(" x "),
    got: `${height} x ${width}`,
    cures: ["`filterbasis upscale` takes such a network tile by tile", "write the network with free height and width"],
  });
}

async function nearerRange(known: Omit<SrModel, "range">, piece: Image): Promise<1 | 255> {
  const bicubic = toPlanes(imresize(piece, known.scale), known.channels).data;
  // A network that only sharpens and has a fixed size cannot take the enlarged piece: it gets the piece itself.
  const planes = toPlanes(piece, known.channels);
  const input = known.enlarged && !known.fixed ? enlarge(planes, known.scale) : planes;
  const target = known.enlarged && known.fixed ? planes.data : bicubic;
  const distance = async (range: 1 | 255) => {
    const { data } = await runPlanes({ ...known, range }, input);
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum += Math.abs(data[i]! - target[i]!);
    return Number.isNaN(sum) ? Number.POSITIVE_INFINITY : sum;
  };
  // A network without biases does the same at every range: then 1.
  return (await distance(255)) < 0.99 * (await distance(1)) ? 255 : 1;
}

/** The middle of an image, its edge repeated where it is too small. */
function pieceOf({ width, height, channels, data }: Image, w: number, h: number): Image {
  const [left, top] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  const clamp = (value: number, size: number) => Math.min(Math.max(value, 0), size - 1);
  const piece = Uint8Array.from({ length: channels * h * w }, (_, i) => {
    const [c, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    return data[(c * height + clamp(y + top, height)) * width + clamp(x + left, width)]!;
  });
  return { width: w, height: h, channels, data: piece };
}
