// Measured milliseconds of layers, kept in the cache by machine, runtime, version and threads: every layer is timed
// once. All candidates of one layer are timed one after another, several times over, one session at a time, so that
// what else the machine does meanwhile falls on all of them alike and memory stays that of one layer.
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { FilterBasisError } from "../errors/error.js";
import type { Clock, TimedLayer } from "../methods/latencies.js";
import { cacheFolder } from "./cache-folder.js";
import { lowerQuartile } from "./latency.js";
import { layerGraph } from "./layer-graph.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import { defaultRuntime, type RuntimeName, runtimeVersion } from "./session.js";

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
}

export interface NetworkTimes {
  readonly original: number;
  readonly written: number;
}

interface MeasureOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

export interface TableOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  /** The folder of the tables; by default in the cache folder. */
  readonly folder?: string;
}

/** Raised when what is timed, or how, changes: older lines are then not read. */
const version = 2;
const positive = z.number().positive();
const line = z.union([
  z.object({ version: z.literal(version), layer: z.string(), milliseconds: positive }),
  z.object({ version: z.literal(version), network: z.string(), original: positive, written: positive }),
]);
type Line = z.infer<typeof line>;

/**
 * Opens the table of this machine. It is a file of lines, which grows at its end: processes that measure at the same
 * time lose nothing of each other's, and of two times for one thing the first counts, for all of them. Lines that
 * cannot be read (damaged, of another version) do not count.
 */
export async function openLatencyTable({ threads, folder, ...options }: TableOptions = {}): Promise<LatencyTable> {
  const runtime = options.runtime ?? (await defaultRuntime());
  const processor = cpus()[0]?.model ?? "unknown";
  const conditions = [
    version,
    runtime,
    await runtimeVersion(runtime),
    threads ?? "default",
    processor,
    cpus().length,
    arch(),
  ];
  const name = createHash("sha256").update(JSON.stringify(conditions)).digest("hex").slice(0, 16);
  const where = folder ?? join(cacheFolder(), "latencies");
  const file = join(where, `${name}.jsonl`);
  const known = await readTable(file);
  const clock: Clock = (layer) => known.milliseconds.get(keyOf(layer));
  /** Writes lines behind the others, then reads all: what another process had written before counts. */
  const keep = async (lines: readonly Line[]): Promise<void> => {
    if (lines.length === 0) return;
    await mkdir(where, { recursive: true });
    await appendFile(file, `\n${lines.map((one) => JSON.stringify(one)).join("\n")}\n`);
    const all = await readTable(file);
    for (const [key, value] of all.milliseconds) known.milliseconds.set(key, value);
    for (const [key, value] of all.networks) known.networks.set(key, value);
  };
  return {
    clock,
    async measure(layers, { signal, progress } = {}) {
      const missing = new Map(
        layers.filter((layer) => clock(layer) === undefined).map((layer) => [keyOf(layer), layer]),
      );
      if (missing.size === 0) return;
      let done = 0;
      for (const group of alike([...missing.values()])) {
        const timed = await timeLayers(group, { runtime, ...(threads === undefined ? {} : { threads }) }, signal);
        await keep(group.map((layer, i) => ({ version, layer: keyOf(layer), milliseconds: timed[i]! })));
        done += group.length;
        progress?.(done, missing.size);
      }
    },
    async networks(key, time) {
      const found = known.networks.get(key);
      if (found !== undefined) return found;
      const { original, written } = await time();
      await keep([{ version, network: key, original, written }]);
      return known.networks.get(key)!;
    },
  };
}

const keyOf = ({ input, shape, attributes, type, opset, basis, chain }: TimedLayer): string =>
  JSON.stringify([
    input,
    shape,
    Object.entries(attributes).sort(),
    type,
    opset >= 13 ? 13 : opset,
    basis ?? null,
    ...(chain ? [chain] : []),
  ]);

interface Known {
  readonly milliseconds: Map<string, number>;
  readonly networks: Map<string, NetworkTimes>;
}

async function readTable(file: string): Promise<Known> {
  const text = await readFile(file, "utf8").catch(() => "");
  const known: Known = { milliseconds: new Map(), networks: new Map() };
  for (const one of text.split("\n")) {
    const read = one === "" ? undefined : readLine(one);
    if (read === undefined) continue;
    if ("layer" in read) {
      if (!known.milliseconds.has(read.layer)) known.milliseconds.set(read.layer, read.milliseconds);
    } else if (!known.networks.has(read.network)) {
      const { network, original, written } = read;
      known.networks.set(network, { original, written });
    }
  }
  return known;
}

function readLine(text: string): Line | undefined {
  try {
    return line.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Those of one layer together: they are compared with each other. */
function alike(layers: readonly TimedLayer[]): readonly (readonly TimedLayer[])[] {
  const groups = new Map<string, TimedLayer[]>();
  for (const layer of layers) {
    const { basis: _, chain: __, ...bare } = layer;
    const key = keyOf(bare);
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  return [...groups.values()];
}

interface Place {
  readonly runtime: RuntimeName;
  readonly threads?: number;
}

const passes = 3;

async function timeLayers(
  layers: readonly TimedLayer[],
  place: Place,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const samples: number[][] = layers.map(() => []);
  for (let pass = 0; pass < passes; pass++) {
    const order = [...layers.keys()];
    for (const index of pass % 2 === 0 ? order : order.reverse()) {
      if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while timing layers");
      samples[index]!.push(...(await timeOnce(layers[index]!, place)));
    }
  }
  // What disturbs a timing makes it longer: the lower quartile rather than the median.
  return samples.map(lowerQuartile);
}

/** A run that takes so many milliseconds needs no warming up beyond the first, and fewer repetitions. */
const slow = 25;
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

async function timeOnce(whole: TimedLayer, { runtime, threads }: Place): Promise<number[]> {
  const { layer, times } = pieceOf(whole);
  const graph = layerGraph(layer);
  const session = await openSession(graph, { runtime, ...(threads === undefined ? {} : { threads }) });
  try {
    const feeds = sampleFeeds(session.inputs, { shapes: new Map([["x", layer.input]]) });
    const run = () => session.run(feeds);
    const single = threads === 1 && runtime === "node";
    const first = await mean(run, 0, single);
    if (first < slow) await mean(run, single ? settle : settleThreads, false);
    const samples: number[] = [];
    for (let taken = 0; taken < (first < slow ? bursts : 2); taken++)
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
  const [start, used] = [performance.now(), process.cpuUsage()];
  let runs = 0;
  do {
    await run();
    runs++;
  } while (performance.now() - start < least);
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(used);
  return Math.max(1e-6, (single ? Math.min(wall, (user + system) / 1000) : wall) / runs);
}
