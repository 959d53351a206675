// Pictures of a compression's report: what goes into the network, and what the original and the compressed network make
// of it, where that is a picture.
import { encodeImage } from "../data/codec.js";
import type { Image } from "../data/image.js";
import { openData } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import { type FeedOptions, type ModelFeeds, modelFeeds } from "../evaluate/model-feeds.js";
import type { TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { Picture } from "../report/compression.js";
import { loadModel } from "../runtime/files.js";
import { openSession, type Session } from "../runtime/index.js";
import type { Context } from "./frame.js";
import { modelInputs } from "./model-inputs.js";

/** Inputs that are shown: the last ones, which nothing was fitted to. */
const shown = 3;
/** Sides of pictures in the page, at most. */
const mostPixels = 512 * 512;

export interface PictureSource {
  readonly model: string;
  readonly data: string;
  readonly options: FeedOptions;
}

/** None, with a note that says why, where the model or the images are not there any more or no output is a picture. */
export async function picturesOf(
  file: string,
  { model, data, options }: PictureSource,
  output: string,
  context: Context,
): Promise<readonly Picture[]> {
  const sessions: Session[] = [];
  try {
    const graph = await loadModel(model, { note: context.note });
    const quiet = { note: () => undefined, signal: context.signal };
    const inputs = await modelInputs(graph, context);
    const feeds = await modelFeeds(graph, await openData(data, quiet), inputs, { ...options, ...quiet });
    for (const one of [model, file]) sessions.push(await openSession(one, { arena: false }));
    const found: Picture[] = [];
    for (let i = Math.max(0, feeds.count - shown); i < feeds.count; i++) {
      if (context.signal.aborted) break;
      const drawn = await pictureAt(feeds, i, sessions, output);
      if (drawn !== undefined) found.push(drawn);
    }
    if (found.length === 0) context.note(`no pictures in the report: ${output} is no picture`);
    return found;
  } catch (error) {
    if (!(error instanceof FilterBasisError) || error.code === "interrupted" || error.code === "usage") throw error;
    context.note(`no pictures in the report: ${error.message}`);
    return [];
  } finally {
    for (const session of sessions) await session.release();
  }
}

async function pictureAt(
  feeds: ModelFeeds,
  index: number,
  [original, compressed]: readonly Session[],
  output: string,
): Promise<Picture | undefined> {
  const fed = await feeds.at(index, 1);
  const [a, b] = [(await original!.run(fed))[output], (await compressed!.run(fed))[output]];
  const range = a && rangeOf(a);
  if (a === undefined || b === undefined || range === undefined) return undefined;
  const input = fed[feeds.input]!;
  const truth = await feeds.truth?.(index * feeds.each);
  const made: readonly (readonly [string, Image | undefined])[] = [
    ["input", imageOf(input, rangeOf(input))],
    ["original", imageOf(a, range)],
    ["compressed", imageOf(b, range)],
    ["truth", truth?.kind === "image" ? truth.image : undefined],
  ];
  const panels: { label: string; url: string }[] = [];
  for (const [label, image] of made) if (image !== undefined) panels.push({ label, url: await dataUrl(image) });
  return { caption: `image ${index + 1}`, panels };
}

/** Darkest and brightest value of a picture: 0 to 1, 0 to 255, or what its values span. */
type Range = readonly [low: number, high: number];

/** Undefined for what is no picture: one or three planes, or channels at the end, of more than a few pixels. */
function rangeOf(tensor: TensorData): Range | undefined {
  if (layoutOf(tensor) === undefined) return undefined;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of floats(tensor)) {
    if (!Number.isFinite(value)) return undefined;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low >= -0.05 && high <= 1.05) return [0, 1];
  return low >= -13 && high <= 268 && high > 2 ? [0, 255] : [low, Math.max(high, low + 1e-6)];
}

interface PictureLayout {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  readonly last: boolean;
}

function layoutOf({ dims }: TensorData): PictureLayout | undefined {
  const [, a = 0, b = 0, c = 0] = dims;
  const few = (dim: number): dim is 1 | 3 => dim === 1 || dim === 3;
  if (dims.length !== 4) return undefined;
  if (few(a) && b >= 8 && c >= 8) return { channels: a, height: b, width: c, last: false };
  return few(c) && a >= 8 && b >= 8 ? { channels: c, height: a, width: b, last: true } : undefined;
}

function imageOf(tensor: TensorData, range: Range | undefined): Image | undefined {
  const layout = layoutOf(tensor);
  if (layout === undefined || range === undefined) return undefined;
  const { channels, height, width, last } = layout;
  const values = floats(tensor);
  const [low, high] = range;
  const step = Math.max(1, Math.ceil(Math.sqrt((height * width) / mostPixels)));
  const [rows, columns] = [Math.ceil(height / step), Math.ceil(width / step)];
  const data = new Uint8Array(channels * rows * columns);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        const [row, column] = [y * step, x * step];
        const value = values[last ? (row * width + column) * channels + c : (c * height + row) * width + column]!;
        data[(c * rows + y) * columns + x] = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
      }
  return { width: columns, height: rows, channels, data };
}

const dataUrl = async (image: Image): Promise<string> =>
  `data:image/png;base64,${Buffer.from(await encodeImage(image, "png")).toString("base64")}`;
