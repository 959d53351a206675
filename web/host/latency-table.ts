// Measured milliseconds, kept for as long as the page is open. Main keeps them too: a worker that was stopped is
// followed by one that knows them.
import { nothingKnown, tableOf, take } from "../../src/runtime/known-times.js";
import type * as original from "../../src/runtime/latency-table.js";

const known = nothingKnown();
let told: (times: KnownTimes) => void = () => undefined;

export type KnownTimes = readonly (readonly [key: string, milliseconds: number])[];

/** Begins with what another worker measured, and tells what this one measures. */
export function shareTimes(times: KnownTimes, tell: (times: KnownTimes) => void): void {
  for (const [layer, milliseconds] of times) known.milliseconds.set(layer, milliseconds);
  told = tell;
}

export const openLatencyTable: typeof original.openLatencyTable = async () =>
  tableOf(known, { runtime: "web" }, async (entries) => {
    for (const one of entries) take(one, known);
    told(entries.flatMap((one) => ("layer" in one ? [[one.layer, known.milliseconds.get(one.layer)!] as const] : [])));
  });
