import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cacheLimit, pruneFolder } from "./prune-folder.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-prune-"));
  for (const [i, name] of ["old", "middle", "new"].entries()) {
    mkdirSync(join(folder, name));
    for (const file of ["a", "b"]) writeFileSync(join(folder, name, file), new Uint8Array(500));
    utimesSync(join(folder, name), 1000 + i, 1000 + i);
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("what was used longest ago goes first, and no more than has to", async () => {
  expect(await pruneFolder(folder, 2500)).toEqual(["old"]);
  expect(readdirSync(folder).sort()).toEqual(["middle", "new"]);
  expect(await pruneFolder(folder, 2000)).toEqual([]);
});

test("what was used again stays, and the newest stays whatever its size", async () => {
  utimesSync(join(folder, "old"), 2000, 2000);
  expect(await pruneFolder(folder, 0)).toEqual(["new", "middle"]);
  expect(readdirSync(folder)).toEqual(["old"]);
});

test("a folder that is not there has nothing to remove", async () => {
  expect(await pruneFolder(join(folder, "none"), 0)).toEqual([]);
});

test("the limit is 4 GB, or what the setting says", () => {
  expect(cacheLimit({})).toBe(4e9);
  expect(cacheLimit({ FILTERBASIS_CACHE_GB: "0.5" })).toBe(5e8);
  expect(() => cacheLimit({ FILTERBASIS_CACHE_GB: "much" })).toThrow(/gigabytes/);
});
