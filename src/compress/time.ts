// Whole networks timed against each other, in turns.
import type { Graph } from "../graph/types.js";
import { openSession, type Session, sampleFeeds } from "../runtime/index.js";
import { alternate, lowerQuartile } from "../runtime/latency.js";
import { type JobHooks, type Place, withBar } from "./job.js";

/** Milliseconds of each model, graphs or files, on the same inputs: the lower quartile, for what disturbs a run makes it longer. */
export async function timeNetworks(
  models: readonly (Graph | string)[],
  { inputs, ...options }: Place,
  hooks: JobHooks = {},
): Promise<{ readonly milliseconds: readonly number[] }> {
  const sessions: Session[] = [];
  const { signal } = hooks;
  try {
    for (const model of models) sessions.push(await openSession(model, options));
    const feeds = sampleFeeds(sessions[0]!.inputs, inputs);
    return await withBar("timing the network", hooks, async () => {
      const runs = sessions.map((session) => () => session.run(feeds));
      const single = options.threads === 1 && options.runtime !== "web";
      const timing = {
        rounds: 15,
        warmup: 2,
        settle: single ? 10 : 60,
        burst: 20,
        budget: 3000,
        ...(single ? { now: busy } : {}),
      };
      const { samples } = await alternate(runs, { ...timing, ...(signal ? { signal } : {}) });
      return { milliseconds: samples.map(lowerQuartile) };
    });
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** Milliseconds that the process has computed: with one thread these are the model's, whatever else the machine does meanwhile. */
function busy(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
