// Two networks side by side, the original and the compressed one so far, stepped through in the order of the graph.
// What both compute before a position is kept as the values that are still read (a cut), as long as memory allows;
// where it does not, what comes later is computed again from the last cut that was kept.
import type { Graph } from "../graph/types.js";
import {
  batchesOf,
  type CalibrationImages,
  type Engine,
  type Hooks,
  type Sampling,
  stopIfAborted,
  type Values,
} from "./engine.js";
import { bytesOf, openTap, type Types } from "./segment.js";

/** Values that are kept of both networks, batch by batch. */
export interface Cut {
  readonly names: readonly string[];
  readonly original: readonly Values[];
  readonly compressed: readonly Values[];
}

export const start: Cut = { names: [], original: [], compressed: [] };

export interface Walk extends Hooks {
  readonly images: CalibrationImages;
  readonly engine: Engine;
  readonly sampling: Sampling;
  readonly types: Types;
  /** Bytes of values that are kept. */
  readonly memory: number;
}

/** What one batch gave. */
export interface Pair {
  readonly batch: number;
  /** The number of its first image in the data. */
  readonly first: number;
  readonly original: Values;
  readonly compressed: Values;
}

export interface Wanted {
  readonly original: readonly string[];
  readonly compressed: readonly string[];
}

/** The wanted values of both networks, batch by batch, from a cut on. */
export async function* walk(
  graphs: { readonly original: Graph; readonly compressed: Graph },
  cut: Cut,
  wanted: Wanted,
  { images, engine, sampling, types, ...hooks }: Walk,
): AsyncGenerator<Pair> {
  const known = new Set(cut.names);
  const original = await openTap(engine, graphs.original, known, wanted.original, types);
  try {
    const compressed = await openTap(engine, graphs.compressed, known, wanted.compressed, types);
    try {
      for (const [batch, [first, count]] of batchesOf(images.count, sampling.batch).entries()) {
        stopIfAborted(hooks);
        // Images are read and brought to their size for every layer otherwise, which takes longer than a small one.
        const fed = original.readsInputs || compressed.readsInputs ? await images.feeds(first, count) : {};
        yield {
          batch,
          first: first * (images.each ?? 1),
          original: await original.run(fed, cut.original[batch] ?? {}),
          compressed: await compressed.run(fed, cut.compressed[batch] ?? {}),
        };
      }
    } finally {
      await compressed.close();
    }
  } finally {
    await original.close();
  }
}

/** Values that are put aside until there are too many bytes of them. */
export class Stash {
  readonly #most: number;
  #values: Values[] | undefined = [];
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Keeps the named ones of a batch; all are let go once they are too many. */
  add(values: Values, names: readonly string[]): void {
    if (this.#values === undefined) return;
    const kept = Object.fromEntries(names.map((name) => [name, values[name]!]));
    this.#bytes += bytesOf(kept);
    if (this.#bytes > this.#most) this.#values = undefined;
    else this.#values.push(kept);
  }

  /** Undefined where there were too many. */
  get values(): readonly Values[] | undefined {
    return this.#values;
  }
}
