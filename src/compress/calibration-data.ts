// The images of a calibrated compression: those that the factors are fitted to, and others, never fitted to, that the
// result is evaluated on.
import { createHash } from "node:crypto";
import type { CalibrationImages } from "../calibrate/engine.js";
import type { Data } from "../data/dataset.js";
import { FilterBasisError } from "../errors/error.js";
import { type FeedOptions, type ModelFeeds, modelFeeds } from "../evaluate/model-feeds.js";
import { dataInput } from "../evaluate/placement.js";
import type { Graph } from "../graph/types.js";
import type { ModelInputs } from "../runtime/index.js";

export interface CalibrationData {
  readonly images: CalibrationImages;
  /** Images that nothing is fitted to; undefined where there are too few for it. */
  readonly heldOut: ModelFeeds | undefined;
  readonly all: ModelFeeds;
  /** Sizes and values at which the network runs on these images: what is counted and timed. */
  readonly inputs: ModelInputs;
  /** Images that the network takes at once: 1 where it takes them one by one. */
  readonly batch: number | undefined;
}

export interface CalibrationOptions extends FeedOptions {
  /** Images to fit to. Default: 256, or 16 of more than 100,000 pixels. */
  readonly images?: number;
  /** Images to evaluate on. Default: half as many. */
  readonly heldOut?: number;
}

const largePixels = 1e5;

/**
 * Images as a network takes them, parted into those that are fitted to and those that the result is evaluated on.
 * @param inputs - sizes and values at which the network runs (`findInputs`)
 * @throws FilterBasisError as `modelFeeds`; `data-mismatch` where there are too few images; `unsupported` for a batch
 * fixed above 1
 * @example
 * ```ts
 * import { calibrationData, findInputs, loadModel, openData } from "filterbasis";
 *
 * const graph = await loadModel("model.onnx");
 * const photos = await openData("photos");
 * const { images, heldOut } = await calibrationData(graph, photos, await findInputs(graph), { normalize: "imagenet" });
 * console.log(`${images.count} images to fit to, ${heldOut?.count ?? 0} to evaluate on`);
 * ```
 */
export async function calibrationData(
  graph: Graph,
  data: Data,
  inputs: ModelInputs,
  {
    images: asked,
    heldOut: held,
    seed = 0,
    limit: most = Number.POSITIVE_INFINITY,
    note,
    ...options
  }: CalibrationOptions = {},
): Promise<CalibrationData> {
  const { name, fixed, pixels } = dataInput(graph, inputs, options);
  if (fixed !== undefined && fixed > 1)
    throw new FilterBasisError("unsupported", "a network with a fixed batch cannot be calibrated", {
      tensor: name,
      expected: "a batch of 1, or a free one",
      got: String(fixed),
    });
  const wanted = asked ?? (pixels > largePixels ? 16 : 256);
  const evaluated = held ?? Math.max(1, Math.ceil(wanted / 2));
  const limit = Math.min(most, wanted + evaluated);
  const all = await modelFeeds(graph, data, inputs, { part: "train", ...options, seed, limit, ...(note && { note }) });
  const spare = all.count >= 4 ? Math.min(evaluated, Math.max(1, Math.floor(all.count / 3))) : 0;
  const count = Math.min(wanted, all.count - spare);
  if (all.count < wanted + evaluated)
    note?.(
      `${data.name}: ${all.count} images: ${count} to calibrate on, ${spare} to evaluate on (${wanted} and ${evaluated} are usual)`,
    );
  const key = await contentKey(all, count, options.signal);
  const batch = inputs.shapes.get(name)?.[0] ?? 1;
  return {
    images: { count, key, feeds: (first, number) => all.at(first, number) },
    heldOut: spare > 0 ? all.part(count, spare) : undefined,
    all,
    inputs: { ...inputs, shapes: new Map([...inputs.shapes, [name, [batch, ...all.dims]]]) },
    batch: fixed,
  };
}

/** The images as the network gets them, in a few bytes: a folder of the same name may hold others by now. */
async function contentKey(all: ModelFeeds, count: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < count; i++) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while reading images");
    for (const [name, { dims, data }] of Object.entries(await all.at(i, 1)))
      hash.update(JSON.stringify([name, dims])).update(data);
  }
  return hash.digest("hex").slice(0, 32);
}
