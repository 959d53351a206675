// Whole networks timed against each other, in turns.
import { FilterBasisError } from "../errors/error.js";
import { concreteInputs } from "../graph/cost.js";
import type { Dim, Graph } from "../graph/types.js";
import { openSession, type RuntimeName, type Session, sampleFeeds } from "../runtime/index.js";
import { alternate } from "../runtime/latency.js";
import { type JobHooks, withBar } from "./job.js";

export interface TimeOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  readonly inputs?: ReadonlyMap<string, readonly Dim[]> | undefined;
}

/** Median milliseconds of each model, graphs or files, on the same inputs. */
export async function timeNetworks(
  models: readonly (Graph | string)[],
  { inputs = new Map(), ...options }: TimeOptions,
  hooks: JobHooks = {},
): Promise<{ readonly milliseconds: readonly number[] }> {
  const sessions: Session[] = [];
  const { signal } = hooks;
  try {
    for (const model of models) sessions.push(await openSession(model, options));
    const [first] = models;
    if (first === undefined || typeof first === "string") throw new FilterBasisError("usage", "the first model must be a graph");
    const feeds = sampleFeeds(sessions[0]!.inputs, { shapes: concreteInputs(first, inputs) });
    return await withBar("timing the network", hooks, async () => {
      const runs = sessions.map((session) => () => session.run(feeds));
      const single = options.threads === 1;
      const timing = { rounds: 15, warmup: 2, settle: single ? 10 : 60, burst: 20, budget: 3000 };
      const { medians } = await alternate(runs, { ...timing, ...(signal ? { signal } : {}) });
      return { milliseconds: medians };
    });
  } finally {
    for (const session of sessions) await session.release();
  }
}
