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
 * what one timing found while something else ran. Gives the last.
 */
export async function timeTillSure(time: () => Promise<Times>, isNo: (times: Times) => boolean): Promise<Times> {
  let times = await time();
  for (let timed = 1; timed < timings && isNo(times); timed++) times = await time();
  return times;
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
