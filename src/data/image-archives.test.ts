// Fetching, resuming, checking and unpacking image sets, against a server on this machine that breaks off, changes and
// lies.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tar, zip } from "../../test/archives.js";
import { someImage } from "../../test/images.js";
import { encodeImage } from "./codec.js";
import { download } from "./download.js";
import { checkImageArchives, getImageArchives, type ImageArchives } from "./image-archives.js";
import { loadPair } from "./load-pair.js";
import { findPairs } from "./sr-pairs.js";

let root: string;
let server: Server;
let address: string;
/** What the server has, how many bytes of it it sends before it hangs up, and what was asked for. */
const files = new Map<string, { bytes: Uint8Array; tag: string }>();
let hangUpAfter: number[] = [];
let asked: (string | undefined)[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-sets-"));
  files.clear();
  [hangUpAfter, asked] = [[], []];
  server = createServer((request, response) => {
    const file = files.get((request.url ?? "/").slice(1));
    asked.push(request.headers.range);
    if (file === undefined) return response.writeHead(404).end();
    const range = request.headers["if-range"] === file.tag ? /bytes=(\d+)-/.exec(request.headers.range ?? "") : null;
    const start = Number(range?.[1] ?? 0);
    if (range && start >= file.bytes.length) return response.writeHead(416).end();
    const body = file.bytes.subarray(start);
    const headers = {
      "content-length": body.length,
      etag: file.tag,
      ...(range && { "content-range": `bytes ${start}-${file.bytes.length - 1}/${file.bytes.length}` }),
    };
    response.writeHead(range ? 206 : 200, headers);
    const cut = hangUpAfter.shift();
    if (cut === undefined) return response.end(body);
    response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 400));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await rm(root, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array) =>
  ({ algorithm: "sha256", digest: createHash("sha256").update(bytes).digest("hex") }) as const;
const random = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7919 + (i >> 5)) % 256);

describe("download", () => {
  test("goes on where the connection broke off", async () => {
    files.set("a.bin", { bytes: random, tag: '"1"' });
    hangUpAfter = [30_000];
    await download(`${address}/a.bin`, join(root, "a.bin"), { checksum: sha256(random), size: random.length });
    expect(Buffer.compare(await readFile(join(root, "a.bin")), random)).toBe(0);
    expect(asked).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    expect(await readdir(root)).toEqual(["a.bin"]);
  });

  test("a later call goes on too, and starts over where the server's file has changed", async () => {
    files.set("a.bin", { bytes: random, tag: '"1"' });
    hangUpAfter = [20_000];
    await expect(download(`${address}/a.bin`, join(root, "a.bin"), { retries: 0 })).rejects.toMatchObject({
      code: "io",
    });
    expect((await readdir(root)).sort()).toEqual(["a.bin.part", "a.bin.part.tag"]);
    const other = random.map((byte) => 255 - byte);
    files.set("a.bin", { bytes: other, tag: '"2"' });
    await download(`${address}/a.bin`, join(root, "a.bin"), { checksum: sha256(other) });
    expect(Buffer.compare(await readFile(join(root, "a.bin")), other)).toBe(0);
  });

  test("a wrong checksum or size is an error and leaves nothing; a missing file says 404; a dead server is an io error", async () => {
    files.set("a.bin", { bytes: random, tag: '"1"' });
    await expect(
      download(`${address}/a.bin`, join(root, "a.bin"), { checksum: sha256(Uint8Array.of(1)) }),
    ).rejects.toMatchObject({ code: "checksum" });
    await expect(download(`${address}/a.bin`, join(root, "a.bin"), { size: 5 })).rejects.toMatchObject({
      code: "checksum",
    });
    await expect(download(`${address}/b.bin`, join(root, "b.bin"))).rejects.toMatchObject({
      code: "io",
      got: expect.stringContaining("404"),
    });
    await expect(download("http://127.0.0.1:9/x", join(root, "c.bin"), { retries: 0 })).rejects.toMatchObject({
      code: "io",
    });
    expect(await readdir(root)).toEqual([]);
  });

  test("can be stopped, and then taken up", async () => {
    files.set("a.bin", { bytes: random, tag: '"1"' });
    const stop = new AbortController();
    const first = download(`${address}/a.bin`, join(root, "a.bin"), {
      signal: stop.signal,
      progress: (done) => done > 0 && stop.abort(),
    });
    await expect(first).rejects.toMatchObject({ code: "interrupted" });
    await download(`${address}/a.bin`, join(root, "a.bin"), { checksum: sha256(random) });
  });
});

