// Archives on disk as a stream of their files: ZIP through the one reader of formats/, everything else as tar.
import { type FileHandle, open } from "node:fs/promises";
import { crc32, inflateRawSync } from "node:zlib";
import { FilterBasisError, isError } from "../errors/error.js";
import {
  type ByteSource,
  isZip,
  readZip,
  type UnpackedEntry,
  type Unpacker,
  type UnpackOptions,
} from "../formats/zip.js";
import { readTar } from "./tar.js";

/**
 * The regular files of a ZIP or tar archive (plain or gzipped), in order, one at a time.
 * @throws FilterBasisError `not-found`, `io`, `malformed` (no archive, truncated, damaged), `too-large`, `unsupported`
 */
export async function* readArchive(path: string, options: UnpackOptions = {}): AsyncGenerator<UnpackedEntry> {
  const file = await open(path, "r").catch((error: unknown) => refused(path, error));
  try {
    const source = await fileSource(file, path);
    const head = await source.read(0, Math.min(4, source.size));
    if (isZip(head)) yield* inFile(path, readZip(source, options, zlibs));
    else yield* readTar(path, options);
  } finally {
    await file.close();
  }
}

/** Three times as fast as what a browser has. */
const zlibs: Unpacker = {
  crc32,
  inflate: (packed, size) => inflateRawSync(packed, { maxOutputLength: Math.max(1, size) }),
};

function refused(file: string, cause: unknown): never {
  const { code = "" } = cause as NodeJS.ErrnoException;
  throw new FilterBasisError(code === "ENOENT" ? "not-found" : "io", "the archive cannot be read", {
    file,
    got: code,
    cause,
  });
}

/** A file as a source of ranges. The handle stays the caller's. */
async function fileSource(file: FileHandle, path: string): Promise<ByteSource> {
  const { size } = await file.stat();
  return {
    size,
    async read(at, length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await file
          .read(bytes, done, Math.min(1 << 30, length - done), at + done)
          .catch((error: unknown) => refused(path, error));
        if (bytesRead === 0) throw new FilterBasisError("malformed", "the archive is truncated", { file: path });
        done += bytesRead;
      }
      return bytes;
    },
  };
}

/** Errors name the file. */
async function* inFile<T>(file: string, entries: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* entries;
  } catch (error) {
    throw isError(error) ? error.at({ file }) : error;
  }
}
