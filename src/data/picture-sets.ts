// The field's picture sets: where they officially are, how they are fetched, unpacked and checked.
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { checkOutputFolder } from "../runtime/output.js";
import { writeAside } from "../runtime/write.js";
import { fileSize, makeFolder } from "./cache.js";
import { type Checksum, digestOf, download } from "./download.js";
import { readTar } from "./tar.js";
import { readZip } from "./zip.js";

export interface Archive {
  readonly url: string;
  readonly size?: number;
  readonly checksum?: Checksum;
  /** For archives that belong to one scale only. */
  readonly scale?: number;
}

export interface PictureSet {
  readonly name: string;
  readonly archives: readonly Archive[];
  /** Folders at the front of every entry that are left out; entries elsewhere do not belong to the set. */
  readonly prefix: string;
}

const sha256 = (digest: string): Checksum => ({ algorithm: "sha256", digest });

const div2kAddress = "https://data.vision.ee.ethz.ch/cvl/DIV2K";
const div2k: readonly [file: string, size: number, digest: string, scale?: number][] = [
  ["DIV2K_train_HR", 3530603713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"],
  ["DIV2K_train_LR_bicubic_X2", 925390592, "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850", 2],
  ["DIV2K_train_LR_bicubic_X3", 427847282, "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a", 3],
  ["DIV2K_train_LR_bicubic_X4", 246914039, "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a", 4],
  ["DIV2K_valid_HR", 448993893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"],
  ["DIV2K_valid_LR_bicubic_X2", 117763600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57", 2],
  ["DIV2K_valid_LR_bicubic_X3", 54513392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3", 3],
  ["DIV2K_valid_LR_bicubic_X4", 31505881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553", 4],
];

/** The benchmark archive of EDSR's authors: four sets, HR and MATLAB's bicubic LR. */
const benchmark = (name: string, folder: string): PictureSet => ({
  name,
  prefix: `benchmark/${folder}/`,
  archives: [
    {
      url: "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
      checksum: { algorithm: "md5", digest: "4ace41d33c2384b97e6b320cd0afd6ba" },
    },
  ],
});

export const pictureSets: Readonly<Record<string, PictureSet>> = {
  div2k: {
    name: "div2k",
    prefix: "",
    archives: div2k.map(([file, size, digest, scale]) => ({
      url: `${div2kAddress}/${file}.zip`,
      size,
      checksum: sha256(digest),
      ...(scale && { scale }),
    })),
  },
  set5: benchmark("set5", "Set5"),
  set14: benchmark("set14", "Set14"),
  b100: benchmark("b100", "B100"),
  urban100: benchmark("urban100", "Urban100"),
};

export interface GetOptions {
  /** Where the set goes; by default a folder of its name in the cache folder. */
  readonly folder?: string;
  /** Another server that has the same archives, in one folder. */
  readonly mirror?: string;
  /** Only the archives of this scale (and those of none). */
  readonly scale?: number;
  readonly note?: (text: string) => void;
  readonly progress?: (label: string, done: number, total: number | undefined) => void;
  readonly signal?: AbortSignal;
}

/** What was unpacked: SHA-256 by path inside the folder; written when an archive is done. */
type Manifest = Readonly<Record<string, Readonly<Record<string, string>>>>;
const manifestName = "filterbasis-manifest.json";

export const setFolder = (name: string): string => join(cacheFolder(), name);

/**
 * Fetches, checks and unpacks what is not there yet, and returns the folder. Archives are removed once unpacked, but those that several sets share stay in the cache.
 * @throws FilterBasisError `io`, `checksum`, `malformed`, `interrupted`; run again, it goes on where it was
 */
export async function getPictureSet(set: PictureSet, options: GetOptions = {}): Promise<string> {
  const { mirror, scale, note = () => undefined, progress, signal } = options;
  const folder = resolve(options.folder ?? setFolder(set.name));
  const archives = options.folder === undefined ? join(cacheFolder(), "archives") : join(folder, "archives");
  let manifest = await readManifest(folder);
  const missing = set.archives.filter(({ url, scale: own }) => {
    return manifest[basename(url)] === undefined && (scale === undefined || own === undefined || own === scale);
  });
  // Unpacked, pictures take what their archive takes; one archive at a time lies beside them.
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
export async function checkPictureSet(
  set: PictureSet,
  { folder = setFolder(set.name) }: GetOptions = {},
): Promise<{ readonly folder: string; readonly files: number }> {
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
    if ((await fileSize(path)) === undefined) throw new FilterBasisError("not-found", "a file is missing", { file: path, cures });
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

async function unpackAll(archive: string, folder: string, prefix: string, signal?: AbortSignal): Promise<Record<string, string>> {
  const wanted = (name: string) => name.startsWith(prefix) && /\.(png|jpe?g|webp)$/i.test(name);
  const files: Record<string, string> = {};
  for await (const { name, bytes } of archive.endsWith(".zip") ? readZip(archive, { wanted }) : readTar(archive, { wanted })) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while unpacking", { file: archive });
    const inside = name.slice(prefix.length);
    const target = join(folder, inside);
    if (!target.startsWith(folder + sep) || inside.split(/[\\/]/).includes("..")) {
      throw new FilterBasisError("malformed", "the archive would write outside its folder", { file: archive, got: name });
    }
    await makeFolder(dirname(target));
    await writeAside(target, bytes);
    files[inside] = createHash("sha256").update(bytes).digest("hex");
  }
  if (Object.keys(files).length === 0)
    throw new FilterBasisError("malformed", "the archive holds none of the set's pictures", {
      file: archive,
      expected: `${prefix}...`,
    });
  return files;
}

/** A folder of pictures by path, or by the name of a set that has been fetched. A folder of that name wins. @throws FilterBasisError `not-found` */
export async function pictureFolder(nameOrPath: string): Promise<string> {
  const set = Object.hasOwn(pictureSets, nameOrPath) ? pictureSets[nameOrPath] : undefined;
  if (set === undefined) return nameOrPath;
  const folder = setFolder(set.name);
  if ((await fileSize(join(folder, manifestName))) !== undefined) return folder;
  throw new FilterBasisError("not-found", `the picture set ${nameOrPath} is not in the cache`, {
    file: folder,
    cures: [`run \`filterbasis data get ${nameOrPath}\``, "or name a folder by a path such as ./set5"],
  });
}
