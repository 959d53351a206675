// Tar archives on disk (plain or gzipped), front to back through tar-stream, without ever writing an entry to disk.
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { type Duplex, pipeline, Transform, type Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { FilterBasisError } from "../errors/error.js";
import type { UnpackedEntry, UnpackOptions } from "../formats/zip.js";

const block = 512;
/** Archives that unpack to more than this are given up: gzip packs up to a thousand to one. */
const mostInAll = 8 * 2 ** 30;

/**
 * The regular files of an archive, in order, one at a time. Links, devices and folders are skipped.
 * @throws FilterBasisError `malformed` (not an archive, truncated, damaged), `too-large`, `not-found`, `io`
 */
export async function* readTar(
  path: string,
  { wanted = () => true, most = 256 << 20 }: UnpackOptions = {},
): AsyncGenerator<UnpackedEntry> {
  const entries = extract();
  const counted = counter(path);
  const packed = (await isGzip(path)) ? [createGunzip({ chunkSize: 1 << 20 })] : [];
  let failure: unknown;
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const stages = [file, ...packed, counted, entries as unknown as Writable] as unknown as [
    NodeJS.ReadableStream,
    Duplex,
  ];
  pipeline(stages, (error) => {
    failure ??= error;
  });
  let end = 0;
  try {
    for await (const entry of entries) {
      const { name, size, type } = entry.header;
      end = (entry.header as { byteOffset?: number }).byteOffset! + Math.ceil(size / block) * block;
      if (type !== "file" || !wanted(name)) {
        entry.resume();
        continue;
      }
      if (size > most) throw tooLarge(path, `entry ${name}`, most, size);
      yield { name, bytes: await collect(entry) };
    }
  } catch (error) {
    throw explained(failure ?? error, path);
  } finally {
    entries.destroy();
    file.destroy();
  }
  // tar-stream takes an archive that ends between two entries for whole; the standard ends it by blocks of zeros.
  if (counted.bytes < end + block) throw new FilterBasisError("malformed", "the archive is truncated", { file: path });
}

async function collect(stream: AsyncIterable<unknown>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  if (chunks.length === 1) return chunks[0]!;
  return Buffer.concat(chunks);
}

/** Passes everything on, counts it, and fails where it is too much. */
function counter(path: string): Transform & { bytes: number } {
  const stream = Object.assign(
    new Transform({
      transform(chunk: Uint8Array, _, done) {
        stream.bytes += chunk.length;
        if (stream.bytes > mostInAll) done(tooLarge(path, "the archive", mostInAll, stream.bytes));
        else done(null, chunk);
      },
    }),
    { bytes: 0 },
  );
  return stream;
}

const tooLarge = (file: string, what: string, most: number, got: number): FilterBasisError =>
  new FilterBasisError("too-large", `${what} is too large once unpacked`, {
    file,
    expected: `at most ${most} bytes`,
    got: `${got}`,
  });

/** What went wrong, by the codes of zlib and the system and the messages of tar-stream. */
function explained(error: unknown, file: string): FilterBasisError {
  if (error instanceof FilterBasisError) return error;
  const { code = "", message = String(error) } = error as NodeJS.ErrnoException;
  const details = { file, got: code || message, cause: error };
  if (code === "ENOENT") return new FilterBasisError("not-found", "there is no such archive", details);
  if (code === "Z_BUF_ERROR" || message.startsWith("Unexpected end"))
    return new FilterBasisError("malformed", "the archive is truncated", details);
  if (message.includes("exceeds max size"))
    return new FilterBasisError("too-large", "a header of the archive is larger than can be", details);
  if (code.startsWith("Z_") || /header|tar/i.test(message))
    return new FilterBasisError("malformed", "this is not a tar archive, or it is damaged", details);
  return new FilterBasisError("io", "the archive cannot be read", details);
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw explained(error, path);
  });
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } catch (error) {
    throw explained(error, path);
  } finally {
    await file.close();
  }
}