describe("an image set", () => {
  const sized = (width: number, height: number, seed: number) => encodeImage(someImage(width, height, { seed }), "png");

  async function benchmark(name: string): Promise<ImageArchives> {
    const bytes = tar([
      ["benchmark/Set5/HR/baby.png", await sized(25, 31, 1)],
      ["benchmark/Set5/LR_bicubic/X2/babyx2.png", await sized(12, 15, 2)],
      ["benchmark/Set14/HR/other.png", await sized(20, 20, 3)],
      ["benchmark/Set5/readme.txt", Uint8Array.of(65)],
    ]);
    files.set(name, { bytes, tag: '"1"' });
    return {
      name: "set5",
      prefix: "benchmark/Set5/",
      archives: [{ url: `${address}/${name}`, checksum: sha256(bytes) }],
    };
  }

  test("is fetched, unpacked without the other sets, checked, and read as pairs", async () => {
    const set = await benchmark("benchmark.tar");
    const folder = await getImageArchives(set, { folder: join(root, "set5") });
    expect(await checkImageArchives(set, { folder })).toEqual({ folder, files: 2 });
    const { layout, pairs } = await findPairs(folder, 2);
    expect([layout, pairs.map(({ name }) => name)]).toEqual(["benchmark", ["baby"]]);
    const { hr, lr } = await loadPair(pairs[0]!, 2);
    expect([hr.width, hr.height, lr.width, lr.height]).toEqual([24, 30, 12, 15]); // HR cut to the size of LR
    const before = asked.length;
    await getImageArchives(set, { folder });
    expect(asked.length).toBe(before); // nothing is fetched twice
  });

  test("a changed or missing file is found by check", async () => {
    const set = await benchmark("benchmark.tar");
    const folder = await getImageArchives(set, { folder: join(root, "set5") });
    await writeFile(join(folder, "HR/baby.png"), "x");
    await expect(checkImageArchives(set, { folder })).rejects.toMatchObject({
      code: "checksum",
      place: { file: join(folder, "HR/baby.png") },
    });
    await rm(join(folder, "HR/baby.png"));
    await expect(checkImageArchives(set, { folder })).rejects.toMatchObject({ code: "not-found" });
    await expect(checkImageArchives(set, { folder: join(root, "nowhere") })).rejects.toMatchObject({
      code: "not-found",
    });
  });

  test("zip archives by scale, from a mirror, in DIV2K's layout", async () => {
    const archive = async (name: string, entry: string, width: number, scale?: number) => {
      const bytes = zip([
        [`${entry}/`, new Uint8Array(0)],
        [`${entry}/0001${scale ? `x${scale}` : ""}.png`, await sized(width, width, 1)],
      ]);
      files.set(`${name}.zip`, { bytes, tag: '"z"' });
      return {
        url: `http://nowhere.invalid/${name}.zip`,
        size: bytes.length,
        checksum: sha256(bytes),
        ...(scale && { scale }),
      };
    };
    const set: ImageArchives = {
      name: "div2k",
      prefix: "",
      archives: [
        await archive("HR", "DIV2K_train_HR", 24),
        await archive("X2", "DIV2K_train_LR_bicubic/X2", 12, 2),
        await archive("X3", "DIV2K_train_LR_bicubic/X3", 8, 3),
      ],
    };
    const folder = await getImageArchives(set, { folder: join(root, "div2k"), mirror: `${address}/`, scale: 2 });
    expect((await findPairs(folder, 2)).pairs).toHaveLength(1);
    await expect(findPairs(folder, 3)).rejects.toMatchObject({ code: "not-found", got: "X2" });
    await getImageArchives(set, { folder, mirror: address });
    expect((await findPairs(folder, 3)).pairs).toHaveLength(1);
  });

  test("an archive that would write outside its folder is refused", async () => {
    const bytes = tar([["benchmark/Set5/../../../evil.png", Uint8Array.of(1)]]);
    files.set("evil.tar", { bytes, tag: '"1"' });
    const set = { name: "set5", prefix: "benchmark/Set5/", archives: [{ url: `${address}/evil.tar` }] };
    await expect(getImageArchives(set, { folder: join(root, "deep", "set5") })).rejects.toMatchObject({
      code: "malformed",
      got: expect.stringContaining("evil"),
    });
    expect(await readdir(root)).toEqual(["deep"]);
  });
});
