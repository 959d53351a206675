// Whole networks timed against each other, in turns.
import type { Graph } from "../graph/types.js";
import { type ModelTime, type TimeRatio, timeInTurns } from "../runtime/compare-times.js";
import { sampleFeeds } from "../runtime/index.js";
import type { Verdict } from "../runtime/paired.js";
import { type JobHooks, type Place, withBar } from "./job.js";

/**
 * Milliseconds of a model and of another one, measured in turns; with one thread those of the processor, which other
 * processes disturb less.
 */
export interface Times {
  readonly original: number;
  readonly written: number;
  /** original / written over the rounds, and in what interval it lies. */
  readonly ratio: number;
  readonly interval: readonly [low: number, high: number];
  readonly verdict: Verdict;
}

/** Times a second model against the first, on inputs of the first. */
export async function timeNetworks(
  original: Graph | string,
  written: Graph | string,
  { inputs, ...place }: Place,
  hooks: JobHooks = {},
): Promise<Times> {
  const { signal } = hooks;
  const models = [
    { name: "original", model: original },
    { name: "written", model: written },
  ];
  const { models: times, ratios } = await withBar("timing the network", hooks, () =>
    timeInTurns(models, (ports) => sampleFeeds(ports, inputs), { ...place, ...(signal ? { signal } : {}) }),
  );
  const single = place.threads === 1;
  const { median: ratio, interval, verdict } = ratioOf(ratios[0]!, single);
  const first = millisecondsOf(times[0]!, single);
  return { original: first, written: first / ratio, ratio, interval, verdict };
}

const timings = 3;

/**
 * Times a second model against the first until an answer is not "no", three times at most: a file is not given up for
 * what one timing found while something else ran. Gives what was not a "no", or of three the one in the middle.
 */
export async function timeTillSure(time: () => Promise<Times>, isNo: (times: Times) => boolean): Promise<Times> {
  const all: Times[] = [];
  while (all.length < timings) {
    const times = await time();
    if (!isNo(times)) return times;
    all.push(times);
  }
  return all.sort((a, b) => a.ratio - b.ratio)[Math.floor(timings / 2)]!;
}

/** An original that takes longer than is known, or than the time before said, by more than this was disturbed. */
const disturbed = 1.06;
/** The interval of a quotient that is wider than this tells of what else ran. */
const wide = 1.15;
/** Milliseconds of a run from which one timing is long enough to even out what else runs. */
export const longRun = 500;

interface Timing {
  readonly original: number;
  /** Of the quotient, where there are two models. */
  readonly interval?: readonly [low: number, high: number];
}

/**
 * Times until the original takes as long as is known, or as the timing before found, and the two models' quotient is
 * sure, three times at most: what disturbs a timing makes it longer, and not both models alike. Gives the timing in
 * which the original was fastest, of those whose quotient is sure if there are any.
 * @param known milliseconds of the original
 */
export async function quietest<T extends Timing>(time: () => Promise<T>, known?: number): Promise<T> {
  const all: T[] = [];
  do {
    all.push(await time());
    all.sort((a, b) => Number(isSure(b)) - Number(isSure(a)) || a.original - b.original);
  } while (all.length < timings && !isQuiet(all, known));
  return all[0]!;
}

const isSure = ({ interval }: Timing): boolean => interval === undefined || interval[1] <= wide * interval[0];

/** @param times the one that counts first */
function isQuiet([first, second]: readonly Timing[], known?: number): boolean {
  if (first!.original >= longRun) return true;
  if (!isSure(first!)) return false;
  if (known !== undefined) return first!.original <= disturbed * known;
  return second !== undefined && second.original <= disturbed * first!.original;
}

const ratioOf = ({ wall, processor }: TimeRatio, single: boolean) => (single && processor) || wall;

const millisecondsOf = ({ milliseconds, processorMilliseconds }: ModelTime, single: boolean): number =>
  ((single && processorMilliseconds) || milliseconds).median;

/** Milliseconds of one model by itself. */
export async function timeNetwork(
  model: Graph | string,
  { inputs, ...place }: Place,
  { signal }: JobHooks = {},
): Promise<number> {
  const options = { ...place, ...(signal ? { signal } : {}) };
  const { models } = await timeInTurns([{ name: "original", model }], (ports) => sampleFeeds(ports, inputs), options);
  return millisecondsOf(models[0]!, place.threads === 1);
}
