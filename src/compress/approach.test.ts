// The way from promised to kept milliseconds, with networks whose times are known.
import { expect, test } from "vitest";
import { type Approach, approached, beginApproach } from "./approach.js";

/** Tries plans until the approach is done; a plan is what it promises. */
function search(target: number, whole: number, keeps: (promise: number) => number, least = 0, attempts = 6) {
  let state: Approach<number> = beginApproach(target, whole);
  let tries = 0;
  for (; tries < attempts && !state.done; tries++) {
    const predicted = Math.max(least, state.most);
    state = approached(state, target, {
      plan: predicted,
      predicted,
      written: keeps(predicted),
      loss: whole - predicted,
    });
  }
  return { ...state, tries };
}

test("a plan that keeps what it promised is taken at once", () => {
  const { enough, tries } = search(8, 10, (promise) => promise);
  expect([enough?.timed.plan, tries]).toEqual([8, 1]);
});

test("where the network saves less than promised, more is promised until the target is kept", () => {
  const { enough } = search(8, 10, (promise) => promise + 1);
  expect(enough!.timed.written).toBeLessThanOrEqual(8);
  expect(enough!.timed.written).toBeGreaterThan(0.93 * 8);
});

test("where it saves more than promised, a plan that loses less is looked for", () => {
  // Layers that promise 18.2 ms at the least make a network of 11.8 ms; 16 are asked for.
  const { enough } = search(16, 19.2, (promise) => 11.8 + ((promise - 18.2) / (19.2 - 18.2)) * (19.2 - 11.8), 18.2);
  expect(enough!.timed.written).toBeLessThanOrEqual(16);
  expect(enough!.timed.written).toBeGreaterThan(13);
  expect(enough!.timed.plan).toBeGreaterThan(18.2);
});

test("where nothing keeps the target, the fastest that was timed is told", () => {
  const { enough, fastest } = search(2, 10, (promise) => Math.max(6, promise), 4);
  expect(enough).toBeUndefined();
  expect(fastest?.written).toBe(6);
});
