// Measured milliseconds of layers and of networks by their keys: what is known is not measured again, unless a second
// timing is to confirm it. Where they are kept is not its business (latency-table.ts, and the page's own table).
import type { Clock, TimedLayer } from "../methods/latencies.js";
import { type MeasureOptions, measureAll, type TimingPlace, timedKey } from "./time-layers.js";

export interface LatencyTable {
  /** What was measured so far. */
  readonly clock: Clock;
  /**
   * Times what is not known yet, and keeps it.
   * @throws FilterBasisError `interrupted`; what ONNX Runtime throws
   */
  measure(layers: readonly TimedLayer[], options?: MeasureOptions): Promise<void>;
  /** Times of two whole networks, by a key that stands for both: what was measured before, or what `time` says now. */
  networks(key: string, time: () => Promise<NetworkTimes>): Promise<NetworkTimes>;
  /**
   * The same table, which times what was timed once a second time before it answers: for a "no" that another process
   * may have caused. What disturbs a timing makes it longer, so that the lesser of two times counts.
   */
  confirmed(): LatencyTable;
}

export interface NetworkTimes {
  readonly original: number;
  readonly written: number;
}

export interface KnownTimes {
  readonly milliseconds: Map<string, number>;
  readonly networks: Map<string, NetworkTimes>;
  /** Keys of what was timed a second time. */
  readonly confirmed: Set<string>;
}

export const nothingKnown = (): KnownTimes => ({ milliseconds: new Map(), networks: new Map(), confirmed: new Set() });

/** A measurement of a layer, or of two networks; `again` marks a second timing, which is made once for all. */
export type Entry =
  | { readonly layer: string; readonly milliseconds: number; readonly again?: true | undefined }
  | ({ readonly network: string; readonly again?: true | undefined } & NetworkTimes);

/**
 * Adds a measurement. The first counts, or the lesser where one confirms the other; of two networks the times at which
 * the second is faster beside the first.
 */
export function take(entry: Entry, known: KnownTimes): void {
  if ("layer" in entry) {
    const before = known.milliseconds.get(entry.layer);
    if (before === undefined || (entry.again && entry.milliseconds < before))
      known.milliseconds.set(entry.layer, entry.milliseconds);
    if (entry.again) known.confirmed.add(entry.layer);
    return;
  }
  const { network, original, written, again } = entry;
  const before = known.networks.get(network);
  if (before === undefined || (again && written * before.original < before.written * original))
    known.networks.set(network, { original, written });
  if (again) known.confirmed.add(network);
}

/** A table over what is known; `keep` adds to that what was measured. */
export function tableOf(
  known: KnownTimes,
  place: TimingPlace,
  keep: (entries: readonly Entry[]) => Promise<void>,
): LatencyTable {
  const clock: Clock = (layer) => known.milliseconds.get(timedKey(layer));
  const table = (
    mark: { readonly again?: true },
    has: (key: string, kind: "milliseconds" | "networks") => boolean,
  ) => ({
    clock,
    measure: (layers: readonly TimedLayer[], options: MeasureOptions = {}) =>
      measureAll(
        layers.filter((layer) => !has(timedKey(layer), "milliseconds")),
        place,
        options,
        (timed) => keep(timed.map(({ layer, milliseconds }) => ({ layer: timedKey(layer), milliseconds, ...mark }))),
      ),
    async networks(key: string, time: () => Promise<NetworkTimes>): Promise<NetworkTimes> {
      if (!has(key, "networks")) {
        const { original, written } = await time();
        await keep([{ network: key, original, written, ...mark }]);
      }
      return known.networks.get(key)!;
    },
  });
  const confirmed: LatencyTable = {
    ...table({ again: true }, (key) => known.confirmed.has(key)),
    confirmed: () => confirmed,
  };
  return { ...table({}, (key, kind) => known[kind].has(key)), confirmed: () => confirmed };
}
