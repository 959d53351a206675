// The one reader of ZIP archives, of bytes in memory or of anything that gives ranges of bytes (a file). Pure.
import { FilterBasisError } from "../errors/error.js";
import { crc32 } from "./crc32.js";

/** An entry as the archive's directory describes it. */
interface ZipEntry {
  readonly name: string;
  /** 0: stored, 8: deflated. */
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packed: number;
  /** Bytes once unpacked. */
  readonly size: number;
  /** Where its local header stands. */
  readonly offset: number;
}

/** Random access to the bytes of an archive. `read` gives exactly `length` bytes or throws. */
export interface ByteSource {
  readonly size: number;
  read(at: number, length: number): Promise<Uint8Array>;
}

export interface UnpackedEntry {
  /** The path inside of the archive, as it stands there. Never use it as a path on disk unchecked. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface UnpackOptions {
  /** Which entries are unpacked; the others are not looked at. */
  readonly wanted?: (name: string) => boolean;
  /** The largest entry that is unpacked, in bytes. */
  readonly most?: number;
}

/** How entries are unpacked and checked: a runtime that can do so faster hands its own in. */
export interface Unpacker {
  /** Undoes deflate. @throws FilterBasisError where the bytes are damaged or make more than `size` */
  inflate(packed: Uint8Array, size: number): Uint8Array | Promise<Uint8Array>;
  crc32(bytes: Uint8Array): number;
}

/** Asks for ranges of bytes and ends with a result: the same steps run over memory and over a file. */
type Steps<T> = Generator<readonly [at: number, length: number], T, Uint8Array>;

const [endSignature, entrySignature, localSignature] = [0x06054b50, 0x02014b50, 0x04034b50];
const [locatorSignature, end64Signature] = [0x07064b50, 0x06064b50];
const [endSize, locatorSize, end64Size, entrySize, localSize] = [22, 20, 56, 46, 30];
/** Directories beyond this are refused: it stands for more than a million entries. */
const largestDirectory = 128 << 20;
/** Deflate cannot pack closer than 1032 to 1. */
const closest = 1032;

/** True when the bytes begin as a ZIP archive does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * The entries of an archive that stores them as they are (torch.save, numpy.savez), by name, as views on `bytes`.
 * @throws FilterBasisError `malformed`; `unsupported` for compressed or encrypted entries
 */
export function readStoredZip(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const entries = inMemory(bytes, directorySteps(bytes.length));
  return new Map(
    entries.map((entry) => {
      if (entry.method !== 0 || entry.encrypted) throw unreadable(entry, "entries that are stored as they are");
      return [entry.name, inMemory(bytes, entrySteps(entry, bytes.length))];
    }),
  );
}

/**
 * The files of an archive in the order of its directory, one at a time, checked by their CRC.
 * @throws FilterBasisError `malformed` (no archive, truncated, damaged, overlapping entries), `too-large`,
 * `unsupported` (encrypted, another
 * compression than deflate)
 */
export async function* readZip(
  archive: Uint8Array | ByteSource,
  { wanted = () => true, most = 256 << 20 }: UnpackOptions = {},
  unpacker: Unpacker = pure,
): AsyncGenerator<UnpackedEntry> {
  const source = archive instanceof Uint8Array ? memorySource(archive) : archive;
  for (const entry of await over(source, directorySteps(source.size))) {
    if (entry.name.endsWith("/") || !wanted(entry.name)) continue;
    if (entry.size > most) {
      throw new FilterBasisError("too-large", "an entry of the archive is too large", {
        field: entry.name,
        expected: `at most ${most} bytes`,
        got: `${entry.size}`,
      });
    }
    yield { name: entry.name, bytes: await unpack(source, entry, unpacker) };
  }
}

/** Bytes in memory as a source. */
function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (at, length) => range(bytes, at, length) };
}

/** The archive's directory. */
function* directorySteps(size: number): Steps<readonly ZipEntry[]> {
  const { count, start, length } = yield* endSteps(size);
  if (start + length > size) fail("has a directory beyond its end");
  if (length > largestDirectory)
    throw new FilterBasisError("too-large", "the directory of the archive is too large", {
      expected: `at most ${largestDirectory} bytes`,
      got: `${length}`,
    });
  if (count * entrySize > length) fail(`has no room for the ${count} entries of its directory`);
  const bytes = yield [start, length];
  const view = viewOf(bytes);
  const entries: ZipEntry[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    if (at + entrySize > length || view.getUint32(at, true) !== entrySignature) fail(`lacks entry ${i} of ${count}`);
    const [entry, next] = readEntry(bytes, view, at);
    entries.push(entry);
    at = next;
  }
  checkLayout(entries, start);
  return entries;
}

/** Where the directory is: from the end record, or from the 64-bit one that it may refer to. */
function* endSteps(size: number): Steps<{ count: number; start: number; length: number }> {
  // The end record may be followed by a comment of up to 65535 bytes, and be preceded by the locator of a 64-bit one.
  const from = Math.max(0, size - endSize - 0xffff - locatorSize);
  const tail = yield [from, size - from];
  const view = viewOf(tail);
  const at = findEnd(view);
  const locator = at - locatorSize;
  if (locator < 0 || view.getUint32(locator, true) !== locatorSignature)
    return {
      count: view.getUint16(at + 10, true),
      start: view.getUint32(at + 16, true),
      length: view.getUint32(at + 12, true),
    };
  const wide = viewOf(yield [Number(view.getBigUint64(locator + 8, true)), end64Size]);
  if (wide.getUint32(0, true) !== end64Signature) fail("has no 64-bit directory where it says");
  const u64 = (offset: number) => Number(wide.getBigUint64(offset, true));
  return { count: u64(32), start: u64(48), length: u64(40) };
}

