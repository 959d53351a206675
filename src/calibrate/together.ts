// A calibration by several processes: the first one does the job and says which layers' moments it needs; the others
// look at their shares of the images until it has ended.
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import type { CalibrationImages, Engine, Hooks, Sampling } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import { activationMoments } from "./moments.js";
import type { Shares } from "./sums.js";

/** What the processes look at next. */
export interface Wanted {
  /** Names of the layers' weights, in the order of the network. */
  readonly layers: readonly string[];
  /** The key of the images, and how many there are. */
  readonly images: { readonly key: string | undefined; readonly count: number };
  readonly sampling: Partial<Sampling> & { readonly memory?: number };
}

/** The first process. */
export interface Lead extends Shares {
  /** Tells the others, before every sum of moments. */
  call(wanted: Wanted): Promise<void>;
}

/** One of the others. */
export interface Follower extends Shares {
  /** What is wanted next; undefined at the end. */
  next(): Promise<Wanted | undefined>;
}

/**
 * Sums this process's shares until the first one has ended.
 * @param images - those that it may ask for
 * @throws FilterBasisError `data-mismatch` where this process was given other images, or another network, than the
 * first; what running the network throws
 */
export async function followMoments(
  graph: Graph,
  images: readonly CalibrationImages[],
  engine: Engine,
  { next, ...shares }: Follower,
  hooks: Hooks = {},
): Promise<void> {
  const { layers } = findCalibratedLayers(graph);
  for (let wanted = await next(); wanted !== undefined; wanted = await next()) {
    const { key, count } = wanted.images;
    const same = images.find((one) => one.key === key && one.count === count);
    const found = layers.filter(({ weightName }) => wanted.layers.includes(weightName));
    if (same === undefined || found.length !== wanted.layers.length) throw differs(shares.rank);
    for await (const _ of activationMoments(graph, found, same, engine, { ...wanted.sampling, ...hooks, shares }));
  }
}

const differs = (rank: number): FilterBasisError =>
  new FilterBasisError("data-mismatch", `process ${rank} has another network, or other images, than the first`, {
    cures: ["give all of them the same model, data and options", "the same files must lie on every machine"],
  });
