// CIFAR-10 from its archives and folders, and folders of classes; truncated and foreign data is refused by name.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tar } from "../../test/archives.js";
import { someImage, writePng } from "../../test/images.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { checkCifar10, getCifar10 } from "./cifar10.js";
import { cifar10FromPython } from "./cifar10-python.js";
import { loadImageData } from "./table.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-images-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const pixels = 3072;
/** `count` records of the binary version; record n has label (n + first) % 10 and pixels that name it. */
const records = (count: number, first: number) =>
  Uint8Array.from({ length: count * (pixels + 1) }, (_, i) => {
    const [n, at] = [Math.floor(i / (pixels + 1)), i % (pixels + 1)];
    return at === 0 ? (n + first) % 10 : (n * 31 + first * 7 + at * 3) % 256;
  });

/** What Python 2 wrote: protocol 2, byte strings, a numpy array put together by _reconstruct and its state. */
function pickled(batch: Uint8Array): Buffer {
  const count = batch.length / (pixels + 1);
  const labels = Array.from({ length: count }, (_, n) => batch[n * (pixels + 1)]!);
  const raw = Buffer.concat(labels.map((_, n) => batch.subarray(n * (pixels + 1) + 1, (n + 1) * (pixels + 1))));
  const text = (value: string) => Buffer.concat([Buffer.from([0x55, value.length]), Buffer.from(value)]);
  const int2 = (value: number) => Buffer.from([0x4d, value & 255, value >> 8]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(raw.length);
  return Buffer.concat([
    Buffer.from([0x80, 2, 0x7d, 0x71, 1, 0x28]), // PROTO 2, {, memo 1, MARK
    ...[text("batch_label"), Buffer.from([0x71, 2]), text("some batch")],
    ...[
      text("labels"),
      Buffer.from([0x5d, 0x71, 4, 0x28]),
      ...labels.map((label) => Buffer.from([0x4b, label])),
      Buffer.from([0x65]),
    ],
    text("data"),
    Buffer.from("cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08", "latin1"),
    ...[Buffer.from([0x4b, 0, 0x85]), text("b"), Buffer.from([0x87, 0x52, 0x71, 9])], // (0,), "b", 3-tuple, call
    ...[Buffer.from([0x28, 0x4b, 1]), int2(count), int2(pixels), Buffer.from([0x86])], // (1, (count, 3072)
    ...[Buffer.from("cnumpy\ndtype\n"), text("u1"), Buffer.from([0x4b, 0, 0x4b, 1, 0x87, 0x52])],
    ...[
      Buffer.from([0x28, 0x4b, 3]),
      text("|"),
      Buffer.from([0x4e, 0x4e, 0x4e, 0x4a, 255, 255, 255, 255, 0x4a, 255, 255, 255, 255, 0x4b, 0, 0x74, 0x62]),
    ],
    ...[Buffer.from([0x89, 0x54]), length, raw, Buffer.from([0x74, 0x62])], // False, bytes), BUILD
    Buffer.from([0x75, 0x2e]), // SETITEMS, STOP
  ]);
}

const names = ["data_batch_1", "data_batch_2", "test_batch"];
const batches = new Map(names.map((name, i) => [name, records(3, i)]));

describe("CIFAR-10's official versions", () => {
  const sources: readonly [string, () => Promise<string>][] = [
    [
      "binary archive",
      () => archive("cifar-10-binary.tar.gz", (name, bytes) => [`cifar-10-batches-bin/${name}.bin`, bytes]),
    ],
    [
      "Python archive",
      () => archive("cifar-10-python.tar.gz", (name, bytes) => [`cifar-10-batches-py/${name}`, pickled(bytes)]),
    ],
    ["binary folder", () => folder("cifar-10-batches-bin", (name, bytes) => [`${name}.bin`, bytes])],
    ["Python folder", () => folder("cifar-10-batches-py", (name, bytes) => [name, pickled(bytes)])],
  ];

  test.each(sources)("%s", async (_, make) => {
    const { train, test: tested } = await loadImageData(await make());
    expect([train?.count, tested?.count, train?.classes.length]).toEqual([6, 3, 10]);
    expect([...train!.labels]).toEqual([0, 1, 2, 1, 2, 3]);
    expect([...tested!.labels]).toEqual([2, 3, 4]);
    const second = batches.get("data_batch_2")!;
    expect(Buffer.compare(train!.images.subarray(3 * pixels, 4 * pixels), second.subarray(1, 1 + pixels))).toBe(0);
  });

  test("an archive cut off at any of many places is malformed, and so are one without batches and a cut batch", async () => {
    const path = await sources[0]![1]();
    const whole = gzipSync(tar([["cifar-10-batches-bin/test_batch.bin", records(2, 0)]]), { level: 0 });
    for (let cut = 1; cut < whole.length - 1100; cut += 911) {
      await writeFile(path, whole.subarray(0, cut));
      await expect(loadImageData(path)).rejects.toMatchObject({ code: "malformed", place: { file: path } });
    }
    await writeFile(path, gzipSync(tar([["readme.txt", Uint8Array.of(1)]])));
    await expect(loadImageData(path)).rejects.toMatchObject({
      code: "malformed",
      message: expect.stringContaining("no batches"),
    });
    await writeFile(path, tar([["test_batch.bin", records(2, 0).subarray(5)]]));
    await expect(loadImageData(path)).rejects.toMatchObject({
      code: "malformed",
      message: expect.stringContaining("cut off"),
    });
    await writeFile(path, tar([["test_batch.bin", records(2, 0).map((byte, i) => (i === 0 ? 77 : byte))]]));
    await expect(loadImageData(path)).rejects.toMatchObject({ code: "malformed", got: "77" });
  });

  async function archive(
    name: string,
    entry: (name: string, bytes: Uint8Array) => [string, Uint8Array],
  ): Promise<string> {
    const path = join(root, name);
    await writeFile(path, gzipSync(tar([...batches].map(([batch, bytes]) => entry(batch, bytes)))));
    return path;
  }

  async function folder(
    name: string,
    entry: (name: string, bytes: Uint8Array) => [string, Uint8Array],
  ): Promise<string> {
    await mkdir(join(root, name));
    for (const [batch, bytes] of batches) {
      const [file, content] = entry(batch, bytes);
      await writeFile(join(root, name, file), content);
    }
    return root;
  }
});

describe("cifar10FromPython", () => {
  const read = (bytes: Uint8Array) => cifar10FromPython(new Map([["test_batch", bytes]]));

  test("refuses what would run code by name", () => {
    const evil = new Uint8Array(Buffer.from("\x80\x02cos\nsystem\nU\x04true\x85R.", "latin1"));
    expect(() => read(evil)).toThrow(
      expect.objectContaining({ code: "unsupported", place: { file: "test_batch", field: "os.system" } }),
    );
  });

  test("text that is encoded a hundred thousand times takes no memory for it", () => {
    const long = Buffer.alloc(4);
    long.writeUInt32LE(1 << 20);
    const call = Buffer.from("c_codecs\nencode\nh\x00U\x06latin1\x86R0", "latin1");
    const bytes = [
      Buffer.from("\x80\x02X", "latin1"),
      long,
      Buffer.alloc(1 << 20, 97),
      Buffer.from("q\x000", "latin1"),
    ];
    for (let i = 0; i < 100_000; i++) bytes.push(call);
    expect(() => read(Buffer.concat([...bytes, Buffer.from("}.")]))).toThrow(
      expect.objectContaining({ code: "malformed" }),
    );
  });

  test("cut off or changed anywhere it is a typed error or another batch, never a crash", () => {
    const good = pickled(records(1, 3));
    expect(read(good).test?.count).toBe(1);
    for (let at = 0; at < 300; at += 2) {
      expect(() => read(good.subarray(0, at))).toThrow(expect.objectContaining({ code: "malformed" }));
      const changed = Buffer.from(good);
      changed[at] = changed[at]! ^ 0x2a;
      try {
        read(changed);
      } catch (error) {
        expect(["malformed", "unsupported"]).toContain((error as { code: string }).code);
      }
    }
  });
});

describe("a folder of classes", () => {
  test("with train and test", async () => {
    for (const part of ["train", "test"]) {
      for (const [i, name] of ["cat", "ant"].entries())
        await writePng(join(root, part, name, "1.png"), someImage(8, 6, { seed: i, channels: i === 0 ? 1 : 3 }));
    }
    const { train, test: tested } = await loadImageData(root);
    expect([train?.classes, train?.count, train?.height, train?.width]).toEqual([["ant", "cat"], 2, 6, 8]);
    expect([...tested!.labels]).toEqual([0, 1]);
    expect(Buffer.compare(tested!.images.subarray(0, 144), someImage(8, 6, { seed: 1 }).data)).toBe(0);
    await writePng(join(root, "train", "bee", "1.png"), someImage(8, 6));
    await expect(loadImageData(root)).rejects.toMatchObject({ code: "data-mismatch", expected: "ant, bee, cat" });
  });

  test("without them every image is a test image; another size, an empty class, no class are refused", async () => {
    await writePng(join(root, "a", "1.png"), someImage(8, 6));
    expect(Object.keys(await loadImageData(root))).toEqual(["test"]);
    await writePng(join(root, "a", "2.png"), someImage(6, 8));
    await expect(loadImageData(root)).rejects.toMatchObject({
      code: "data-mismatch",
      place: { file: join(root, "a", "2.png") },
    });
    await mkdir(join(root, "empty", "a"), { recursive: true });
    await expect(loadImageData(join(root, "empty"))).rejects.toMatchObject({ code: "not-found" });
    await expect(loadImageData(join(root, "empty", "a"))).rejects.toMatchObject({ code: "not-found" });
    await expect(loadImageData(join(root, "nothing"))).rejects.toMatchObject({ code: "not-found" });
  });
});

describe("the cache", () => {
  test("is where the environment says", () => {
    expect(cacheFolder({ FILTERBASIS_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/b" })).toBe("/b/filterbasis");
    expect(cacheFolder({})).toMatch(/\.cache.filterbasis$/);
  });

  test("without CIFAR-10 and without network says what to do", async () => {
    await expect(getCifar10({ folder: root, fetch: false })).rejects.toMatchObject({
      code: "not-found",
      cures: [expect.stringContaining("data get cifar10")],
    });
  });

  test("a file of the right size and the wrong bytes is found, and removed by repair", async () => {
    for (const name of ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"])
      await writeFile(join(root, `${name}.bin`), new Uint8Array(30_730_000));
    await expect(checkCifar10({ folder: root, repair: true })).rejects.toMatchObject({
      code: "checksum",
      place: { file: join(root, "data_batch_1.bin") },
    });
    expect(await readdir(root)).toHaveLength(5);
  });
});
