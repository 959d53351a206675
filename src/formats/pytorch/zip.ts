// Finds the entries of a ZIP archive whose contents are stored as they are, which is how PyTorch writes its files.
import { FilterBasisError } from "../../errors/error.js";

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const end64Locator = 0x07064b50;
const end64Signature = 0x06064b50;

/** True when the bytes begin as a ZIP archive does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/** The entries by name, as views on `bytes`. Throws `malformed`, or `unsupported` for compressed or encrypted entries. */
export function readZip(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u16 = (at: number) => (inside(at, 2) ? view.getUint16(at, true) : 0);
  const u32 = (at: number) => (inside(at, 4) ? view.getUint32(at, true) : 0);
  const u64 = (at: number) => (inside(at, 8) ? Number(view.getBigUint64(at, true)) : 0);
  const inside = (at: number, count: number): boolean => {
    if (at < 0 || count < 0 || at + count > bytes.length) fail(`points to byte ${at + count} of ${bytes.length}`);
    return true;
  };
  const end = findEnd(bytes, view);
  let count = u16(end + 10);
  let at = u32(end + 16);
  if (end >= 20 && u32(end - 20) === end64Locator) {
    const end64 = u64(end - 12);
    if (u32(end64) !== end64Signature) fail("has no 64-bit directory where it says");
    count = u64(end64 + 32);
    at = u64(end64 + 48);
  }
  const entries = new Map<string, Uint8Array>();
  for (let i = 0; i < count; i++) {
    if (u32(at) !== entrySignature) fail(`lacks entry ${i} of ${count}`);
    const [flags, method] = [u16(at + 8), u16(at + 10)];
    const [nameLength, extraLength, commentLength] = [u16(at + 28), u16(at + 30), u16(at + 32)];
    inside(at + 46, nameLength + extraLength + commentLength);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const extra = at + 46 + nameLength;
    const wide = wideFields(view, extra, extra + extraLength, [u32(at + 24), u32(at + 20), u32(at + 42)]);
    const [size, stored, local] = wide;
    if (method !== 0 || (flags & 1) !== 0 || size !== stored) {
      throw new FilterBasisError("unsupported", "an entry of the archive is compressed or encrypted", {
        field: name,
        expected: "stored entries, as torch.save writes them",
        got: `method ${method}, flags ${flags}`,
      });
    }
    if (u32(local) !== localSignature) fail(`has no data for ${JSON.stringify(name)} where it says`);
    const start = local + 30 + u16(local + 26) + u16(local + 28);
    inside(start, size);
    if (entries.has(name)) fail(`names ${JSON.stringify(name)} twice`);
    entries.set(name, bytes.subarray(start, start + size));
    at = extra + extraLength + commentLength;
  }
  return entries;
}

/** Size, stored size and offset, from the 64-bit extra field where the 32-bit ones say "look there". */
function wideFields(
  view: DataView,
  from: number,
  to: number,
  fields: readonly [number, number, number],
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

/** The end record stands in the last 64 KiB. */
function findEnd(bytes: Uint8Array, view: DataView): number {
  for (let at = bytes.length - 22; at >= 0 && at >= bytes.length - 22 - 0xffff; at--) {
    if (view.getUint32(at, true) === endSignature) return at;
  }
  return fail("has no directory (is it cut off?)");
}

function fail(what: string): never {
  throw new FilterBasisError("malformed", `the ZIP archive ${what}`);
}
