// Whole networks of a plan by time: the original, what passes made of it, and what a plan makes of that. From the table
// of times, or timed now.
import type { PlannedChoice } from "../calibrate/calibrated.js";
import type { Graph } from "../graph/types.js";
import type { LatencyTable } from "../runtime/known-times.js";
import type { ChainClock } from "./chain-times.js";
import { networkKey } from "./network-key.js";
import type { CalibratedJob } from "./plan-calibrated.js";
import { formsInPrecision } from "./planned-precision.js";
import { longRun, quietest, timeNetwork, timeNetworks } from "./time.js";

/** Times differ by so much without a reason. */
const noise = 0.03;

export interface OriginalTimes {
  /** Milliseconds of the original. */
  readonly whole: number;
  /** Of the network that is planned, which passes made of the original: layers save from this. */
  readonly base: number;
}

/** The original, and the prepared network beside it where that is another one: what was folded may have saved time. */
export async function originalTimes(
  { original, prepared, place, hooks }: CalibratedJob,
  table: LatencyTable,
): Promise<OriginalTimes> {
  const key = (graphs: readonly Graph[]): string => networkKey(graphs, place.inputs.shapes);
  if (key([original]) === key([prepared])) {
    const { written } = await table.networks(key([original]), () =>
      quietest(async () => {
        const milliseconds = await timeNetwork(original, place, hooks);
        return { original: milliseconds, written: milliseconds };
      }),
    );
    return { whole: written, base: written };
  }
  const times = await table.networks(key([original, prepared]), () =>
    quietest(() => timeNetworks(original, prepared, place, hooks)),
  );
  const { original: whole, written } = times;
  return { whole, base: Math.abs(written / whole - 1) < noise ? whole : written };
}

/** A network so near to what is aimed at is timed a second time: one timing is as far off now and then. */
const near = 0.08;

interface PlannedTiming {
  readonly table: LatencyTable;
  readonly clock: ChainClock;
  /** Milliseconds of the original. */
  readonly whole: number;
  /** Milliseconds that the plan is to keep. */
  readonly aim?: number;
}

/**
 * Milliseconds of the whole network with a plan's chains, in its fastest form, on the original's clock. Where a timing
 * does not tell whether an aim is kept, the mean of two.
 */
export async function plannedTime(
  { original, place, hooks, precision = "fp32" }: CalibratedJob,
  { graph, chosen }: { readonly graph: Graph; readonly chosen: readonly PlannedChoice[] },
  { table, clock, whole, aim }: PlannedTiming,
): Promise<number> {
  const timeOf = async (form: Graph, again = ""): Promise<number> => {
    const key = networkKey([original, form], place.inputs.shapes) + again;
    const time = () => quietest(() => timeNetworks(original, form, place, hooks), whole);
    const times = await table.networks(key, time);
    return (times.written / times.original) * whole;
  };
  let least = Number.POSITIVE_INFINITY;
  for (const form of formsInPrecision(graph, chosen, clock, precision)) {
    const first = await timeOf(form);
    const unsure = aim !== undefined && whole < longRun && Math.abs(first / aim - 1) < near;
    least = Math.min(least, unsure ? (first + (await timeOf(form, " again"))) / 2 : first);
  }
  return least;
}
