// How long models take: runs alternated, so that whatever else the machine does falls on all of them alike; medians.
import { FilterBasisError } from "../errors/error.js";

export interface LatencyOptions {
  /** Alternations; each runs every candidate once. */
  readonly rounds?: number;
  /** Runs of each candidate before the clock starts. */
  readonly warmup?: number;
  /** No further round begins after this many milliseconds, once there are five. */
  readonly budget?: number;
  /** A clock in milliseconds. */
  readonly now?: () => number;
  readonly signal?: AbortSignal;
}

export interface Latencies {
  /** Median milliseconds of each candidate, in the order given. */
  readonly medians: readonly number[];
  /** Every measurement: [candidate][round]. */
  readonly samples: readonly (readonly number[])[];
}

/**
 * Times candidates against each other. Every second round runs them in reverse order, so that none profits from its place.
 * @throws what a candidate throws; FilterBasisError `usage` for none, `interrupted`
 */
export async function alternate(
  candidates: readonly (() => Promise<unknown>)[],
  { rounds = 20, warmup = 3, budget = Number.POSITIVE_INFINITY, now = () => performance.now(), signal }: LatencyOptions = {},
): Promise<Latencies> {
  if (candidates.length === 0) throw new FilterBasisError("usage", "there is nothing to time");
  for (let i = 0; i < warmup; i++) for (const candidate of candidates) await candidate();
  const samples: number[][] = candidates.map(() => []);
  const begun = now();
  for (let round = 0; round < rounds && (round < 5 || now() - begun < budget); round++) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing");
    const order = candidates.map((candidate, i) => ({ candidate, own: samples[i]! }));
    for (const { candidate, own } of round % 2 === 0 ? order : order.reverse()) {
      const start = now();
      await candidate();
      own.push(now() - start);
    }
  }
  return { samples, medians: samples.map(median) };
}

/** The median; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
