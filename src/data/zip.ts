// Reading zip archives by their directory, one entry at a time (stored or deflated; up to 4 GB, as the data sets here are).
import { type FileHandle, open } from "node:fs/promises";
import { crc32, inflateRawSync } from "node:zlib";
import { FilterBasisError } from "../errors/error.js";
import type { TarEntry } from "./tar.js";

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

/**
 * The files of a zip archive in the order of its directory; `wanted` says which are unpacked, `most` bounds the size of one. Checked by their CRC.
 * @throws FilterBasisError `malformed` (no zip, truncated, damaged), `unsupported` (encrypted, zip64, other compression), `too-large`
 */
export async function* readZip(
  path: string,
  { wanted = () => true, most = 256 << 20 }: { readonly wanted?: (name: string) => boolean; readonly most?: number } = {},
): AsyncGenerator<TarEntry> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new FilterBasisError("not-found", "no such archive", { file: path, cause: error });
  });
  try {
    const { size } = await file.stat();
    for (const entry of await readDirectory(file, path, size)) {
      if (entry.name.endsWith("/") || !wanted(entry.name)) continue;
      if (entry.size > most || entry.packed > most) {
        throw new FilterBasisError("too-large", `entry ${entry.name} is too large`, {
          file: path,
          expected: `at most ${most} bytes`,
          got: `${entry.size}`,
        });
      }
      yield { name: entry.name, bytes: await unpack(file, path, entry) };
    }
  } finally {
    await file.close();
  }
}

async function readDirectory(file: FileHandle, path: string, size: number): Promise<Entry[]> {
  const broken = (got: string) =>
    new FilterBasisError("malformed", "this is not a zip archive, or it is truncated", { file: path, got });
  // The end record is 22 bytes and a comment of up to 65535.
  const tail = await take(file, path, Math.max(0, size - 65557), Math.min(size, 65557));
  let at = tail.length - 22;
  const ends = new DataView(tail.buffer, tail.byteOffset, tail.length);
  while (at >= 0 && ends.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw broken("no end of a directory");
  const [count, length, start] = [ends.getUint16(at + 10, true), ends.getUint32(at + 12, true), ends.getUint32(at + 16, true)];
  if (count === 0xffff || start === 0xffffffff)
    throw new FilterBasisError("unsupported", "zip64 archives are not read", { file: path });
  if (start + length > size) throw broken("a directory beyond the end");
  const bytes = await take(file, path, start, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: Entry[] = [];
  for (let i = 0, from = 0; i < count; i++) {
    if (from + 46 > length || view.getUint32(from, true) !== 0x02014b50) throw broken(`entry ${i}`);
    const u16 = (offset: number) => view.getUint16(from + offset, true);
    const u32 = (offset: number) => view.getUint32(from + offset, true);
    const nameLength = u16(28);
    if ((u16(8) & 1) !== 0) throw new FilterBasisError("unsupported", "encrypted archives are not read", { file: path });
    const name = new TextDecoder().decode(bytes.subarray(from + 46, from + 46 + nameLength));
    entries.push({ name, method: u16(10), crc: u32(16), packed: u32(20), size: u32(24), offset: u32(42) });
    from += 46 + nameLength + u16(30) + u16(32);
  }
  return entries;
}

async function unpack(file: FileHandle, path: string, { name, method, crc, packed, size, offset }: Entry): Promise<Uint8Array> {
  const damaged = (got: string, cause?: unknown) =>
    new FilterBasisError("malformed", `entry ${name} is damaged`, { file: path, got, cause });
  const header = await take(file, path, offset, 30);
  const view = new DataView(header.buffer, header.byteOffset, 30);
  if (view.getUint32(0, true) !== 0x04034b50) throw damaged("no header");
  const bytes = await take(file, path, offset + 30 + view.getUint16(26, true) + view.getUint16(28, true), packed);
  if (method !== 0 && method !== 8)
    throw new FilterBasisError("unsupported", `entry ${name} is compressed by another method`, { file: path, got: `${method}` });
  let out = bytes;
  try {
    if (method === 8) out = inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) });
  } catch (error) {
    throw damaged(String(error), error);
  }
  if (out.length !== size || crc32(out) !== crc) throw damaged(`${out.length} bytes or another CRC`);
  return out;
}

async function take(file: FileHandle, path: string, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new FilterBasisError("malformed", "the archive is truncated", { file: path });
    done += bytesRead;
  }
  return bytes;
}
