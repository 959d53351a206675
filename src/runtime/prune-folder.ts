// Keeps a folder of the cache from growing without bound: what was used longest ago goes first.
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";

/** What the calibrations of networks may take on the disk, in GB, where FILTERBASIS_CACHE_GB does not say otherwise. */
const usualGigabytes = 4;

/** @throws FilterBasisError `usage` for a setting that is no number */
export function cacheLimit(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const stated = environment.FILTERBASIS_CACHE_GB;
  const gigabytes = stated === undefined || stated === "" ? usualGigabytes : Number(stated);
  if (gigabytes >= 0) return gigabytes * 1e9;
  throw new FilterBasisError("usage", "FILTERBASIS_CACHE_GB is not a number of gigabytes", {
    field: "FILTERBASIS_CACHE_GB",
    expected: "0 or more",
    got: stated ?? "",
  });
}

/**
 * Removes the entries of a folder (files, or folders of files) that were used longest ago, until the others take at
 * most so many bytes. The newest always stays. What cannot be read or removed stays too.
 * @returns names of what was removed
 */
export async function pruneFolder(folder: string, most: number): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const entries = (await Promise.all(names.map((name) => entryOf(folder, name)))).filter((one) => one !== undefined);
  entries.sort((a, b) => b.used - a.used);
  const removed: string[] = [];
  let bytes = 0;
  for (const [place, entry] of entries.entries()) {
    bytes += entry.bytes;
    if (place === 0 || bytes <= most) continue;
    const gone = await rm(join(folder, entry.name), { recursive: true, force: true }).then(
      () => true,
      () => false,
    );
    if (!gone) continue;
    bytes -= entry.bytes;
    removed.push(entry.name);
  }
  return removed;
}

interface Entry {
  readonly name: string;
  readonly bytes: number;
  /** When it was written or used last, in milliseconds. */
  readonly used: number;
}

async function entryOf(folder: string, name: string): Promise<Entry | undefined> {
  const path = join(folder, name);
  const own = await stat(path).catch(() => undefined);
  if (own === undefined) return undefined;
  if (!own.isDirectory()) return { name, bytes: own.size, used: own.mtimeMs };
  const files = await readdir(path).catch(() => []);
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(path, file)).then(
        (found) => found.size,
        () => 0,
      ),
    ),
  );
  return { name, bytes: sizes.reduce((sum, size) => sum + size, 0), used: own.mtimeMs };
}
