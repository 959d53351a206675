// Archives on disk: what went in comes out, and hostile ones end in typed errors, within bounded time and memory.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tar, tarEntry, zip } from "../../test/archives.js";
import type { UnpackOptions } from "../formats/zip.js";
import { readArchive } from "./archive.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-archives-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function unpacked(bytes: Uint8Array, options?: UnpackOptions): Promise<ReadonlyMap<string, string>> {
  const path = join(root, "archive");
  await writeFile(path, bytes);
  const found = new Map<string, string>();
  for await (const { name, bytes: content } of readArchive(path, options))
    found.set(name, Buffer.from(content).toString());
  return found;
}

const small = [
  ["a/one.txt", Buffer.from("one")],
  ["b.txt", Buffer.from("two".repeat(500))],
] as const;
const good = new Map<string, string>(small.map(([name, bytes]) => [name, bytes.toString()]));
const ending = Buffer.alloc(1024);

describe.each([
  ["tar", tar, 1024],
  ["tar, gzipped", (files: typeof small) => gzipSync(tar(files)), 0],
  ["ZIP", zip, 0],
] as const)("%s", (_, pack, ending) => {
  test("gives back what went in, and only what is wanted", async () => {
    expect(await unpacked(pack(small))).toEqual(good);
    expect([...(await unpacked(pack(small), { wanted: (name) => name === "b.txt" })).keys()]).toEqual(["b.txt"]);
  });

  test("refuses an entry larger than allowed", async () => {
    await expect(unpacked(pack(small), { most: 10 })).rejects.toMatchObject({ code: "too-large" });
  });

  test("cut off at any place is malformed, and names the file", async () => {
    const bytes = pack(small);
    for (let cut = 0; cut < bytes.length - ending; cut += 29)
      await expect(unpacked(bytes.subarray(0, cut))).rejects.toMatchObject({
        code: "malformed",
        place: { file: join(root, "archive") },
      });
  });

  test("an iteration that is left early leaves nothing open", async () => {
    await writeFile(join(root, "archive"), pack(small));
    for await (const { name } of readArchive(join(root, "archive"))) {
      expect(name).toBe("a/one.txt");
      break;
    }
  });

  test("with any byte changed gives entries or a typed error", async () => {
    const bytes = pack(small);
    for (let at = 0; at < bytes.length; at += 29) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 0x55;
      await unpacked(changed).catch(({ code }: { code?: string }) =>
        expect(["malformed", "unsupported", "too-large"]).toContain(code),
      );
    }
  });
});

describe("tar", () => {
  test("cut off between two entries is truncated, and so is an empty file", async () => {
    const [first, second] = small.map(([name, bytes]) => tarEntry(name, bytes)) as [Buffer, Buffer];
    for (const bytes of [first, Buffer.concat([first, second]), Buffer.alloc(0)])
      await expect(unpacked(bytes)).rejects.toMatchObject({
        code: "malformed",
        message: expect.stringContaining("truncated"),
      });
    expect(await unpacked(Buffer.concat([first, second, Buffer.alloc(512)]))).toEqual(good);
  });

  test("links, devices and folders are skipped", async () => {
    const none = new Uint8Array(0);
    const others = ["1", "2", "3", "4", "5", "6"].map((kind) => tarEntry(`kind${kind}`, none, { kind }));
    expect([
      ...(await unpacked(Buffer.concat([...others, tarEntry("file", Buffer.from("x")), ending]))).keys(),
    ]).toEqual(["file"]);
  });

  test("long names come from extended headers, of both kinds", async () => {
    const long = `${"folder/".repeat(30)}name`;
    const record = ` path=${long}\n`;
    const pax = Buffer.from(`${record.length + 3}${record}`);
    for (const header of [tarEntry("x", pax, { kind: "x" }), tarEntry("x", Buffer.from(`${long}\0`), { kind: "L" })]) {
      const bytes = Buffer.concat([header, tarEntry("short", Buffer.from("y")), ending]);
      expect([...(await unpacked(bytes)).keys()]).toEqual([long]);
    }
  });

  test("an extended header larger than can be is refused before it is read", async () => {
    for (const kind of ["x", "g", "L", "K"]) {
      const bytes = Buffer.concat([tarEntry("x", Buffer.alloc(1 << 20), { kind, size: 2 ** 32 }), ending]);
      await expect(unpacked(bytes)).rejects.toMatchObject({ code: "too-large" });
    }
  });

  test("sizes that are no sizes are malformed", async () => {
    const negative = tarEntry("x", Buffer.from("abc"));
    negative.fill(0xff, 124, 136); // base 256: -1
    const sum = negative.subarray(0, 512).reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    negative.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    await expect(unpacked(Buffer.concat([negative, ending]))).rejects.toMatchObject({ code: "malformed" });
    const pax = Buffer.from("17 size=nonsense\n");
    const extended = Buffer.concat([tarEntry("x", pax, { kind: "x" }), tarEntry("y", Buffer.from("z")), ending]);
    await expect(unpacked(extended)).rejects.toMatchObject({ code: "malformed" });
  });

  test("gzipped zeros end soon, whatever they unpack to", async () => {
    const zeros = Buffer.alloc(32 << 20);
    const bomb = gzipSync(Buffer.concat([tarEntry("big", zeros), ending, zeros]));
    await expect(unpacked(bomb, { most: 1 << 20 })).rejects.toMatchObject({ code: "too-large" });
    expect((await unpacked(bomb, { wanted: () => false })).size).toBe(0);
  });

  test("no archive, no file and a folder are told apart", async () => {
    await expect(unpacked(Buffer.from("x".repeat(2000)))).rejects.toMatchObject({ code: "malformed" });
    const read = async (path: string) => {
      for await (const _ of readArchive(path));
    };
    await expect(read(join(root, "nothing"))).rejects.toMatchObject({ code: "not-found" });
    await expect(read(root)).rejects.toMatchObject({ code: "io" });
  });
});
