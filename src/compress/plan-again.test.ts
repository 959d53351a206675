// A file that is slower than its plan: the plan is made again, and what is asked for stays what it was.
import { expect, test } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { untilFast } from "./plan-again.js";
import type { CalibratedBudget } from "./plan-calibrated.js";

/** Files that are slower than their plans by a factor, where a plan is what it was asked for. */
function machine(budget: CalibratedBudget, slower: number, reachable = Number.POSITIVE_INFINITY) {
  const asked: CalibratedBudget[] = [];
  const enough = ({ ratio, written }: { ratio: number; written: number }) =>
    budget.speedup === undefined ? written <= budget.latency! : ratio >= budget.speedup;
  const run = untilFast(budget, budget, {
    async carryOut({ speedup, latency }) {
      const written = slower * (latency ?? 10 / speedup!);
      const times = { original: 10, written, ratio: 10 / written };
      if (!enough(times)) throw new FilterBasisError("does-not-pay", "slow", { facts: { times } });
      return times;
    },
    async plan(further) {
      asked.push(further);
      if ((further.speedup ?? 10 / further.latency!) > reachable)
        throw new FilterBasisError("does-not-pay", "too fast", { facts: { reachable: 1 } });
      return further;
    },
  });
  return { run, asked };
}

test("a speed-up that the file misses is planned again for as much more", async () => {
  const { run, asked } = machine({ speedup: 2 }, 1.1);
  expect((await run).ratio).toBeGreaterThanOrEqual(2);
  expect(asked).toHaveLength(1);
  expect(asked[0]!.speedup).toBeCloseTo(2 * 1.1 * 1.02, 9);
});

test("milliseconds too, and other budgets stay", async () => {
  const { run, asked } = machine({ latency: 4, keepMacs: 0.9 }, 1.2);
  expect((await run).written).toBeLessThanOrEqual(4);
  expect(asked[0]!.keepMacs).toBe(0.9);
});

test("a file that is fast is written once", async () => {
  const { run, asked } = machine({ speedup: 2 }, 1);
  await run;
  expect(asked).toEqual([]);
});

test("where no faster plan is to be had the error is of the file", async () => {
  await expect(machine({ speedup: 2 }, 1.1, 2.1).run).rejects.toMatchObject({ code: "does-not-pay" });
});

test("it is given up after two more plans, each of which asked for more", async () => {
  const asked: number[] = [];
  const slow = async () => {
    throw new FilterBasisError("does-not-pay", "slow", { facts: { times: { original: 3, written: 2, ratio: 1.5 } } });
  };
  const run = untilFast(0, { speedup: 2 }, { carryOut: slow, plan: async ({ speedup }) => asked.push(speedup!) });
  await expect(run).rejects.toMatchObject({ code: "does-not-pay" });
  expect(asked).toHaveLength(2);
  expect(asked[1]).toBeGreaterThan(asked[0]!);
});

test("another error ends it at once, and so does a budget without time", async () => {
  const times = { original: 3, written: 4, ratio: 0.75 };
  for (const error of [
    new FilterBasisError("loses-function", "far"),
    new FilterBasisError("does-not-pay", "slower", { facts: { times } }),
  ]) {
    const run = untilFast({}, error.code === "loses-function" ? { speedup: 2 } : { keepMacs: 0.5 }, {
      carryOut: async () => {
        throw error;
      },
      plan: async () => expect.unreachable(),
    });
    await expect(run).rejects.toBe(error);
  }
});
