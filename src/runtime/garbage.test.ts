// Arrays that somebody holds are not looked for again and again: a collection takes tens of milliseconds.
import { constants, PerformanceObserver } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { collectArrays } from "./garbage.js";

test("arrays that are held are collected for once, not before every run", async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind, flags } = (
        entry as unknown as { readonly detail: { readonly kind: number; readonly flags: number } }
      ).detail;
      const forced = (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0;
      if (kind === constants.NODE_PERFORMANCE_GC_MAJOR && forced) collections++;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  const held = Array.from({ length: 8 }, () => new ArrayBuffer(2 ** 22));
  for (let run = 0; run < 20; run++) collectArrays(2 ** 20);
  await setTimeout(20);
  observer.disconnect();
  expect(held.length).toBe(8);
  expect(collections).toBe(1);
});

test("what nobody reads any more is collected", async () => {
  const used = () => process.memoryUsage().arrayBuffers;
  collectArrays(2 ** 20);
  const before = used();
  for (let i = 0; i < 16; i++) new ArrayBuffer(2 ** 22);
  // V8 gives array buffers back beside the program, a little later than it collects.
  const left = () => {
    collectArrays(2 ** 20);
    return used() - before;
  };
  await expect.poll(left, { timeout: 5000 }).toBeLessThan(2 ** 22);
});
