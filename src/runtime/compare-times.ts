// Milliseconds of whole models, measured in turns: the original and what was made of it, in the runtime asked for, with
// how sure that is.
import { FilterBasisError, isError } from "../errors/error.js";
import { writeModel } from "../formats/onnx/index.js";
import type { Graph } from "../graph/types.js";
import { keepFreedMemory } from "../torch/heap.js";
import { alternate, type Candidate, type LatencyOptions } from "./latency.js";
import { openSession } from "./open.js";
import { type PairedRatio, pairedRatio, type Spread, spreadOf } from "./paired.js";
import { type Feeds, openOrtSession, type Port, type Session, type SessionOptions } from "./session.js";
import { timedRun } from "./timed-run.js";

/** A graph, or a file as it lies on the disk. */
export interface TimedModel {
  readonly name: string;
  readonly model: Graph | string;
}

/** Networks are timed as a user runs them, but for the memory pattern of large ones. */
type NotTimed = "arena" | "memoryPattern" | "optimisation";

export interface TimesOptions extends Omit<LatencyOptions, "warmup">, Omit<SessionOptions, NotTimed> {
  /**
   * Models that keep more than this many bytes between their runs are open one at a time. Default: a fifth of the
   * memory that is available, from 256 MB to 3 GB.
   */
  readonly openBytes?: number;
  /** Bytes that this process occupies. */
  readonly memory?: () => number;
}

export interface ModelTime {
  readonly name: string;
  readonly milliseconds: Spread;
  /** Of all threads together; null where it cannot be measured. */
  readonly processorMilliseconds: Spread | null;
}

/** A model against the first: time of the first / its own time, above 1 where it is faster. */
export interface TimeRatio {
  readonly name: string;
  readonly wall: PairedRatio;
  readonly processor: PairedRatio | null;
}

export interface TimesComparison {
  readonly models: readonly ModelTime[];
  /** Of all models but the first. */
  readonly ratios: readonly TimeRatio[];
  readonly rounds: number;
  /** Whether the models were open together, or each only for its turns, for want of memory. */
  readonly open: "together" | "in turn";
  /** Every measurement: [model][round]. */
  readonly samples: readonly (readonly number[])[];
}

const defaults = { rounds: 15, budget: 10_000, patience: 30_000, burst: 20 } as const;

/**
 * Times models on the same inputs, which are given or made for the ports of the first model. Ends after 15 rounds or 10
 * seconds (but 5 rounds); a model of seconds a run after 30 seconds and 3 rounds.
 * @throws FilterBasisError `usage` for no model, `interrupted`, and what opening and running throw
 */
export async function timeInTurns(
  models: readonly TimedModel[],
  feeds: Feeds | ((inputs: readonly Port[]) => Feeds),
  options: TimesOptions = {},
): Promise<TimesComparison> {
  if (models.length === 0) throw new FilterBasisError("usage", "there is no model to time");
  const { memory = residentBytes, openBytes = usualOpenBytes(), ...latency } = options;
  const held = new SessionHolder(models, options);
  const giveBack = keepFreedMemory(); // what one session frees the next takes, without new pages
  try {
    const first = await held.open(0);
    const fed = typeof feeds === "function" ? feeds(first.inputs) : feeds;
    const limits = { memory, openBytes, signal: options.signal };
    const { run, together } = await openTogether(held, models.length, fed, limits);
    const candidates = models.map((_, i) => (together ? alwaysOpen(held, i, run) : openInTurn(held, i, run)));
    if (!together) await held.closeAll();
    const cpu = latency.cpu ?? processorClock();
    const settle = options.threads === 1 ? 20 : 100; // one thread has no others that spin on
    const { samples, cpuSamples } = await alternate(candidates, {
      settle,
      ...defaults,
      ...latency,
      ...(cpu ? { cpu } : {}),
      warmup: 2,
    });
    return comparison(models, samples, cpuSamples, together);
  } finally {
    await held.closeAll();
    giveBack();
  }
}

const usualOpenBytes = (): number =>
  Math.min(3 * 2 ** 30, Math.max(2 ** 28, (globalThis.process?.availableMemory?.() ?? 0) / 5));

/**
 * A model that keeps more than this is run without a memory pattern: beside what the first run took, the second would
 * take all of it at once, which is half as much again and takes longer than a run; later runs are as fast without.
 */
const patternless = 2 ** 28;

type Run = Awaited<ReturnType<typeof timedRun>>;

function alwaysOpen(held: SessionHolder, index: number, run: Run): Candidate {
  return () => run(held.at(index));
}

