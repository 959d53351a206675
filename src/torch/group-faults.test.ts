import { describe, expect, it } from "vitest";
import { patienceOf, verdictOf } from "./group-faults.js";

const signs = (...beats: readonly [count: string | undefined, calls: number][]) =>
  beats.map(([count, calls]) => ({ count, calls }));

describe("who is to blame for a failed call", () => {
  it("is who gives no sign of life, even where it is ahead", () => {
    const first = signs(["4", 9], ["7", 9], ["2", 9]);
    expect(verdictOf(first, signs(["8", 9], ["7", 9], ["6", 8]), "a sum", 1000)).toEqual({
      message: "rank 1 is gone: no sign of life",
      rank: 1,
    });
    expect(verdictOf(first, signs(["8", 9], ["7", 9], ["2", 9]), "a sum", 1000).message).toBe(
      "ranks 1, 2 are gone: no sign of life",
    );
    expect(verdictOf(signs(["1", 0], [undefined, 0]), signs(["2", 0], [undefined, 0]), "a sum", 1000).rank).toBe(1);
  });
  it("is else who has not come to the call", () => {
    const last = signs(["8", 9], ["9", 9], ["6", 8]);
    expect(verdictOf(signs(["1", 1], ["1", 1], ["1", 1]), last, "a sum", 5000)).toEqual({
      message: "rank 2 has not come to a sum within 5 s, though alive",
      rank: 2,
    });
  });
  it("is nobody where all came", () => {
    expect(verdictOf(signs(["1", 1], ["1", 1]), signs(["2", 3], ["2", 3]), "a sum", 5000).rank).toBeUndefined();
  });
  it.each([500, 3000, 20_000, 120_000, 1_800_000])("is found out within a timeout of %i ms", (timeout) => {
    const { call, answer, silence, beat } = patienceOf(timeout);
    expect(call + Math.max(answer, silence + 2 * beat)).toBeLessThanOrEqual(timeout);
    expect(3 * beat).toBeLessThan(silence);
  });
});
