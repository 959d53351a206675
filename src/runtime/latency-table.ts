// Measured milliseconds of layers, kept in the cache by machine, runtime, version and threads: every layer is timed
// once (time-layers.ts).
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { arch, cpus } from "node:os";
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
}

/** Raised when what is timed, or how, changes: older lines are then not read. */
const version = 4;
const positive = z.number().positive();
const again = z.literal(true).optional();
const line = z.union([
  z.object({ version: z.literal(version), layer: z.string(), milliseconds: positive, again }),
  z.object({ version: z.literal(version), network: z.string(), original: positive, written: positive, again }),
]);

/**
 * Opens the table of this machine. It is a file of lines, which grows at its end: processes that measure at the same
 * time lose nothing of each other's, and of two times for one thing the first counts, for all of them, or the lesser
 * where one was made to confirm the other. Lines that cannot be read (damaged, of another version) do not count.
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
  /** Writes lines behind the others, then reads all: what another process had written before counts. */
  const keep = async (entries: readonly Entry[]): Promise<void> => {
    if (entries.length === 0) return;
    await mkdir(where, { recursive: true });
    await appendFile(file, `\n${entries.map((one) => JSON.stringify({ version, ...one })).join("\n")}\n`);
    const all = await readTable(file);
    for (const [key, value] of all.milliseconds) known.milliseconds.set(key, value);
    for (const [key, value] of all.networks) known.networks.set(key, value);
    for (const key of all.confirmed) known.confirmed.add(key);
  };
  return tableOf(known, { runtime, ...(threads === undefined ? {} : { threads }) }, keep);
}

async function readTable(file: string): Promise<KnownTimes> {
  const text = await readFile(file, "utf8").catch(() => "");
  const known = nothingKnown();
  for (const one of text.split("\n")) {
    const read = one === "" ? undefined : readLine(one);
    if (read !== undefined) take(read, known);
  }
  return known;
}

function readLine(text: string): Entry | undefined {
  try {
    return line.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
