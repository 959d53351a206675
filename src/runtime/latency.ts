// How long models take: runs alternated, so that whatever else the machine does falls on all of them alike; medians.
import { FilterBasisError } from "../errors/error.js";

export interface LatencyOptions {
  /** Alternations; each times every candidate once. */
  readonly rounds?: number;
  /** Runs of each candidate before the first round. */
  readonly warmup?: number;
  /**
   * Milliseconds for which a candidate runs untimed whenever its turn comes after another's, once at least. The threads of the one before it spin
   * on for a while, waiting for work on the cores that it needs, and its data has left the caches.
   */
  readonly settle?: number;
  /** Milliseconds over which a candidate is then timed, one run at least; a sample is the mean run. */
  readonly burst?: number;
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
  options: LatencyOptions = {},
): Promise<Latencies> {
  const { rounds = 20, warmup = 3, settle = 100, burst = 5, budget = Number.POSITIVE_INFINITY, signal } = options;
  const { now = () => performance.now() } = options;
  if (candidates.length === 0) throw new FilterBasisError("usage", "there is nothing to time");
  for (let i = 0; i < warmup; i++) for (const candidate of candidates) await candidate();
  const samples: number[][] = candidates.map(() => []);
  const begun = now();
  let before = candidates.at(-1);
  for (let round = 0; round < rounds && (round < 5 || now() - begun < budget); round++) {
    const order = candidates.map((candidate, i) => ({ candidate, own: samples[i]! }));
    for (const { candidate, own } of round % 2 === 0 ? order : order.reverse()) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing");
      if (candidate !== before) await runFor(candidate, settle, now);
      before = candidate;
      const { runs, milliseconds } = await runFor(candidate, burst, now);
      own.push(milliseconds / runs);
    }
  }
  return { samples, medians: samples.map(median) };
}

async function runFor(candidate: () => Promise<unknown>, least: number, now: () => number) {
  const start = now();
  let runs = 0;
  do {
    await candidate();
    runs++;
  } while (now() - start < least);
  return { runs, milliseconds: now() - start };
}

/** The median; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which a quarter of the others lie. */
export function lowerQuartile(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 4)]!;
}