function openInTurn(held: SessionHolder, index: number, run: Run): Candidate {
  return {
    run: () => run(held.at(index)),
    begin: async () => void (await held.open(index)),
    end: () => held.close(index),
  };
}

function comparison(
  models: readonly TimedModel[],
  samples: readonly (readonly number[])[],
  cpuSamples: readonly (readonly number[])[],
  together: boolean,
): TimesComparison {
  // A clock of ticks may have seen nothing.
  const cpu = cpuSamples.length > 0 && cpuSamples.flat().every((value) => value > 0) ? cpuSamples : undefined;
  return {
    models: models.map(({ name }, i) => ({
      name,
      milliseconds: spreadOf(samples[i]!),
      processorMilliseconds: cpu === undefined ? null : spreadOf(cpu[i]!),
    })),
    ratios: models.slice(1).map(({ name }, i) => ({
      name,
      wall: pairedRatio(samples[0]!, samples[i + 1]!),
      processor: cpu === undefined ? null : pairedRatio(cpu[0]!, cpu[i + 1]!),
    })),
    rounds: samples[0]!.length,
    open: together ? "together" : "in turn",
    samples,
  };
}

/**
 * Opens one model after the other and runs it once, as long as what they keep is little; not together as soon as it is
 * not. Gives how they are run for their times too.
 */
async function openTogether(
  held: SessionHolder,
  count: number,
  feeds: Feeds,
  { memory, openBytes, signal }: { memory: () => number; openBytes: number; signal: AbortSignal | undefined },
): Promise<{ readonly run: Run; readonly together: boolean }> {
  const before = memory();
  let run: Run | undefined;
  for (let i = 0; i < count; i++) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing");
    const session = await held.open(i);
    if (run === undefined) run = await timedRun(session, feeds);
    else await run(session);
    // The next one will keep about as much as those before it on the average.
    const kept = memory() - before;
    if (i === 0 && kept > patternless) await held.withoutPattern(0);
    if (i + 1 < count && kept * ((i + 2) / (i + 1)) > openBytes) return { run, together: false };
  }
  return { run: run!, together: true };
}

/** Owns the sessions: opens each when it is first asked for, again after it was closed. */
class SessionHolder {
  readonly #models: readonly TimedModel[];
  readonly #options: SessionOptions;
  readonly #sessions: (Session | undefined)[];
  readonly #sources: (Uint8Array | string | undefined)[];
  #pattern: Pick<SessionOptions, "memoryPattern"> = {};

  constructor(models: readonly TimedModel[], { threads, runtime }: SessionOptions) {
    this.#models = models;
    this.#options = { ...(threads === undefined ? {} : { threads }), ...(runtime === undefined ? {} : { runtime }) };
    this.#sessions = models.map(() => undefined);
    this.#sources = models.map(() => undefined);
  }

  async open(index: number): Promise<Session> {
    const known = this.#sessions[index];
    if (known !== undefined) return known;
    const source = this.#sources[index];
    const options = { ...this.#options, ...this.#pattern };
    // What was read and checked once need not be again.
    const session = await (source === undefined
      ? openSession(this.#models[index]!.model, options)
      : openOrtSession(source, options));
    this.#sessions[index] = session;
    return session;
  }

  /** A session that is open. */
  at(index: number): Session {
    return this.#sessions[index]!;
  }

  /** Opens the model anew, as all that are opened from now on. */
  async withoutPattern(index: number): Promise<void> {
    this.#pattern = { memoryPattern: false };
    await this.close(index);
    await this.open(index);
  }

  async close(index: number): Promise<void> {
    const session = this.#sessions[index];
    if (session === undefined) return;
    this.#sessions[index] = undefined;
    this.#sources[index] ??= sourceOf(this.#models[index]!.model, session);
    await session.release();
  }

  async closeAll(): Promise<void> {
    for (let i = 0; i < this.#sessions.length; i++) await this.close(i);
  }
}

/** What ONNX Runtime can open without us; undefined where that takes more than bytes or a path. */
function sourceOf(model: Graph | string, { runtime }: Session): Uint8Array | string | undefined {
  if (typeof model === "string") return runtime === "node" ? model : undefined;
  try {
    return writeModel(model);
  } catch (error) {
    if (isError(error, "too-large")) return undefined;
    throw error;
  }
}

const residentBytes = (): number => globalThis.process?.memoryUsage?.rss?.() ?? 0;

function processorClock(): (() => number) | undefined {
  const usage = globalThis.process?.cpuUsage;
  if (usage === undefined) return undefined;
  return () => {
    const { user, system } = usage.call(globalThis.process);
    return (user + system) / 1000;
  };
}
