// Super-resolving an image of any size: tile by tile, straight into the result, alpha kept.
import type { Raster } from "../data/codec.js";
import { crop, type Image, lumaWeights } from "../data/image.js";
import { imresize } from "../data/imresize.js";
import { FilterBasisError } from "../errors/error.js";
import { quantize } from "./psnr.js";
import type { ReceptiveField } from "./receptive-field.js";
import { enlarge, type Planes, type SrModel, superResolve } from "./sr-model.js";
import { fixedSpans, type Span, spans } from "./tiles.js";

export interface UpscaleOptions {
  /**
   * Pixels of the network's input that a tile keeps, along each side; by default as many as become 512 (256 where the
   * network only sharpens).
   */
  readonly tile?: number;
  /** Pixels of the network's input read beyond; by default as far as the network looks. */
  readonly overlap?: number;
  readonly progress?: (done: number, all: number) => void;
  readonly signal?: AbortSignal;
}

export interface Upscaled {
  readonly raster: Raster;
  readonly tiles: number;
  /** Pixels read beyond a tile on its wider side; 0 where one tile was enough. */
  readonly overlap: number;
  /**
   * Whether the tiles equal the whole image (to rounding): always for one tile, else where the overlap covers the
   * receptive field.
   */
  readonly exact: boolean;
}

/** Overlap for networks that look at the whole image: seams are then small, not gone. */
const fallbackOverlap = 32;

/**
 * Enlarges an image by the network's scale. Alpha is enlarged bicubically. A grey image stays grey. A network for luma
 * changes the luma of the bicubically enlarged colours. Memory: the result, and what the network needs for one tile.
 * @throws FilterBasisError what the network throws; `interrupted`
 */
export async function upscale(
  sr: SrModel,
  image: Image,
  field: ReceptiveField,
  options: UpscaleOptions = {},
): Promise<Upscaled> {
  const { scale, enlarged, fixed } = sr;
  const { tile = enlarged ? 256 : Math.ceil(512 / scale), progress = () => undefined, signal } = options;
  const [before, after] = [
    options.overlap ?? (field.unbounded ? fallbackOverlap : field.before),
    options.overlap ?? (field.unbounded ? fallbackOverlap : field.after),
  ];
  // In pixels of the image. Bicubic enlargement looks 2 pixels further; one more covers the rounding to whole pixels.
  const inImage = (pixels: number) => (enlarged ? Math.ceil(pixels / scale) + 3 : pixels);
  const reach = { before: inImage(before), after: inImage(after) };
  const cut = { tile: Math.max(1, Math.floor(enlarged ? tile / scale : tile)), ...reach, period: field.period };
  const fixedSide = (side: number) => (enlarged ? Math.floor(side / scale) : side);
  const along = (size: number, only: number | undefined): Span[] =>
    only === undefined ? spans(size, cut) : fixedSpans(size, fixedSide(only), reach);
  const [rows, columns] = [along(image.height, fixed?.[0]), along(image.width, fixed?.[1])];
  const canvas = newCanvas(image, scale);
  let done = 0;
  const all = rows.length * columns.length;
  progress(0, all);
  for (const row of rows) {
    for (const column of columns) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while upscaling");
      const piece = crop(image, column.from, row.from, column.to - column.from, row.to - row.from);
      paint(canvas, await tileColours(sr, piece), scale, row, column);
      progress(++done, all);
    }
  }
  const covers = !field.unbounded && before >= field.before && after >= field.after && fixed === undefined;
  return {
    raster: canvas,
    tiles: all,
    overlap: all === 1 ? 0 : Math.max(reach.before, reach.after),
    exact: all === 1 || covers,
  };
}

/** The tile's colours, [channels of the image, h scale, w scale], on the scale of 8 bits. */
async function tileColours(sr: SrModel, piece: Image): Promise<Planes> {
  const made = await superResolve(sr, piece);
  const size = made.height * made.width;
  if (sr.channels === 3 && piece.channels === 3) return made;
  if (sr.channels === 3) {
    const grey = Float32Array.from(
      { length: size },
      (_, i) => (made.data[i]! + made.data[size + i]! + made.data[2 * size + i]!) / 3,
    );
    return { ...made, channels: 1, data: grey };
  }
  // Luma is linear in the colours, so changing all of them alike by d / (sum of the weights) changes it by d and leaves
  // the chroma.
  const colours = enlarge({ ...piece, data: Float32Array.from(piece.data) }, sr.scale);
  const [r, g, b] = lumaWeights;
  const { data } = colours;
  for (let i = 0; i < size; i++) {
    const old =
      colours.channels === 1 ? (r + g + b) * data[i]! : r * data[i]! + g * data[size + i]! + b * data[2 * size + i]!;
    const change = (made.data[i]! - 16 - old) / (r + g + b);
    for (let c = 0; c < colours.channels; c++) data[c * size + i]! += change;
  }
  return colours;
}

/** An empty result; its alpha is filled in already. */
function newCanvas(image: Image, scale: number): Raster {
  const [width, height] = [image.width * scale, image.height * scale];
  const channels = (image.channels + (image.alpha ? 1 : 0)) as Raster["channels"];
  const data = new Uint8Array(width * height * channels);
  if (image.alpha) {
    const alpha = imresize({ width: image.width, height: image.height, channels: 1, data: image.alpha }, scale).data;
    for (let i = 0, at = channels - 1; i < alpha.length; i++, at += channels) data[at] = alpha[i]!;
  }
  return { width, height, channels, data };
}

/** Writes the kept part of a tile into the result. */
function paint({ width, channels: stored, data }: Raster, tile: Planes, scale: number, row: Span, column: Span): void {
  const { channels } = tile;
  const values = quantize(tile.data);
  const size = tile.height * tile.width;
  for (let y = row.keepFrom * scale; y < row.keepTo * scale; y++) {
    let from = (y - row.from * scale) * tile.width + (column.keepFrom - column.from) * scale;
    let to = (y * width + column.keepFrom * scale) * stored;
    for (let x = column.keepFrom * scale; x < column.keepTo * scale; x++, from++, to += stored) {
      for (let c = 0; c < channels; c++) data[to + c] = values[c * size + from]!;
    }
  }
}
