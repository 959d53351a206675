// Pairs decoded once into one file, then read in pieces. Node has no memory mapping: positional reads out of the page
// cache do the same.
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { writeAside } from "../runtime/write.js";
import { fileSize, makeFolder } from "./cache.js";
import { toRgb } from "./image.js";
import { loadPair } from "./load-pair.js";
import type { PairFiles } from "./sr-pairs.js";

/** Where a stored image lies: [3, height, width] bytes from `offset` on. */
interface Stored {
  readonly offset: number;
  readonly height: number;
  readonly width: number;
}

interface StoredPair {
  readonly name: string;
  readonly hr: Stored;
  readonly lr: Stored;
}

/** An open cache. Owns a file descriptor: `close` it. */
export interface ImageCache {
  readonly path: string;
  readonly pairs: readonly StoredPair[];
  /**
   * `rows` rows of all three channels, [3, rows, width], into `out` (at least 3 rows width bytes).
   * @throws FilterBasisError `io`
   */
  readRows(image: Stored, y: number, rows: number, out: Uint8Array): void;
  close(): void;
}

export interface CacheOptions {
  /** The folder for cache files; by default `images` in the cache folder. */
  readonly folder?: string;
  readonly progress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

const magic = "fbpics 1";

/**
 * Opens the cache of these pairs at this scale, and makes it first if it is not there or if an image has changed (path,
 * size or time of change). Grey images are stored as RGB. The file takes 3 bytes a pixel of HR and LR.
 * @throws FilterBasisError what loading a pair throws; `io`, `interrupted`; nothing is left half-made
 */
export async function openImageCache(
  files: readonly PairFiles[],
  scale: number,
  options: CacheOptions = {},
): Promise<ImageCache> {
  const { folder = join(cacheFolder(), "images"), progress = () => undefined, signal } = options;
  const path = join(await makeFolder(folder), `${await keyOf(files, scale)}.bin`);
  if ((await fileSize(path)) === undefined) await writeAside(path, encodeAll(files, scale, progress, signal));
  return open(path);
}

async function* encodeAll(
  files: readonly PairFiles[],
  scale: number,
  progress: (done: number) => void,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pairs: StoredPair[] = [];
  let offset = 0;
  for (const [done, file] of files.entries()) {
    if (signal?.aborted) throw new FilterBasisError("interrupted", "stopped while decoding images");
    const { name, hr, lr } = await loadPair(file, scale);
    const place = ({ height, width }: { height: number; width: number }) => {
      const stored = { offset, height, width };
      offset += 3 * height * width;
      return stored;
    };
    pairs.push({ name, hr: place(hr), lr: place(lr) });
    yield toRgb(hr).data;
    yield toRgb(lr).data;
    progress(done + 1);
  }
  const text = new TextEncoder();
  const index = text.encode(JSON.stringify(pairs));
  yield index;
  yield text.encode(String(index.length).padStart(16) + magic);
}

function open(path: string): ImageCache {
  const file = openSync(path, "r");
  try {
    return {
      path,
      pairs: readIndex(file, path),
      readRows: (...args) => readRows(file, path, ...args),
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function readIndex(file: number, path: string): StoredPair[] {
  const { size } = fstatSync(file);
  const tail = new Uint8Array(16 + magic.length);
  const wrong = new FilterBasisError("malformed", "this is not a cache of images", {
    file: path,
    cures: ["delete the file: it is made again"],
  });
  if (size < tail.length) throw wrong;
  read(file, path, tail, tail.length, size - tail.length);
  const text = new TextDecoder().decode(tail);
  const length = Number(text.slice(0, 16));
  if (!text.endsWith(magic) || !Number.isInteger(length) || length < 2 || length > size - tail.length) throw wrong;
  const index = new Uint8Array(length);
  read(file, path, index, length, size - tail.length - length);
  return JSON.parse(new TextDecoder().decode(index)) as StoredPair[];
}

function readRows(
  file: number,
  path: string,
  { offset, height, width }: Stored,
  y: number,
  rows: number,
  out: Uint8Array,
): void {
  const span = rows * width;
  for (let c = 0; c < 3; c++)
    read(file, path, out.subarray(c * span, (c + 1) * span), span, offset + (c * height + y) * width);
}

function read(file: number, path: string, out: Uint8Array, length: number, position: number): void {
  for (let done = 0; done < length; ) {
    const count = readSync(file, out, done, length - done, position + done);
    if (count === 0)
      throw new FilterBasisError("io", "the cache of images ends too early", {
        file: path,
        cures: ["delete the file: it is made again"],
      });
    done += count;
  }
}

/** Names a cache by what it is made of. */
async function keyOf(files: readonly PairFiles[], scale: number): Promise<string> {
  const hash = createHash("sha256").update(`${magic} x${scale}`);
  for (const { name, hr, lr } of files) {
    for (const path of lr === undefined ? [hr] : [hr, lr]) {
      const { size, mtimeMs } = await stat(path).catch((error: unknown) => {
        throw new FilterBasisError("not-found", "the image no longer exists", { file: path, cause: error });
      });
      hash.update(JSON.stringify([name, resolve(path), size, mtimeMs]));
    }
  }
  return hash.digest("hex").slice(0, 24);
}
