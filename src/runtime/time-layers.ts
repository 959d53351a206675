// Timing layers: all candidates of one layer one after another, several times over, one session at a time, so that what
// else the machine does meanwhile falls on all of them alike and memory stays that of one layer.
import { FilterBasisError } from "../errors/error.js";
import type { TimedLayer } from "../methods/latencies.js";
import { keepFreedMemory } from "../torch/heap.js";
import { lowerQuartile } from "./latency.js";
import { done, layerGraph } from "./layer-graph.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import type { Feeds, RuntimeName } from "./session.js";

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

/** Times each of some layers once; `keep` is given what was timed, layer by layer. */
export async function measureAll(
  layers: readonly TimedLayer[],
  place: TimingPlace,
  { signal, progress }: MeasureOptions,
  keep: (timed: readonly { readonly layer: TimedLayer; readonly milliseconds: number }[]) => Promise<void>,
): Promise<void> {
  const distinct = new Map(layers.map((layer) => [timedKey(layer), layer]));
  let done = 0;
  const giveBack = keepFreedMemory(); // what one session frees the next takes, without new pages
  try {
    for (const group of alike([...distinct.values()])) {
      const timed = await timeLayers(group, place, signal);
      await keep(group.map((layer, i) => ({ layer, milliseconds: timed[i]! })));
      done += group.length;
      progress?.(done, distinct.size);
    }
  } finally {
    giveBack();
  }
}

/** What a table of times knows a layer by. */
export const timedKey = ({ input, shape, attributes, type, opset, basis, chain, precision }: TimedLayer): string =>
  JSON.stringify([
    input,
    shape,
    Object.entries(attributes).sort(),
    type,
    opset >= 13 ? 13 : opset,
    basis ?? null,
    ...(chain ? [chain] : []),
    ...(precision ? [precision] : []),
  ]);

/** Those of one layer together: they are compared with each other. */
function alike(layers: readonly TimedLayer[]): readonly (readonly TimedLayer[])[] {
  const groups = new Map<string, TimedLayer[]>();
  for (const layer of layers) {
    const { basis: _, chain: __, precision: ___, ...bare } = layer;
    const key = timedKey(bare);
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  return [...groups.values()];
}

export interface TimingPlace {
  readonly runtime: RuntimeName;
  readonly threads?: number;
}

/** Over all candidates of a layer; where somebody waits in a page, two have to do. */
const passes = { node: 3, web: 2 } as const;

async function timeLayers(
  layers: readonly TimedLayer[],
  place: TimingPlace,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const samples: number[][][] = layers.map(() => []);
  const inputs = new Map<string, Feeds>();
  for (let pass = 0; pass < passes[place.runtime]; pass++) {
    const order = [...layers.keys()];
    for (const index of pass % 2 === 0 ? order : order.reverse()) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing layers");
      // What takes long is disturbed little, for its length, and is timed twice; so is what both passes agree on.
      if (pass > 1 && (isSlow(samples[index]!.flat()) || isSettled(samples[index]!))) continue;
      samples[index]!.push(await timeOnce(layers[index]!, place, inputs));
    }
  }
  // What disturbs a timing makes it longer: the lower quartile rather than the median.
  return samples.map((all) => lowerQuartile(all.flat()));
}

/** A run that takes so many milliseconds needs no warming up beyond the first, and fewer repetitions. */
const slow = 25;
const isSlow = (samples: readonly number[]): boolean => samples.every((time) => time >= slow);
/** Passes whose times lie so near to each other need no third. */
const settled = 1.03;
function isSettled(samples: readonly (readonly number[])[]): boolean {
  const each = samples.map(lowerQuartile);
  return Math.max(...each) <= settled * Math.min(...each);
}

/**
 * Milliseconds over which a session warms up (threads of another one may still spin), and over which each sample is
 * taken.
 */
const [settle, settleThreads, burst, bursts] = [4, 25, 4, 5] as const;

/**
 * Elements of a layer's larger tensor beyond which a piece of it is timed: time goes with the area, memory need not.
 */
const largest = 2 ** 22;
/**
 * How much larger what lies between a layer's convolutions may be: a basis for each of many splits can have twenty times
 * the layer's own maps, whose copies (split, concatenated) took gigabytes.
 */
const between = 2;

/** Maps that a layer's factors write before its own output. */
const mapsBetween = ({ basis, chain = [] }: TimedLayer): number =>
  Math.max(
    basis === undefined ? 0 : basis.splits * basis.basisSize,
    ...chain.slice(0, -1).map(({ shape }) => shape[0] ?? 0),
  );

/** The layer on a piece of its input, and how many times its own area that is. */
export function pieceOf(layer: TimedLayer): { readonly layer: TimedLayer; readonly times: number } {
  if (layer.shape.length === 2) return { layer, times: 1 }; // a matrix: its input is small
  const [batch = 1, channels = 1, ...size] = layer.input;
  const area = size.reduce((product, side) => product * side, 1);
  const own = Math.max(channels, layer.shape[0] ?? 1);
  const elements = batch * Math.max(own, mapsBetween(layer) / between) * area;
  if (elements <= largest) return { layer, times: 1 };
  const shrink = (elements / largest) ** (1 / size.length);
  const piece = size.map((side) => Math.min(side, Math.max(32, Math.round(side / shrink))));
  return {
    layer: { ...layer, input: [batch, channels, ...piece] },
    times: area / piece.reduce((product, side) => product * side, 1),
  };
}

/** @param inputs what was drawn already, by its size: large maps take longer to draw than to run */
async function timeOnce(
  whole: TimedLayer,
  { runtime, threads }: TimingPlace,
  inputs: Map<string, Feeds>,
): Promise<number[]> {
  const { layer, times } = pieceOf(whole);
  const graph = layerGraph(layer);
  const session = await openSession(graph, {
    runtime,
    memoryPattern: false,
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    const key = JSON.stringify(session.inputs) + layer.input;
    const feeds = inputs.get(key) ?? sampleFeeds(session.inputs, { shapes: new Map([["x", layer.input]]) });
    inputs.set(key, feeds);
    const wanted = runtime === "node" ? [done] : undefined; // a GPU may still compute when `done` is there
    const run = () => session.run(feeds, wanted);
    const single = threads === 1 && runtime === "node";
    const first = await mean(run, 0, single);
    if (first < slow) await mean(run, single ? settle : settleThreads, false);
    const samples: number[] = [];
    for (let taken = 0; taken < (first < slow ? bursts : 1); taken++)
      samples.push(times * (await mean(run, burst, single)));
    return samples;
  } finally {
    await session.release();
  }
}

/**
 * Milliseconds of one run, over as many as fit. With one thread the processor's time is taken where it is less than the
 * clock's: on a busy machine the clock also counts the time in which another process ran.
 */
async function mean(run: () => Promise<unknown>, least: number, single: boolean): Promise<number> {
  const [start, used] = [performance.now(), globalThis.process?.cpuUsage?.()];
  let runs = 0;
  do {
    await run();
    runs++;
  } while (performance.now() - start < least);
  const wall = performance.now() - start;
  if (!single || used === undefined) return Math.max(1e-6, wall / runs);
  const { user, system } = process.cpuUsage(used);
  return Math.max(1e-6, Math.min(wall, (user + system) / 1000) / runs);
}