/** The last end record whose comment fits. */
function findEnd(view: DataView): number {
  for (let at = view.byteLength - endSize; at >= 0; at--) {
    if (view.getUint32(at, true) !== endSignature) continue;
    if (at + endSize + view.getUint16(at + 20, true) <= view.byteLength) return at;
  }
  return fail("has no directory (is it cut off?)");
}

function readEntry(bytes: Uint8Array, view: DataView, at: number): [entry: ZipEntry, next: number] {
  const u16 = (offset: number) => view.getUint16(at + offset, true);
  const u32 = (offset: number) => view.getUint32(at + offset, true);
  const [nameEnd, extra, comment] = [at + entrySize + u16(28), u16(30), u16(32)];
  const next = nameEnd + extra + comment;
  if (next > bytes.length) fail("has an entry that goes beyond its directory");
  const name = new TextDecoder().decode(bytes.subarray(at + entrySize, nameEnd));
  const [size, packed, offset] = wideFields(view, nameEnd, nameEnd + extra, [u32(24), u32(20), u32(42)]);
  return [{ name, method: u16(10), encrypted: (u16(8) & 1) !== 0, crc: u32(16), packed, size, offset }, next];
}

/** Size, packed size and offset, from the 64-bit extra field where the 32-bit ones say "look there". */
function wideFields(
  view: DataView,
  from: number,
  to: number,
  fields: [number, number, number],
): [number, number, number] {
  const result: [number, number, number] = [...fields];
  for (let at = from; at + 4 <= to; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let next = at + 4;
    for (const i of [0, 1, 2] as const) {
      if (fields[i] !== 0xffffffff) continue;
      if (next + 8 > to) fail("has a 64-bit size that ends early");
      result[i] = Number(view.getBigUint64(next, true));
      next += 8;
    }
  }
  return result;
}

/** Names are unique, entries lie one after another before the directory, and none claims more than can be in it. */
function checkLayout(entries: readonly ZipEntry[], directory: number): void {
  const names = new Set<string>();
  for (const { name, method, packed, size } of entries) {
    if (names.has(name)) fail(`names ${JSON.stringify(name)} twice`);
    names.add(name);
    const possible = method === 0 ? size === packed : size <= closest * packed + closest;
    if (!possible) fail(`claims ${size} bytes out of ${packed} for ${JSON.stringify(name)}`);
  }
  const ordered = [...entries].sort((a, b) => b.offset - a.offset);
  let end = directory;
  for (const { name, offset, packed } of ordered) {
    if (offset + localSize + packed > end) fail(`has no room for ${JSON.stringify(name)} where it says`);
    end = offset;
  }
}

/** The bytes of an entry as they lie in the archive. */
function* entrySteps({ name, offset, packed }: ZipEntry, size: number): Steps<Uint8Array> {
  const header = viewOf(yield [offset, localSize]);
  if (header.getUint32(0, true) !== localSignature) fail(`has no data for ${JSON.stringify(name)} where it says`);
  const start = offset + localSize + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + packed > size) fail(`ends within ${JSON.stringify(name)}`);
  return yield [start, packed];
}

async function unpack(source: ByteSource, entry: ZipEntry, { inflate, crc32 }: Unpacker): Promise<Uint8Array> {
  const { name, method, encrypted, size, crc } = entry;
  if (encrypted || (method !== 0 && method !== 8)) throw unreadable(entry, "stored or deflated entries");
  const packed = await over(source, entrySteps(entry, source.size));
  try {
    const bytes = method === 0 ? packed : await inflate(packed, size);
    if (bytes.length !== size) throw new Error(`${bytes.length} bytes, not the ${size} that it claims`);
    if (crc32(bytes) !== crc) throw new Error("another CRC");
    return bytes;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new FilterBasisError("malformed", "an entry of the archive is damaged", { field: name, got, cause });
  }
}

/** Fed in pieces, so that an entry that unpacks to more than it claims is given up soon. */
const piece = 1 << 16;

/** What every browser has, and Node. */
const pure: Unpacker = {
  crc32,
  async inflate(packed, size) {
    const stream = new DecompressionStream("deflate-raw");
    const [writer, reader] = [stream.writable.getWriter(), stream.readable.getReader()];
    const feed = async (): Promise<void> => {
      for (let at = 0; at < packed.length; at += piece) await writer.write(packed.slice(at, at + piece));
      await writer.close();
    };
    const fed = feed();
    fed.catch(() => undefined); // what is wrong with the bytes is told by the reading side too
    const out = new Uint8Array(size);
    let done = 0;
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (done + next.value.length > size) throw new Error(`more than the ${size} bytes that it claims`);
        out.set(next.value, done);
        done += next.value.length;
      }
      await fed;
    } catch (error) {
      await reader.cancel().catch(() => undefined);
      throw error;
    }
    return out.subarray(0, done);
  },
};

function inMemory<T>(bytes: Uint8Array, steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) step = steps.next(range(bytes, ...step.value));
  return step.value;
}

async function over<T>(source: ByteSource, steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    const [at, length] = step.value;
    if (at + length > source.size) fail(`points to byte ${at + length} of ${source.size}`);
    step = steps.next(await source.read(at, length));
  }
  return step.value;
}

function range(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > bytes.length) fail(`points to byte ${at + length} of ${bytes.length}`);
  return bytes.subarray(at, at + length);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function unreadable({ name, method, encrypted }: ZipEntry, expected: string): FilterBasisError {
  return new FilterBasisError(
    "unsupported",
    "an entry of the archive is compressed or encrypted in a way that is not read",
    {
      field: name,
      expected,
      got: encrypted ? "an encrypted entry" : `method ${method}`,
    },
  );
}

function fail(what: string): never {
  throw new FilterBasisError("malformed", `the ZIP archive ${what}`);
}
