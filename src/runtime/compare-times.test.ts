// Whole models timed in turns: which is faster, by how much, within bounded time and memory.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { oneConv } from "../../test/small-graphs.js";
import { timeInTurns } from "./compare-times.js";
import { saveModel } from "./files.js";
import { alternate } from "./latency.js";
import { sampleFeeds } from "./samples.js";
import { openOrtSession, type Port } from "./session.js";

vi.mock("./session.js", async (original) => {
  const real = await original<typeof import("./session.js")>();
  return { ...real, openOrtSession: vi.fn(real.openOrtSession) };
});

const light = oneConv({ outChannels: 8, inChannels: 8, kernel: [3, 3] });
const heavy = oneConv({ outChannels: 256, inChannels: 8, kernel: [3, 3] });
const shapes = new Map([["x", [1, 8, 48, 48]]]);
const feeds = (inputs: readonly Port[]) => sampleFeeds(inputs, { shapes });
const options = { threads: 1, rounds: 9 };
const heavyFirst = [
  { name: "a", model: heavy },
  { name: "b", model: light },
];

test("tells the faster model, in wall and in processor time, as plain data", async () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-times-"));
  try {
    const file = join(folder, "heavy.onnx");
    await saveModel(heavy, file);
    const times = await timeInTurns(
      [
        { name: "original", model: file },
        { name: "written", model: light },
      ],
      feeds,
      options,
    );
    expect(times).toMatchObject({ rounds: 9, open: "together" });
    expect(times.models.map(({ name }) => name)).toEqual(["original", "written"]);
    expect(times.ratios).toMatchObject([
      { name: "written", wall: { verdict: "faster" }, processor: { verdict: "faster" } },
    ]);
    expect(times.ratios[0]!.wall.median).toBeGreaterThan(2);
    const [{ milliseconds, processorMilliseconds }] = times.models as [(typeof times.models)[0]];
    expect(milliseconds.quartiles[0]).toBeLessThanOrEqual(milliseconds.median);
    expect(processorMilliseconds!.median).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(times))).toEqual(times);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("models that keep much memory are open one at a time, with the same verdict", async () => {
  let held = 0;
  const times = await timeInTurns(heavyFirst, feeds, { ...options, openBytes: 1000, memory: () => (held += 600) });
  expect(times).toMatchObject({ open: "in turn", ratios: [{ wall: { verdict: "faster" } }] });
});

test("a model that keeps much is opened anew without a memory pattern, and so is what it is timed beside", async () => {
  const opened = vi.mocked(openOrtSession);
  opened.mockClear();
  let held = 0;
  const times = await timeInTurns(heavyFirst, feeds, { ...options, openBytes: 1e12, memory: () => (held += 3e8) });
  expect(times).toMatchObject({ open: "together", ratios: [{ wall: { verdict: "faster" } }] });
  expect(opened.mock.calls.map(([, how]) => how?.memoryPattern)).toEqual([undefined, false, false]);
});

test("in the other runtime too", async () => {
  const models = [
    { name: "a", model: light },
    { name: "b", model: heavy },
  ];
  const times = await timeInTurns(models, feeds, { ...options, runtime: "web" });
  expect(times.ratios[0]!.wall.verdict).toBe("slower");
});

test("stops when told to", async () => {
  const controller = new AbortController();
  controller.abort();
  await expect(timeInTurns([{ name: "a", model: light }], feeds, { signal: controller.signal })).rejects.toMatchObject({
    code: "interrupted",
  });
  await expect(timeInTurns([], feeds)).rejects.toMatchObject({ code: "usage" });
});

test("what opens for its turn is never open beside another, and is closed also when a run fails", async () => {
  const open = new Set<string>();
  const log: string[] = [];
  const candidate = (name: string, fails = false) => ({
    begin: async () => void open.add(name),
    end: async () => void open.delete(name),
    run: async () => {
      expect([...open]).toEqual([name]);
      log.push(name);
      if (fails) throw new Error("broken");
    },
  });
  const quick = { rounds: 3, warmup: 1, settle: 0, burst: 0 };
  await alternate([candidate("a"), candidate("b")], quick);
  expect(log.join("")).toBe("aabb" + "baa" + "abb");
  log.length = 0;
  await alternate([candidate("a"), candidate("b")], { ...quick, rounds: 1, warmup: 2 });
  expect(log.join("")).toBe("aaabbb");
  expect(open.size).toBe(0);
  await expect(alternate([candidate("a"), candidate("c", true)], quick)).rejects.toThrow("broken");
  expect(open.size).toBe(0);
});

test("very slow candidates end after three rounds, settled ones after five, busy ones at their budget", async () => {
  let clock = 0;
  const slow = async () => {
    clock += 1000;
  };
  const now = () => clock;
  const base = { rounds: 50, warmup: 0, settle: 0, burst: 0, now };
  expect((await alternate([slow], { ...base, patience: 2500 })).samples[0]).toHaveLength(3);
  expect((await alternate([slow], { ...base, enough: () => true })).samples[0]).toHaveLength(5);
  expect((await alternate([slow], { ...base, budget: 8000, patience: 1e9 })).samples[0]).toHaveLength(8);
});

test("processor time is told for each run where there is a clock for it", async () => {
  let [clock, used] = [0, 0];
  const run = async () => {
    clock += 2;
    used += 3;
  };
  const { cpuSamples } = await alternate([run], {
    rounds: 2,
    warmup: 0,
    settle: 0,
    burst: 5,
    now: () => clock,
    cpu: () => used,
  });
  expect(cpuSamples).toEqual([[3, 3]]);
});
