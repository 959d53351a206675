// Measured milliseconds of layers, kept in the cache by machine, runtime, version and threads: every layer is timed
// once (time-layers.ts).
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, loadavg } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { cacheFolder } from "./cache-folder.js";
import { type Entry, type KnownTimes, type LatencyTable, nothingKnown, tableOf, take } from "./known-times.js";
import { defaultRuntime, type RuntimeName, runtimeVersion } from "./session.js";

export interface TableOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  /** The folder of the tables; by default in the cache folder. */
  readonly folder?: string;
  /** How many processes want a processor. Default: the machine's average over a minute. */
  readonly load?: () => number;
}

/** Raised when what is timed, or how, changes: older lines are then not read. */
const version = 5;
const positive = z.number().positive();
const again = z.literal(true).optional();
const load = z.number().optional();
const line = z.union([
  z.object({ version: z.literal(version), layer: z.string(), milliseconds: positive, again, load }),
  z.object({ version: z.literal(version), network: z.string(), original: positive, written: positive, again, load }),
]);

/**
 * Times that others disturbed are measured again once the machine is idle. The two loads, for each thread of the
 * processor, lie apart, so that a machine between them keeps what it measured.
 */
const disturbed = 3;
const idle = 1;

/**
 * Opens the table of this machine. It is a file of lines, which grows at its end: processes that measure at the same
 * time lose nothing of each other's, and of two times for one thing the first counts, for all of them, or the lesser
 * where one was made to confirm the other. Lines that cannot be read (damaged, of another version) do not count, nor,
 * on an idle machine, those that were measured while it was busy with much else.
 */
export async function openLatencyTable({
  threads,
  folder,
  load = () => loadavg()[0] ?? 0,
  ...options
}: TableOptions = {}): Promise<LatencyTable> {
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
  const most = load() < idle * availableParallelism() ? disturbed * availableParallelism() : Number.POSITIVE_INFINITY;
  const known = await readTable(file, most);
  /** Writes lines behind the others, then reads all: what another process had written before counts. */
  const keep = async (entries: readonly Entry[]): Promise<void> => {
    if (entries.length === 0) return;
    await mkdir(where, { recursive: true });
    const marks = { version, load: Number(load().toFixed(1)) };
    await appendFile(file, `\n${entries.map((one) => JSON.stringify({ ...marks, ...one })).join("\n")}\n`);
    const all = await readTable(file, most);
    for (const one of entries) take(one, all);
    for (const [key, value] of all.milliseconds) known.milliseconds.set(key, value);
    for (const [key, value] of all.networks) known.networks.set(key, value);
    for (const key of all.confirmed) known.confirmed.add(key);
  };
  return tableOf(known, { runtime, ...(threads === undefined ? {} : { threads }) }, keep);
}

/** Lines of a higher load than `most` do not count. */
async function readTable(file: string, most: number): Promise<KnownTimes> {
  const text = await readFile(file, "utf8").catch(() => "");
  const known = nothingKnown();
  for (const one of text.split("\n")) {
    const read = one === "" ? undefined : readLine(one);
    if (read !== undefined && (read.load ?? 0) <= most) take(read, known);
  }
  return known;
}

function readLine(text: string): (Entry & { readonly load?: number | undefined }) | undefined {
  try {
    return line.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
