// An image file through a model file into an image file.
import { decodeImage, encodeRaster, imageFormat } from "../data/codec.js";
import { FilterBasisError } from "../errors/error.js";
import { loadModel } from "../runtime/files.js";
import { openSession, type RuntimeName, writeAside } from "../runtime/index.js";
import { modelFiles } from "../runtime/model-bytes.js";
import { checkOutput } from "../runtime/output.js";
import { type ReceptiveField, receptiveField } from "./receptive-field.js";
import { describeSrModel, type SrModel } from "./sr-model.js";
import { type UpscaleOptions, upscale } from "./upscale.js";

export interface UpscaleFileOptions extends UpscaleOptions {
  readonly scale?: number;
  readonly range?: 1 | 255 | "auto";
  readonly threads?: number;
  readonly runtime?: RuntimeName;
  readonly note?: (text: string) => void;
}

export interface UpscaledFile {
  readonly file: string;
  /** Width and height in pixels. */
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly scale: number;
  readonly range: 1 | 255;
  readonly tiles: number;
  readonly overlap: number;
  /** Whether the tiles equal the whole image; `reason` says why not. */
  readonly exact: boolean;
  readonly reason?: string;
  readonly seconds: number;
  readonly bytes: number;
}

/** The largest result, in pixels: what a 4K image becomes at x4. */
const mostPixels = 140e6;

/**
 * Upscales an image; colours are converted to sRGB, alpha is kept (JPEG cannot hold it: an error before any work).
 * @throws FilterBasisError `usage` (the output's ending), `too-large`, and what decoding, the model and writing throw;
 * nothing half-written is left
 * @example
 * ```ts
 * import { loadModel, receptiveField, upscaleFile } from "filterbasis";
 *
 * console.log(receptiveField(await loadModel("sr.onnx"))); // what tiles have to overlap by
 * const { width, height } = await upscaleFile("sr.onnx", "photo.png", "large.png", { scale: 2, range: 255 });
 * console.log(width, height);
 * ```
 */
export async function upscaleFile(
  model: string,
  image: string,
  output: string,
  options: UpscaleFileOptions = {},
): Promise<UpscaledFile> {
  const { note = () => undefined } = options;
  const format = imageFormat(output);
  if (format === undefined)
    throw new FilterBasisError("usage", "the result's format is not known", {
      file: output,
      expected: "an ending .png, .jpg or .webp",
    });
  await checkOutput(output, { inputs: [...(await modelFiles(model)), image] });
  const source = await decodeImage(image, { colours: "srgb" });
  const graph = await loadModel(model);
  if (source.alpha && format === "jpeg") {
    throw new FilterBasisError("unsupported", "the image has transparency, which JPEG cannot hold", {
      file: output,
      expected: "an ending .png or .webp",
    });
  }
  // Memory is given back after every tile: what the network needs for one stays small beside the result.
  const session = await openSession(model, { ...options, arena: false });
  try {
    const {
      scale = told(graph.metadata.get("filterbasis.scale")),
      range = told(graph.metadata.get("filterbasis.range")) ?? "auto",
    } = options;
    const sr = await describeSrModel(session, source, {
      ...(scale && { scale }),
      range: range === 1 || range === 255 ? range : "auto",
    });
    const pixels = source.width * source.height * sr.scale ** 2;
    if (pixels > mostPixels) {
      throw new FilterBasisError("too-large", "the result would have too many pixels", {
        file: image,
        expected: `at most ${mostPixels}`,
        got: `${source.width * sr.scale} x ${source.height * sr.scale}`,
      });
    }
    checkSides(format, output, [source.width * sr.scale, source.height * sr.scale]);
    const field = receptiveField(graph);
    const began = performance.now();
    const { raster, tiles, overlap, exact } = await upscale(sr, source, field, options);
    const seconds = (performance.now() - began) / 1000;
    const reason = exact ? undefined : inexact(sr, field, overlap);
    if (reason) note(`the tiles may differ from the whole image where they meet: ${reason}`);
    const bytes = await encodeRaster(raster, format);
    await writeAside(output, bytes);
    return {
      file: output,
      from: [source.width, source.height],
      to: [raster.width, raster.height],
      scale: sr.scale,
      range: sr.range,
      ...{ tiles, overlap, exact, seconds, bytes: bytes.length },
      ...(reason && { reason }),
    };
  } finally {
    await session.release();
  }
}

/** Why tiles do not equal the whole image. */
function inexact({ fixed }: SrModel, { unbounded, before, after }: ReceptiveField, overlap: number): string {
  if (fixed) return `the network takes only ${fixed.join(" x ")} pixels at a time`;
  return unbounded ?? `they overlap by ${overlap} pixels, and the network looks ${Math.max(before, after)} pixels far`;
}

/** What the formats hold: known before hours of work, and not only when the result is encoded. */
function checkSides(format: "png" | "jpeg" | "webp", file: string, [width, height]: readonly [number, number]): void {
  const most = { png: 2 ** 31 - 1, jpeg: 65_535, webp: 16_383 }[format];
  if (Math.max(width, height) <= most) return;
  throw new FilterBasisError("too-large", `the result cannot be written as ${format}`, {
    file,
    expected: `at most ${most} pixels a side`,
    got: `${width} x ${height}`,
    cures: ["name a .png"],
  });
}

const told = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
