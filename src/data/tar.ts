// Reading tar archives (plain or gzipped) front to back, without ever writing an entry to disk.
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { FilterBasisError } from "../errors/error.js";

export interface TarEntry {
  /** The path inside the archive, as it stands there. Never use it as a path on disk. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const block = 512;

/**
 * The regular files of an archive, in order; `wanted` says which are kept (the others are passed over), `most` bounds the
 * size of one.
 * @throws FilterBasisError `malformed` (not an archive, truncated, damaged), `too-large`, `not-found`
 */
export async function* readTar(
  path: string,
  { wanted = () => true, most = 256 << 20 }: { readonly wanted?: (name: string) => boolean; readonly most?: number } = {},
): AsyncGenerator<TarEntry> {
  const reader = new Pieces(path);
  try {
    yield* readEntries(path, reader, wanted, most);
  } finally {
    await reader.close();
  }
}

async function* readEntries(
  path: string,
  reader: Pieces,
  wanted: (name: string) => boolean,
  most: number,
): AsyncGenerator<TarEntry> {
  let longName = "";
  for (;;) {
    const header = await reader.take(block);
    if (header.every((byte) => byte === 0)) return;
    const { name, size, kind } = readHeader(header, path);
    const padded = Math.ceil(size / block) * block;
    if (kind === "L" || kind === "x") {
      if (size > 1 << 20)
        throw new FilterBasisError("too-large", "an extended header of this size cannot be", {
          file: path,
          got: `${size} bytes`,
        });
      const extended = text((await reader.take(padded)).subarray(0, size));
      longName = kind === "L" ? extended.replace(/\0.*$/s, "") : (/\d+ path=([^\n]*)\n/.exec(extended)?.[1] ?? longName);
      continue;
    }
    const entry = longName || name;
    longName = "";
    if ((kind === "0" || kind === "\0") && wanted(entry)) {
      if (size > most) {
        throw new FilterBasisError("too-large", `entry ${entry} is too large`, {
          file: path,
          expected: `at most ${most} bytes`,
          got: `${size}`,
        });
      }
      yield { name: entry, bytes: (await reader.take(padded)).subarray(0, size) };
    } else {
      await reader.skip(padded);
    }
  }
}

function readHeader(header: Uint8Array, path: string): { name: string; size: number; kind: string } {
  const field = (from: number, length: number) => text(header.subarray(from, from + length)).replace(/\0.*$/s, "");
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  const size = Number.parseInt(field(124, 12).trim(), 8);
  if (Number.parseInt(field(148, 8).trim(), 8) !== sum || !Number.isSafeInteger(size) || size < 0) {
    throw new FilterBasisError("malformed", "this is not a tar archive, or it is damaged", { file: path });
  }
  const prefix = field(257, 5) === "ustar" ? field(345, 155) : "";
  return {
    name: prefix === "" ? field(0, 100) : `${prefix}/${field(0, 100)}`,
    size,
    kind: String.fromCharCode(header[156] ?? 0),
  };
}

/** Takes exact numbers of bytes off a stream. */
class Pieces {
  readonly #path: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(path: string) {
    this.#path = path;
    this.#chunks = unpacked(path)[Symbol.asyncIterator]();
  }

  async take(size: number): Promise<Uint8Array> {
    const out = new Uint8Array(size);
    await this.#eat(size, (bytes, at) => out.set(bytes, at));
    return out;
  }

  async skip(size: number): Promise<void> {
    await this.#eat(size, () => undefined);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #eat(size: number, use: (bytes: Uint8Array, at: number) => void): Promise<void> {
    for (let done = 0; done < size; ) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done) throw new FilterBasisError("malformed", "the archive is truncated", { file: this.#path });
        this.#rest = next.value;
      }
      const bytes = this.#rest.subarray(0, size - done);
      use(bytes, done);
      done += bytes.length;
      this.#rest = this.#rest.subarray(bytes.length);
    }
  }
}

async function* unpacked(path: string): AsyncGenerator<Uint8Array> {
  try {
    const gzip = await isGzip(path);
    const file = createReadStream(path, { highWaterMark: 1 << 20 });
    const stream = gzip ? pipeline(file, createGunzip({ chunkSize: 1 << 20 }), () => undefined) : file;
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new FilterBasisError("not-found", "no such archive", { file: path, cause: error });
    const what = code === "Z_BUF_ERROR" ? "the archive is truncated" : "the archive is damaged or cannot be read";
    throw new FilterBasisError(code.startsWith("Z_") ? "malformed" : "io", what, { file: path, got: code, cause: error });
  }
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
