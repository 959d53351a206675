import { describe, expect, it } from "vitest";
import { Random } from "./random.js";

describe("Random", () => {
  it("gives the same stream for the same seed and another for another", () => {
    const draw = (seed: number | string) =>
      Array.from(
        { length: 8 },
        (
          (r) => () =>
            r.next()
        )(new Random(seed)),
      );
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw("a")).not.toEqual(draw("b"));
  });

  it("continues from a stored state, in the middle of a pair of normal deviates too", () => {
    const random = new Random(3);
    random.normal();
    const copy = new Random(0);
    copy.state = JSON.parse(JSON.stringify(random.state));
    const rest = () => [copy.normal(), copy.next(), copy.int(10)];
    expect([random.normal(), random.next(), random.int(10)]).toEqual(rest());
  });

  it("refuses a state that is not one", () => {
    const random = new Random(0);
    const bad = { words: [0, 0, 0, 0], spare: null } as const;
    expect(() => {
      random.state = bad;
    }).toThrow(/state of a random generator/);
    expect(() => random.int(0)).toThrow(/whole number/);
  });

  it("is uniform: 100,000 draws in 10 classes pass a chi-square test", () => {
    const random = new Random(11);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.int(10)] += 1;
    const chi = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(chi).toBeLessThan(27.9); // 99.9 % point for 9 degrees of freedom
  });

  it("is normal: mean, variance and fourth moment of 100,000 draws", () => {
    const random = new Random(5);
    const draws = Float64Array.from({ length: 100_000 }, () => random.normal());
    const moment = (k: number) => draws.reduce((sum, x) => sum + x ** k, 0) / draws.length;
    // Bounds: four standard errors of each estimate.
    expect(Math.abs(moment(1))).toBeLessThan(4 / Math.sqrt(1e5));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / 1e5));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / 1e5));
  });
});
