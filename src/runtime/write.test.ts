// Writing aside: what the path holds after success and after each kind of failure.
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeAside } from "./write.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-write-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("bytes, text and pieces arrive whole and leave nothing beside them", async () => {
  const path = join(folder, "a.bin");
  await writeAside(path, Uint8Array.of(1, 2, 3));
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  await writeAside(path, "text");
  expect(await readFile(path, "utf8")).toBe("text");
  await writeAside(
    path,
    (function* () {
      yield Uint8Array.of(7);
      yield Uint8Array.of(8, 9);
    })(),
  );
  expect([...(await readFile(path))]).toEqual([7, 8, 9]);
  expect(await readdir(folder)).toEqual(["a.bin"]);
});

test("a source that fails half-way leaves the old file and no temporary one", async () => {
  const path = join(folder, "a.bin");
  await writeFile(path, "old");
  const pieces = (function* () {
    yield Uint8Array.of(1);
    throw new Error("broken source");
  })();
  await expect(writeAside(path, pieces)).rejects.toMatchObject({ code: "io", place: { file: path } });
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(folder)).toEqual(["a.bin"]);
});

test("a missing folder, and a folder in the place of the file, are named", async () => {
  await expect(writeAside(join(folder, "none", "a"), "x")).rejects.toMatchObject({ code: "not-found" });
  await expect(writeAside(folder, "x")).rejects.toMatchObject({ code: "io" });
});

test("a link is followed, not replaced", async () => {
  const [real, link] = [join(folder, "real"), join(folder, "link")];
  await writeFile(real, "old");
  await symlink(real, link);
  await writeAside(link, "new");
  expect(await readFile(real, "utf8")).toBe("new");
});

test.skipIf(process.platform !== "linux")("a full device is an io error that says so", async () => {
  await expect(writeAside("/dev/full", "x")).rejects.toMatchObject({ code: "io", got: "ENOSPC" });
});
