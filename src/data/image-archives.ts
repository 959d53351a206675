// Sets of images that are fetched as archives: unpacked, checked, and offered as data sets.
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { checkOutputFolder } from "../runtime/output.js";
import { writeAside } from "../runtime/write.js";
import { readArchive } from "./archive.js";
import { fileSize, makeFolder } from "./cache.js";
import { type Dataset, type GetOptions, type Kept, refuseOptions } from "./dataset.js";
import { type Checksum, digestOf, download } from "./download.js";
import { pairData } from "./pair-data.js";

export interface Archive {
  readonly url: string;
  readonly size?: number;
  readonly checksum?: Checksum;
  /** For archives that belong to one scale only. */
  readonly scale?: number;
}

export interface ImageArchives {
  readonly name: string;
  readonly archives: readonly Archive[];
  /** Folders at the front of every entry that are left out; entries elsewhere do not belong to the set. */
  readonly prefix: string;
}

/** What was unpacked: SHA-256 by path inside the folder; written when an archive is done. */
type Manifest = Readonly<Record<string, Readonly<Record<string, string>>>>;
const manifestName = "filterbasis-manifest.json";

const setFolder = (name: string): string => join(cacheFolder(), name);

/**
 * Fetches, checks and unpacks what is not there yet, and returns the folder. Archives are removed once unpacked, but
 * those that several sets share stay in the cache.
 * @throws FilterBasisError `io`, `checksum`, `malformed`, `interrupted`; run again, it goes on where it was
 */
export async function getImageArchives(set: ImageArchives, options: GetOptions = {}): Promise<string> {
  const { mirror, scale, note = () => undefined, progress, signal } = options;
  const folder = resolve(options.folder ?? setFolder(set.name));
  const archives = options.folder === undefined ? join(cacheFolder(), "archives") : join(folder, "archives");
  let manifest = await readManifest(folder);
  const missing = set.archives.filter(({ url, scale: own }) => {
    return manifest[basename(url)] === undefined && (scale === undefined || own === undefined || own === scale);
  });
  // Unpacked, images take what their archive takes; one archive at a time lies beside them.
  const sizes = missing.map(({ size = 0 }) => size);
  await checkOutputFolder(folder, { bytes: sizes.reduce((sum, size) => sum + size, 0) + Math.max(0, ...sizes) });
  for (const { url, size, checksum } of missing) {
    const name = basename(url);
    const archive = join(await makeFolder(archives), name);
    note(`fetching ${name}`);
    await download(mirror === undefined ? url : `${mirror.replace(/\/$/, "")}/${name}`, archive, {
      ...(size !== undefined && { size }),
      ...(checksum && { checksum }),
      ...(progress && { progress: (done, total) => progress(name, done, total) }),
      ...(signal && { signal }),
    });
    note(`unpacking ${name}`);
    const files = await unpackAll(archive, folder, set.prefix, signal);
    manifest = { ...manifest, [name]: files };
    await writeAside(join(folder, manifestName), JSON.stringify(manifest, null, 1));
    if (set.prefix === "") await rm(archive, { force: true });
  }
  return folder;
}

/**
 * Checks every unpacked file by its SHA-256 sum of the time of unpacking.
 * @throws FilterBasisError `not-found` (never fetched, a file missing), `checksum`
 */
export async function checkImageArchives(
  set: ImageArchives,
  { folder = setFolder(set.name) }: { readonly folder?: string } = {},
): Promise<Required<Kept>> {
  const manifest = await readManifest(folder);
  const all = Object.values(manifest).flatMap((files) => Object.entries(files));
  const cures = [`delete the folder and run \`filterbasis data get ${set.name}\``];
  if (all.length === 0)
    throw new FilterBasisError("not-found", `${set.name} has not been fetched`, {
      file: folder,
      cures: [`run \`filterbasis data get ${set.name}\``],
    });
  for (const [name, digest] of all) {
    const path = join(folder, name);
    if ((await fileSize(path)) === undefined)
      throw new FilterBasisError("not-found", "a file is missing", { file: path, cures });
    const got = await digestOf(path, "sha256");
    if (got !== digest)
      throw new FilterBasisError("checksum", "the file has changed", { file: path, expected: digest, got, cures });
  }
  return { folder, files: all.length };
}

async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, manifestName), "utf8").catch(() => "{}");
  try {
    return JSON.parse(text) as Manifest;
  } catch (error) {
    throw new FilterBasisError("malformed", "the list of unpacked files is damaged", {
      file: join(folder, manifestName),
      cause: error,
      cures: ["delete the folder"],
    });
  }
}

async function unpackAll(
  archive: string,
  folder: string,
  prefix: string,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const wanted = (name: string) => name.startsWith(prefix) && /\.(png|jpe?g|webp)$/i.test(name);
  const files: Record<string, string> = {};
  for await (const { name, bytes } of readArchive(archive, { wanted })) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while unpacking", { file: archive });
    const inside = name.slice(prefix.length);
    const target = join(folder, inside);
    if (!target.startsWith(folder + sep) || inside.split(/[\\/]/).includes("..")) {
      throw new FilterBasisError("malformed", "the archive would write outside its folder", {
        file: archive,
        got: name,
      });
    }
    await makeFolder(dirname(target));
    await writeAside(target, bytes);
    files[inside] = createHash("sha256").update(bytes).digest("hex");
  }
  if (Object.keys(files).length === 0)
    throw new FilterBasisError("malformed", "the archive holds none of the set's images", {
      file: archive,
      expected: `${prefix}...`,
    });
  return files;
}

/** A data set that is fetched as archives. */
export interface FetchedDataset extends Dataset {
  readonly archives: readonly Archive[];
}

/** The data set that stands for an image set. */
export function imageArchives(summary: string, set: ImageArchives): FetchedDataset {
  const { name, archives } = set;
  return {
    name,
    summary,
    archives,
    get: async (options) => ({ folder: await getImageArchives(set, options) }),
    async check({ repair, ...options }) {
      refuseOptions(name, { repair: repair || undefined }, ["repair"]);
      return await checkImageArchives(set, options);
    },
    async open({ path = setFolder(name) }) {
      if ((await fileSize(join(path, manifestName))) !== undefined) return pairData(path);
      throw new FilterBasisError("not-found", `the data set ${name} is not in the cache`, {
        file: path,
        cures: [`run \`filterbasis data get ${name}\``, `or name a folder by a path such as ./${name}`],
      });
    },
  };
}
