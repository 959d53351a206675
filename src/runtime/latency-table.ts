// Measured milliseconds of layers, kept in the cache by machine, runtime, version and threads: every layer is timed
// once (time-layers.ts).
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { arch, cpus } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import type { Clock, TimedLayer } from "../methods/latencies.js";
import { cacheFolder } from "./cache-folder.js";
import { defaultRuntime, type RuntimeName, runtimeVersion } from "./session.js";
import { type MeasureOptions, measureMissing, timedKey } from "./time-layers.js";

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
  const clock: Clock = (layer) => known.milliseconds.get(timedKey(layer));
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
    measure: (layers, options = {}) =>
      measureMissing(layers, clock, { runtime, ...(threads === undefined ? {} : { threads }) }, options, (timed) =>
        keep(timed.map(({ layer, milliseconds }) => ({ version, layer: timedKey(layer), milliseconds }))),
      ),
    async networks(key, time) {
      const found = known.networks.get(key);
      if (found !== undefined) return found;
      const { original, written } = await time();
      await keep([{ version, network: key, original, written }]);
      return known.networks.get(key)!;
    },
  };
}

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
