// The one reader of ZIP archives: exact, bounded in what it unpacks, typed errors for everything else.
import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { zip } from "../../test/archives.js";
import { FilterBasisError } from "../errors/error.js";
import { crc32 } from "./crc32.js";
import { readStoredZip, readZip, type UnpackOptions } from "./zip.js";

const small = [
  ["a/one.txt", Buffer.from("one")],
  ["b.txt", Buffer.from("two".repeat(50_000))],
  ["c/", Buffer.alloc(0)],
] as const;

async function unpacked(bytes: Uint8Array, options?: UnpackOptions): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, bytes: content } of readZip(bytes, options))
    found.set(name, Buffer.from(content).toString("latin1"));
  return found;
}

/** The directory entry and the local header of the first file, where their fields are changed. */
const directoryOf = (bytes: Buffer): number => bytes.indexOf("PK\x01\x02", 0, "latin1");

describe("readZip", () => {
  it("unpacks stored and deflated files, leaves folders out, and only what is wanted", async () => {
    expect(await unpacked(zip(small))).toEqual(
      new Map(small.slice(0, 2).map(([name, bytes]) => [name, bytes.toString()])),
    );
    expect([...(await unpacked(zip(small), { wanted: (name) => name === "b.txt" })).keys()]).toEqual(["b.txt"]);
    expect((await unpacked(zip([]))).size).toBe(0);
  });

  it("reads an archive with a comment, one behind other bytes is malformed", async () => {
    const comment = Buffer.from("PK\x05\x06 is how an end begins");
    const commented = Buffer.concat([zip(small), comment]);
    commented.writeUInt16LE(comment.length, zip(small).length - 2);
    expect((await unpacked(commented)).size).toBe(2);
    await expect(unpacked(Buffer.concat([Buffer.alloc(100), zip(small)]))).rejects.toMatchObject({ code: "malformed" });
  });

  it("refuses an entry larger than allowed before it unpacks it", async () => {
    await expect(unpacked(zip(small), { most: 10 })).rejects.toMatchObject({
      code: "too-large",
      place: { field: "b.txt" },
    });
  });

  it("gives up an entry that unpacks to more than it claims", async () => {
    const bomb = deflateRawSync(Buffer.alloc(64 << 20));
    const bytes = zip([["bomb", Buffer.from("x")]]);
    const [entry, header] = [directoryOf(bytes), 30 + "bomb".length];
    const packed = entry - header;
    const grown = Buffer.concat([bytes.subarray(0, header), bomb, bytes.subarray(entry)]);
    const at = directoryOf(grown);
    grown.writeUInt32LE(bomb.length, at + 20);
    grown.writeUInt32LE(1000, at + 24);
    grown.writeUInt32LE(grown.readUInt32LE(grown.length - 6) + bomb.length - packed, grown.length - 6);
    await expect(unpacked(grown)).rejects.toMatchObject({
      code: "malformed",
      got: expect.stringContaining("more than the 1000 bytes"),
    });
    grown.writeUInt32LE(0xfffffff0, at + 24); // and one that claims more than deflate can pack
    await expect(unpacked(grown, { most: 2 ** 40 })).rejects.toThrow(/claims 4294967280 bytes out of/);
  });

  it("refuses entries that overlap, by which small archives unpack to anything", async () => {
    const bytes = zip([
      ["a", Buffer.from("aaaa")],
      ["b", Buffer.from("bbbb")],
    ]);
    const second = bytes.indexOf("PK\x01\x02", directoryOf(bytes) + 4, "latin1");
    bytes.writeUInt32LE(0, second + 42);
    await expect(unpacked(bytes)).rejects.toThrow(/has no room for/);
  });

  it("refuses a name twice, encryption, and other compressions by name", async () => {
    await expect(unpacked(zip([small[0], small[0]]))).rejects.toThrow(/twice/);
    for (const [offset, value, got] of [
      [8, 1, "encrypted"],
      [10, 12, "method 12"],
    ] as const) {
      const bytes = zip(small);
      bytes.writeUInt16LE(value, directoryOf(bytes) + offset);
      await expect(unpacked(bytes)).rejects.toMatchObject({ code: "unsupported", got: expect.stringContaining(got) });
    }
  });

  it("never gives wrong bytes: cut off at any place or with any byte changed", async () => {
    const files = small.map(([name, bytes]) => [name, bytes.subarray(0, 1500)] as const);
    const [bytes, good] = [zip(files), [...(await unpacked(zip(files))).values()]];
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 0x55;
      const found = await unpacked(changed).catch((error: unknown) => {
        expect(error).toBeInstanceOf(FilterBasisError);
        return undefined;
      });
      for (const text of found?.values() ?? []) expect(good).toContain(text);
      await expect(unpacked(bytes.subarray(0, at))).rejects.toMatchObject({ code: "malformed" });
    }
  });
});

describe("readStoredZip", () => {
  it("gives views on stored entries, and refuses deflated ones by name", () => {
    const stored = zip([small[2], small[0]]); // every second file is stored
    expect(() => readStoredZip(stored)).toThrow(
      expect.objectContaining({ code: "unsupported", place: { field: "c/" } }),
    );
    stored.writeUInt16LE(0, directoryOf(stored) + 10);
    stored.writeUInt32LE(0, directoryOf(stored) + 20);
    expect(readStoredZip(stored).get("a/one.txt")?.buffer).toBe(stored.buffer);
  });
});

describe("crc32", () => {
  it("is that of the standard's check value, at every length", () => {
    expect(crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  it("agrees with zlib's", async () => {
    const { crc32: zlibs } = await import("node:zlib");
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 151 + 7) & 255);
    for (let length = 0; length <= bytes.length; length++)
      expect(crc32(bytes.subarray(0, length))).toBe(zlibs(bytes.subarray(0, length)));
  });
});
