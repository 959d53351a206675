// Measured milliseconds, kept for as long as the page is open. Main keeps them too: a worker that was stopped is
// followed by one that knows them.
import type * as original from "../../src/runtime/latency-table.js";
import { measureMissing, timedKey } from "../../src/runtime/time-layers.js";

/** By the key of a layer. */
const milliseconds = new Map<string, number>();
const networks = new Map<string, original.NetworkTimes>();
let told: (times: KnownTimes) => void = () => undefined;

export type KnownTimes = readonly (readonly [key: string, milliseconds: number])[];

/** Begins with what another worker measured, and tells what this one measures. */
export function shareTimes(known: KnownTimes, tell: (times: KnownTimes) => void): void {
  for (const [key, value] of known) milliseconds.set(key, value);
  told = tell;
}

export const openLatencyTable: typeof original.openLatencyTable = async () => {
  const clock = (layer: Parameters<typeof timedKey>[0]) => milliseconds.get(timedKey(layer));
  return {
    clock,
    measure: (layers, options = {}) =>
      measureMissing(layers, clock, { runtime: "web" }, options, async (timed) => {
        const added = timed.map((one) => [timedKey(one.layer), one.milliseconds] as const);
        for (const [key, value] of added) milliseconds.set(key, value);
        told(added);
      }),
    async networks(key, time) {
      const known = networks.get(key) ?? (await time());
      networks.set(key, known);
      return known;
    },
  };
};
