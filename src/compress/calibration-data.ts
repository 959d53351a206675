// The images of a calibrated compression: those that the factors are fitted to, and others, never fitted to, that the
// result is evaluated on.
import { createHash } from "node:crypto";
import type { CalibrationImages } from "../calibrate/engine.js";
import type { Data } from "../data/dataset.js";
import { FilterBasisError } from "../errors/error.js";
import { type FeedOptions, type ModelFeeds, modelFeeds } from "../evaluate/model-feeds.js";
import type { Graph } from "../graph/types.js";
import type { ModelInputs } from "../runtime/index.js";

export interface CalibrationData {
  readonly images: CalibrationImages;
  /** Images that nothing is fitted to; undefined where there are too few for it. */
  readonly heldOut: ModelFeeds | undefined;
  readonly all: ModelFeeds;
  /** Images that the network takes at once: 1 where its file fixes the batch. */
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
 * @throws FilterBasisError as `modelFeeds`; `data-mismatch` where there are too few images; `unsupported` for a batch
 * fixed above 1
 */
export async function calibrationData(
  graph: Graph,
  data: Data,
  inputs: ModelInputs,
  { images: asked, heldOut: held, seed = 0, note, ...options }: CalibrationOptions = {},
): Promise<CalibrationData> {
  const pixels = [...inputs.shapes.values()].reduce(
    (most, dims) => Math.max(most, (dims.at(-1) ?? 1) * (dims.at(-2) ?? 1)),
    0,
  );
  const wanted = asked ?? (pixels > largePixels ? 16 : 256);
  const evaluated = held ?? Math.max(1, Math.ceil(wanted / 2));
  const limit = wanted + evaluated;
  const all = await modelFeeds(graph, data, inputs, { part: "train", ...options, seed, limit, ...(note && { note }) });
  const fixed = graph.inputs.find(({ name }) => name === all.input)?.tensor?.dims?.[0];
  if (typeof fixed === "number" && fixed > 1)
    throw new FilterBasisError("unsupported", "a network with a fixed batch cannot be calibrated", {
      tensor: all.input,
      expected: "a batch of 1, or a free one",
      got: String(fixed),
    });
  const spare = all.count >= 4 ? Math.min(evaluated, Math.max(1, Math.floor(all.count / 3))) : 0;
  const count = Math.min(wanted, all.count - spare);
  if (all.count < limit)
    note?.(
      `${data.name}: ${all.count} images: ${count} to calibrate on, ${spare} to evaluate on (${wanted} and ${evaluated} are usual)`,
    );
  const key = await contentKey(all, count);
  return {
    images: { count, key, feeds: (first, number) => all.at(first, number) },
    heldOut: spare > 0 ? all.part(count, spare) : undefined,
    all,
    batch: fixed === 1 ? 1 : undefined,
  };
}

/** The images as the network gets them, in a few bytes: a folder of the same name may hold others by now. */
async function contentKey(all: ModelFeeds, count: number): Promise<string> {
  const hash = createHash("sha256");
  for (let i = 0; i < count; i++)
    for (const [name, { dims, data }] of Object.entries(await all.at(i, 1)))
      hash.update(JSON.stringify([name, dims])).update(data);
  return hash.digest("hex").slice(0, 32);
}
