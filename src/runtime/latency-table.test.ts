import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TimedLayer } from "../methods/latencies.js";
import { openLatencyTable } from "./latency-table.js";
import { pieceOf } from "./time-layers.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-latencies-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const layer: TimedLayer = {
  input: [1, 16, 8, 8],
  shape: [16, 16, 3, 3],
  attributes: { pads: [1, 1, 1, 1] },
  type: "float32",
  opset: 17,
};
const over: TimedLayer = { ...layer, basis: { splits: 2, basisSize: 4, layout: "grouped" } };
const open = () => openLatencyTable({ threads: 1, folder });

describe("the table of latencies", () => {
  test("times a layer once: another table of the same folder knows it", async () => {
    const table = await open();
    expect(table.clock(layer)).toBeUndefined();
    await table.measure([layer, over, layer]);
    expect(table.clock(layer)).toBeGreaterThan(0);
    const again = await open();
    expect(again.clock(over)).toBe(table.clock(over));
    await again.measure([layer, over], { progress: () => expect.unreachable("nothing is left to be timed") });
  });

  test("what was measured on a busy machine is measured again on an idle one, and kept on one in between", async () => {
    const at = (load: number) => openLatencyTable({ threads: 1, folder, load: () => load });
    const busy = await at(1e4);
    await busy.measure([layer]);
    expect(busy.clock(layer)).toBeGreaterThan(0);
    expect((await at(1e4)).clock(layer)).toBe(busy.clock(layer));
    expect((await at(1.5 * availableParallelism())).clock(layer)).toBe(busy.clock(layer));
    const idle = await at(0);
    expect(idle.clock(layer)).toBeUndefined();
    await idle.measure([layer]);
    expect((await at(0)).clock(layer)).toBe(idle.clock(layer));
  });

  test("a table that was opened on an idle machine knows what it measures on a busy one", async () => {
    let load = 0;
    const table = await openLatencyTable({ threads: 1, folder, load: () => load });
    load = 1e4;
    await table.measure([layer]);
    expect(table.clock(layer)).toBeGreaterThan(0);
  });

  test("tells layers apart by all that their time depends on", async () => {
    const table = await open();
    await table.measure([layer]);
    const others: readonly TimedLayer[] = [
      { ...layer, input: [1, 16, 9, 8] },
      { ...layer, attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } },
      { ...layer, shape: [32, 16, 3, 3] },
      over,
    ];
    for (const other of others) expect(table.clock(other)).toBeUndefined();
    expect((await openLatencyTable({ threads: 2, folder })).clock(layer)).toBeUndefined();
  });

  test.each([
    ["empty", ""],
    ["cut short", '{"version":3,"layer":"a","millise'],
    ["of another version", '{"version":0,"layer":"a","milliseconds":1}'],
    ["of something else", "[1,2,3]"],
    ["with a time below zero", '{"version":3,"layer":"a","milliseconds":-1}'],
  ])("measures anew where its file is %s, and reads what is written behind that", async (_, text) => {
    await (await open()).measure([layer]);
    const file = join(folder, readdirSync(folder)[0]!);
    writeFileSync(file, text);
    const table = await open();
    expect(table.clock(layer)).toBeUndefined();
    await table.measure([layer]);
    expect((await open()).clock(layer)).toBe(table.clock(layer));
  });

  test("of two that measure at the same time has all of both, and one time for each layer", async () => {
    const [one, two] = [await open(), await open()];
    const other: TimedLayer = { ...layer, input: [1, 16, 10, 10] };
    await Promise.all([one.measure([layer, other]), two.measure([layer, over])]);
    const after = await open();
    for (const known of [layer, other, over]) expect(after.clock(known)).toBeGreaterThan(0);
    await one.measure([over]);
    await two.measure([other]);
    for (const known of [layer, other, over])
      expect([one.clock(known), two.clock(known)]).toEqual([after.clock(known), after.clock(known)]);
  });

  test("keeps what was timed before it was stopped", async () => {
    const table = await open();
    const stop = new AbortController();
    const other: TimedLayer = { ...layer, input: [1, 16, 12, 12] };
    const stopped = table.measure([layer, other], { signal: stop.signal, progress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
    const again = await open();
    expect([layer, other].filter((one) => again.clock(one) !== undefined)).toEqual([layer]);
  });

  test("times fully connected layers, as one matrix and as two, of rows and of sequences", async () => {
    const table = await open();
    const chain = [
      { shape: [8, 64], attributes: {} },
      { shape: [48, 8], attributes: {} },
    ];
    for (const input of [
      [2, 64],
      [2, 10, 64],
    ]) {
      const whole: TimedLayer = { ...layer, input, shape: [48, 64], attributes: {} };
      expect(pieceOf(whole)).toEqual({ layer: whole, times: 1 });
      await table.measure([whole, { ...whole, chain }]);
      for (const one of [whole, { ...whole, chain }]) expect(table.clock(one)).toBeGreaterThan(0);
    }
  });

  test("confirms once, for all: the lesser of two times counts", async () => {
    const table = await open();
    await table.measure([layer]);
    const file = join(folder, readdirSync(folder)[0]!);
    const disturbed = readFileSync(file, "utf8").replace(/"milliseconds":[^,}]+/, '"milliseconds":1000');
    writeFileSync(file, disturbed);
    const slow = await open();
    expect(slow.clock(layer)).toBe(1000);
    await slow.confirmed().measure([layer]);
    const sure = slow.clock(layer)!;
    expect(sure).toBeLessThan(1000);
    const again = await open();
    expect(again.clock(layer)).toBe(sure);
    await again.confirmed().measure([layer], { progress: () => expect.unreachable("it was confirmed before") });
  });

  test("confirms times of networks: those at which the second is faster beside the first count", async () => {
    const table = await open();
    await table.networks("a b", async () => ({ original: 2, written: 3 }));
    const again = await table.confirmed().networks("a b", async () => ({ original: 4, written: 2 }));
    expect(again).toEqual({ original: 4, written: 2 });
    expect(await (await open()).networks("a b", async () => expect.unreachable("known"))).toEqual(again);
    expect(await table.confirmed().networks("a b", async () => expect.unreachable("confirmed"))).toEqual(again);
  });

  test("keeps times of whole networks under their key", async () => {
    const times = { original: 2, written: 1 };
    expect(await (await open()).networks("a b", async () => times)).toEqual(times);
    expect(await (await open()).networks("a b", async () => expect.unreachable("known"))).toEqual(times);
  });
});

test("of a layer on a large image a piece is timed, of no more elements than are worth it, never smaller than a kernel needs", () => {
  expect(pieceOf(layer)).toEqual({ layer, times: 1 });
  const { layer: piece, times } = pieceOf({ ...layer, input: [1, 16, 1440, 720] });
  const [, channels = 0, height = 0, width = 0] = piece.input;
  expect(channels * height * width).toBeLessThanOrEqual(1.01 * 2 ** 22);
  expect(times).toBeCloseTo((1440 * 720) / (height * width), 12);
  const many = { splits: 16, basisSize: 20, layout: "split" } as const;
  const small = pieceOf({ ...layer, input: [1, 16, 512, 512], basis: many }).layer.input;
  expect(16 * 20 * small[2]! * small[3]!).toBeLessThan(1.1 * 2 * 2 ** 22);
  expect(pieceOf({ ...layer, input: [64, 4096, 40, 40], shape: [4096, 4096, 3, 3] }).layer.input.slice(2)).toEqual([
    32, 32,
  ]);
});
