// How long models take: runs alternated, so that whatever else the machine does falls on all of them alike; medians.
import { FilterBasisError } from "../errors/error.js";

export interface LatencyOptions {
  /** Alternations; each times every candidate once. */
  readonly rounds?: number;
  /**
   * Runs of each candidate before the first round; of one that is opened for its turns, in every turn. A session's
   * first run finds out what memory it needs, and its second one takes that: neither is what a user sees.
   */
  readonly warmup?: number;
  /**
   * Milliseconds for which a candidate runs untimed whenever its turn comes after another's, once at least. The threads
   * of the one before it spin on for a while, waiting for work on the cores that it needs, and its data has left the
   * caches.
   */
  readonly settle?: number;
  /** Milliseconds over which a candidate is then timed, one run at least; a sample is the mean run. */
  readonly burst?: number;
  /** No further round begins after this many milliseconds, once there are five. */
  readonly budget?: number;
  /** After this many, three have to do. */
  readonly patience?: number;
  /** Whether the samples [candidate][round] suffice; asked after every round from the fifth on. */
  readonly enough?: (samples: readonly (readonly number[])[]) => boolean;
  /** A clock in milliseconds. */
  readonly now?: () => number;
  /** Processor milliseconds that this process has used, over all its threads. */
  readonly cpu?: () => number;
  readonly signal?: AbortSignal;
}

/** What is timed: a function, or one that needs something opened for its turns. */
export type Candidate = (() => Promise<unknown>) | OpenedCandidate;

interface OpenedCandidate {
  run(): Promise<unknown>;
  /** Before its turn, and behind it: never are two candidates open at once. */
  begin(): Promise<void>;
  end(): Promise<void>;
}

export interface Latencies {
  /** Median milliseconds of each candidate, in the order given. */
  readonly medians: readonly number[];
  /** Every measurement: [candidate][round]. */
  readonly samples: readonly (readonly number[])[];
  /** Processor milliseconds a run, likewise; empty without `cpu`. */
  readonly cpuSamples: readonly (readonly number[])[];
}

/** Fewer rounds than this say too little, */
const least = 5;
/** but of what takes very long, this many have to do. */
const leastSlow = 3;

/**
 * Times candidates against each other. Every second round runs them in reverse order, so that none profits from its
 * place.
 * @throws what a candidate throws; FilterBasisError `usage` for none, `interrupted`
 */
export async function alternate(candidates: readonly Candidate[], options: LatencyOptions = {}): Promise<Latencies> {
  const { rounds = 20, warmup = 3, settle = 100, burst = 5, budget = Number.POSITIVE_INFINITY, signal } = options;
  const { now = () => performance.now(), cpu, enough = () => false, patience = Number.POSITIVE_INFINITY } = options;
  if (candidates.length === 0) throw new FilterBasisError("usage", "there is nothing to time");
  const all = candidates.map(opened);
  const samples: number[][] = all.map(() => []);
  const cpuSamples: number[][] = cpu === undefined ? [] : all.map(() => []);
  let current = await warmUp(all, warmup, signal);
  const begun = now();
  const ended = (round: number): boolean => {
    const passed = now() - begun;
    if (round >= rounds || (round >= leastSlow && passed >= patience)) return true;
    return round >= least && (passed >= budget || enough(samples));
  };
  try {
    for (let round = 0; !ended(round); round++) {
      const order = all.map((_, i) => i);
      for (const i of round % 2 === 0 ? order : order.reverse()) {
        if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing");
        if (i !== current) {
          if (current >= 0) await all[current]!.end();
          current = -1;
          await all[i]!.begin();
          current = i;
          await runFor(all[i]!.run, settle, now, all[i]!.begin === nothing ? 1 : warmup);
        }
        const used = cpu?.() ?? 0;
        const { runs, milliseconds } = await runFor(all[i]!.run, burst, now);
        samples[i]!.push(milliseconds / runs);
        if (cpu !== undefined) cpuSamples[i]!.push((cpu() - used) / runs);
      }
    }
  } finally {
    if (current >= 0) await all[current]!.end();
  }
  return { samples, cpuSamples, medians: samples.map(median) };
}

const nothing = async (): Promise<void> => undefined;

const opened = (candidate: Candidate): OpenedCandidate =>
  typeof candidate === "function" ? { run: candidate, begin: nothing, end: nothing } : candidate;

/**
 * Runs those that are open all the time; the others run untimed in every turn. Gives which one is open, -1 for none.
 */
async function warmUp(all: readonly OpenedCandidate[], runs: number, signal: AbortSignal | undefined): Promise<number> {
  if (all.some(({ begin }) => begin !== nothing)) return -1;
  for (let i = 0; i < runs; i++) {
    for (const { run } of all) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing");
      await run();
    }
  }
  return all.length - 1;
}

async function runFor(candidate: () => Promise<unknown>, leastTime: number, now: () => number, leastRuns = 1) {
  const start = now();
  let runs = 0;
  do {
    await candidate();
    runs++;
  } while (runs < leastRuns || now() - start < leastTime);
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
