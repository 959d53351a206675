import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { float32Tensor } from "../graph/attributes.js";
import { readNewestCheckpoint, writeCheckpoint } from "./checkpoint.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-"));
});
afterEach(() => rm(folder, { recursive: true }));

const at = (step: number) => ({
  step,
  state: { epoch: step },
  tensors: new Map([["w", float32Tensor([2], Float32Array.of(step, 1))]]),
});

describe("checkpoints", () => {
  it("keep the newest two and give back the newest", async () => {
    for (const step of [1, 2, 3]) await writeCheckpoint(folder, at(step), 2);
    expect((await readdir(folder)).length).toBe(2);
    expect(await readNewestCheckpoint(folder, () => {})).toEqual(at(3));
  });
  it("are undefined where none was written", async () => {
    expect(await readNewestCheckpoint(join(folder, "none"), () => {})).toBeUndefined();
  });
  it.each(["truncated", "flipped"])("fall back to the one before when the newest is %s, and say so", async (damage) => {
    await writeCheckpoint(folder, at(1), 2);
    const file = await writeCheckpoint(folder, at(2), 2);
    const bytes = await readFile(file);
    if (damage === "truncated") await truncate(file, bytes.length - 3);
    else await writeFile(file, bytes.with(bytes.length >> 1, (bytes[bytes.length >> 1] ?? 0) ^ 1));
    const notes: string[] = [];
    expect(await readNewestCheckpoint(folder, (text) => notes.push(text))).toEqual(at(1));
    expect(notes.join()).toMatch(/damaged/);
  });
  it("that are all damaged are an error, not a fresh start", async () => {
    await truncate(await writeCheckpoint(folder, at(1), 2), 20);
    await expect(readNewestCheckpoint(folder, () => {})).rejects.toMatchObject({ code: "checksum" });
  });
  it("leave no trace of an interrupted write", async () => {
    await writeCheckpoint(folder, at(1), 2);
    await writeFile(join(folder, ".step-000000002-0.safetensors.1.ab.part"), "half");
    await readNewestCheckpoint(folder, () => {});
    expect((await readdir(folder)).length).toBe(1);
  });
});
