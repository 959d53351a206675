// Image files to pixels and back, through sharp (PNG, JPEG, WebP). Every limit is set here.
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Metadata, Sharp, SharpConstructor } from "sharp";
import { FilterBasisError } from "../errors/error.js";
import { identify, notWanted } from "../formats/foreign/identify.js";
import type { Image } from "./image.js";

export interface DecodeOptions {
  /** How errors name the image; the path itself where there is one. */
  readonly file?: string;
  /** The largest number of pixels that is decoded. */
  readonly most?: number;
  /**
   * `raw`: the stored values as they are, as the field's measurements want. `srgb`: converted by the embedded colour
   * profile.
   */
  readonly colours?: "raw" | "srgb";
  /** Brought to this size while it is decoded. */
  readonly sizing?: Sizing | undefined;
}

/**
 * How an image is brought to a size: stretched, whole between black bars, or filling it with what is over cut off at
 * both sides.
 */
export interface Sizing {
  readonly width: number;
  readonly height: number;
  readonly fit: (typeof fits)[number];
}

export const fits = ["fill", "contain", "cover"] as const;

let loaded: Promise<SharpConstructor> | undefined;

/** sharp with one thread and no cache of its own: we decide how many images are decoded at a time. */
export function codec(): Promise<SharpConstructor> {
  loaded ??= import("sharp").then(
    ({ default: sharp }) => {
      sharp.concurrency(1);
      sharp.cache(false);
      return sharp;
    },
    (error: unknown) => {
      throw new FilterBasisError("unsupported", "images cannot be read: sharp does not load", {
        cause: error,
        cures: ["npm install sharp"],
      });
    },
  );
  return loaded;
}

/**
 * Decodes an 8-bit grey or RGB image, with or without transparency; turned upright if its EXIF data says so.
 * @throws FilterBasisError `not-found`, `malformed` (empty, damaged, cut off, no image), `too-large`, `unsupported`
 * (CMYK, 16 bits, animated)
 */
export async function decodeImage(source: string | Uint8Array, options: DecodeOptions = {}): Promise<Image> {
  const { file = typeof source === "string" ? source : undefined, most = 100e6, colours = "raw", sizing } = options;
  const place = file === undefined ? {} : { file };
  const bytes = typeof source === "string" ? await readBytes(source) : source;
  if (bytes.length === 0) throw new FilterBasisError("malformed", "the image has 0 bytes", place);
  const sharp = await codec();
  // Our own limit gives the better message; sharp's then never applies.
  const open = () =>
    sharp(bytes, { limitInputPixels: false, ignoreIcc: colours === "raw", autoOrient: true, failOn: "warning" });
  const refuse = (error: unknown): never => {
    const found = identify(bytes, { name: file ?? "" });
    if (found !== undefined && !["png", "jpeg", "webp"].includes(found.kind)) {
      const cures = ["give a PNG, JPEG or WebP file"];
      throw notWanted(found, { wanted: "a PNG, JPEG or WebP image", ...place, cures, cause: error });
    }
    const got = error instanceof Error ? error.message.split("\n")[0]!.slice(0, 200) : String(error);
    throw new FilterBasisError("malformed", "the image is damaged, cut off, or of no known format", {
      ...place,
      got,
      cause: error,
    });
  };
  const info = await open().metadata().catch(refuse);
  check(info, most, place);
  const pipeline = sizing === undefined ? open() : resized(open(), sizing);
  const { data, info: raw } = await pipeline
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
    .catch(refuse);
  return toPlanes(data, raw.width, raw.height, raw.channels, info.space === "b-w");
}

/** An image in another size; one that has the size is given back as it is, without sharp. */
export async function resizeImage(image: Image, sizing: Sizing): Promise<Image> {
  if (image.width === sizing.width && image.height === sizing.height) return image;
  const { width, height, channels, data } = interleave(image);
  const sharp = await codec();
  const pipeline = resized(sharp(data, { raw: { width, height, channels }, limitInputPixels: false }), sizing);
  const { data: made, info } = await pipeline.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return toPlanes(made, info.width, info.height, info.channels, image.channels === 1);
}

/** Linear interpolation with antialiasing, as PIL and torchvision do by default. */
function resized(pipeline: Sharp, { width, height, fit }: Sizing): Sharp {
  return pipeline.resize(width, height, { fit, kernel: "linear", background: "black" });
}

