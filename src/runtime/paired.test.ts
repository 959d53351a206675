// Verdicts and choices from times of rounds: what is noise is called noise, and changes no choice.
import { describe, expect, test } from "vitest";
import { Random } from "../linalg/random.js";
import { pairedRatio, spreadOf } from "./paired.js";

/**
 * Times of rounds on a machine that is sometimes busy: a common factor a round, and some of its own for each candidate.
 */
function rounds(times: readonly number[], count: number, noise: number, seed: number): number[][] {
  const random = new Random(seed);
  const samples: number[][] = times.map(() => []);
  for (let round = 0; round < count; round++) {
    const busy = random.int(4) === 0 ? 1 + random.next() : 1;
    for (const [i, time] of times.entries()) samples[i]!.push(time * busy * (1 + noise * random.normal()));
  }
  return samples;
}

describe("pairedRatio", () => {
  test("finds the quotient through a busy machine, with an interval around it", () => {
    const [first, second] = rounds([3, 2], 15, 0.05, 1) as [number[], number[]];
    const { median, interval, confidence, verdict, quartiles } = pairedRatio(first, second);
    expect(median).toBeGreaterThan(1.4);
    expect(median).toBeLessThan(1.6);
    expect(interval[0]).toBeLessThanOrEqual(quartiles[0]);
    expect(interval[1]).toBeGreaterThanOrEqual(quartiles[1]);
    expect(confidence).toBeGreaterThanOrEqual(0.95);
    expect(verdict).toBe("faster");
    expect(pairedRatio(second, first).verdict).toBe("slower");
  });

  test("of equals it is noise, but for the share of cases that its confidence leaves", () => {
    const verdicts = Array.from({ length: 400 }, (_, seed) => {
      const [first, second] = rounds([2, 2], 15, 0.05, seed) as [number[], number[]];
      return pairedRatio(first, second).verdict;
    });
    expect(verdicts.filter((verdict) => verdict !== "within noise").length).toBeLessThanOrEqual(0.05 * 400);
  });

  test("a difference below 1 % is not told, however sure", () => {
    const first = Array.from({ length: 15 }, () => 1.005);
    expect(pairedRatio(first, new Array(15).fill(1)).verdict).toBe("within noise");
  });

  test.each([
    [5, 0.9375],
    [6, 0.96875],
    [9, 0.9609375],
  ])("%i rounds give an interval of %d", (count, confidence) => {
    const values = Array.from({ length: count }, (_, i) => 1 + i / 10);
    expect(pairedRatio(values, new Array(count).fill(1)).confidence).toBeCloseTo(confidence, 10);
  });

  test("three rounds that do not agree closely say nothing", () => {
    expect(pairedRatio([1.1, 1.2, 1.3], [1, 1, 1]).verdict).toBe("within noise");
    expect(pairedRatio([1.31, 1.3, 1.32], [1, 1, 1]).verdict).toBe("faster");
  });

  test("few rounds that differ much have an interval of quotients, the same from either side", () => {
    const [first, second] = [
      [1.5, 1.4, 0.7],
      [1, 1, 1],
    ];
    const [[low, high], [lowBack, highBack]] = [pairedRatio(first, second), pairedRatio(second, first)].map(
      ({ interval }) => interval,
    ) as [readonly [number, number], readonly [number, number]];
    expect(low).toBeGreaterThan(0);
    expect([lowBack, highBack].map((end) => end.toFixed(9))).toEqual([1 / high, 1 / low].map((end) => end.toFixed(9)));
  });
});

test("the spread is the median with its quartiles", () => {
  expect(spreadOf([5, 1, 4, 2, 3])).toEqual({ median: 3, quartiles: [2, 4] });
});