/** The format of an image file by its ending, or undefined. */
export function imageFormat(path: string): "png" | "jpeg" | "webp" | undefined {
  const formats = { ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp" } as const;
  const ending = extname(path).toLowerCase();
  return Object.hasOwn(formats, ending) ? formats[ending as keyof typeof formats] : undefined;
}

/**
 * Interleaved 8-bit pixels, [height, width, channels]; a second or fourth channel is alpha. The form in which large
 * images are put together.
 */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array;
}

/**
 * Encodes an image; see `encodeRaster`.
 * @example
 * ```ts
 * import { writeFile } from "node:fs/promises";
 * import { decodeImage, encodeImage, imresize } from "filterbasis";
 *
 * const half = imresize(await decodeImage("photo.png"), 1 / 2);
 * await writeFile("half.png", await encodeImage(half, "png"));
 * ```
 */
export function encodeImage(image: Image, format: "png" | "jpeg" | "webp"): Promise<Uint8Array> {
  return encodeRaster(interleave(image), format);
}

/**
 * Encodes: PNG and WebP without loss, JPEG at quality 95 without colour subsampling.
 * @throws FilterBasisError `unsupported` (alpha in JPEG), `too-large` (beyond what the format holds: 16383 pixels a
 * side for WebP, 65535 for JPEG)
 */
export async function encodeRaster(
  { width, height, channels, data }: Raster,
  format: "png" | "jpeg" | "webp",
): Promise<Uint8Array> {
  const sharp = await codec();
  if (format === "jpeg" && channels % 2 === 0)
    throw new FilterBasisError("unsupported", "JPEG has no transparency", { expected: "a .png or .webp" });
  const pipeline = sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).toColourspace(
    channels < 3 ? "b-w" : "srgb",
  );
  const encoded = {
    png: () => pipeline.png({ adaptiveFiltering: true }),
    webp: () => pipeline.webp({ lossless: true, exact: true }),
    jpeg: () => pipeline.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }),
  };
  return await encoded[format]()
    .toBuffer()
    .catch((error: unknown) => {
      throw new FilterBasisError("too-large", `the image cannot be written as ${format}`, {
        got: `${width} x ${height}: ${String(error)}`,
        cause: error,
      });
    });
}

async function readBytes(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((error: unknown) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new FilterBasisError(code === "ENOENT" ? "not-found" : "io", "the image cannot be read", {
      file: path,
      got: code,
      cause: error,
    });
  });
}

function check(info: Metadata, most: number, place: { readonly file?: string }): void {
  const { width, height, pages = 1, space, depth, format } = info;
  const no = (message: string, cure: string) =>
    new FilterBasisError("unsupported", message, { ...place, cures: [cure] });
  if (format !== "png" && format !== "jpeg" && format !== "webp")
    throw no(`a ${format} file is not read`, "convert it to PNG, JPEG or WebP");
  if (pages > 1) throw no(`an animated image (${pages} frames) is not read`, "take one frame out of it");
  if (space === "cmyk") throw no("a CMYK image is not read", "convert it to RGB");
  if (depth !== "uchar")
    throw no(
      `an image with ${depth === "ushort" ? "16-bit" : depth} values is not read`,
      "convert it to 8 bits a channel",
    );
  if (width * height > most) {
    throw new FilterBasisError("too-large", "the image has too many pixels", {
      ...place,
      expected: `at most ${most}`,
      got: `${width} x ${height}`,
    });
  }
}

/**
 * [h, w, c] interleaved -> [c, h, w]; a second or fourth channel is alpha. sharp hands out grey images as three equal
 * channels.
 */
function toPlanes(data: Uint8Array, width: number, height: number, stored: number, grey: boolean): Image {
  const channels = grey || stored < 3 ? 1 : 3;
  const size = width * height;
  const planes = new Uint8Array(channels * size);
  for (let c = 0; c < channels; c++)
    for (let i = 0, at = c; i < size; i++, at += stored) planes[c * size + i] = data[at]!;
  if (stored % 2 === 1) return { width, height, channels, data: planes };
  const alpha = Uint8Array.from({ length: size }, (_, i) => data[(i + 1) * stored - 1]!);
  return { width, height, channels, data: planes, alpha };
}

/** [c, h, w] -> [h, w, c], alpha last. */
export function interleave({ width, height, channels, data, alpha }: Image): Raster {
  const size = width * height;
  const stored = (channels + (alpha ? 1 : 0)) as 1 | 2 | 3 | 4;
  const out = new Uint8Array(stored * size);
  for (let c = 0; c < channels; c++) for (let i = 0, at = c; i < size; i++, at += stored) out[at] = data[c * size + i]!;
  if (alpha) for (let i = 0, at = channels; i < size; i++, at += stored) out[at] = alpha[i]!;
  return { width, height, channels: stored, data: out };
}
