import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromArray } from "../torch/index.js";
import { partOf } from "./sources.js";
import { sameWeights } from "./together.js";
import { alone, fromFirst, gather, rowsOf, type World } from "./world.js";

/** Processes of this thread, whose sums meet here; broadcasts are rank 0's. */
function worlds(size: number): readonly World[] {
  let waiting: (() => void)[] = [];
  let values: Float64Array[] = [];
  const meet = (act: () => void): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length < size) return;
      act();
      for (const go of waiting) go();
      [waiting, values] = [[], []];
    });
  return Array.from({ length: size }, (_, rank) => ({
    ...alone,
    rank,
    size,
    allReduce([tensor]) {
      const own = tensor!.elements() as Float64Array;
      values.push(own);
      return meet(() => {
        const sum = own.map((_, i) => values.reduce((all, one) => all + one[i]!, 0));
        for (const one of values) one.set(sum);
      });
    },
    async broadcast([tensor]) {
      const own = tensor!.elements() as unknown as Float64Array;
      values[rank] = own;
      await meet(() => {
        for (const one of values) one.set(values[0]!);
      });
    },
  }));
}

const together = <T>(size: number, run: (world: World) => Promise<T>): Promise<T[]> =>
  Promise.all(worlds(size).map(run));

describe("the rows of a batch", () => {
  it("are shared out: each to one process, every size-th to the same, shares that add up to one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 }), (count, size) => {
        const parts = Array.from({ length: size }, (_, rank) => rowsOf(count, { rank, size }));
        expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
        const all = parts.flatMap(({ rows }) => rows).sort((a, b) => a - b);
        const every = Array.from({ length: count }, (_, row) => row);
        if (count >= size) expect(all).toEqual(every);
        else for (const { rows } of parts) expect(rows).toEqual(every); // everybody computes what cannot be shared out
        for (const [rank, { rows }] of parts.entries())
          if (count >= size) expect(rows.every((row) => row % size === rank)).toBe(true);
      }),
    );
  });

  it("hold the images and truths of the whole batch", () => {
    const batch = {
      input: Float32Array.from({ length: 5 * 2 }, (_, i) => i),
      inputDims: [5, 1, 2],
      target: BigInt64Array.from([0n, 1n, 2n, 3n, 4n]),
      targetDims: [5],
    };
    const part = partOf(batch, { rank: 1, size: 2 });
    expect(part).toEqual({
      ...{ input: Float32Array.of(2, 3, 6, 7), inputDims: [2, 1, 2] },
      ...{ target: BigInt64Array.of(1n, 3n), targetDims: [2], share: 2 / 5 },
    });
  });
});

describe("processes together", () => {
  it("gather numbers by rank, and get bytes, empty or absent, from the first", async () => {
    const found = await together(3, (world) => gather(world, [world.rank, 0.1 + world.rank]));
    for (const rows of found)
      expect(rows.map((row) => [...row])).toEqual([
        [0, 0.1],
        [1, 1.1],
        [2, 2.1],
      ]);
    for (const bytes of [Uint8Array.of(7, 0, 255), new Uint8Array(0), undefined]) {
      const own = (world: World) => fromFirst(world, world.rank === 0 ? bytes : Uint8Array.of(1));
      for (const one of await together(3, own)) expect(one).toEqual(bytes);
    }
  });

  it("find the rank whose weights are not the first one's, down to the last bit", async () => {
    const weights = (last: number) => [["w", fromArray(Float32Array.of(1, last), [2])]] as const;
    await together(3, (world) => sameWeights(world, weights(2)));
    const checks = together(3, (world) => sameWeights(world, weights(world.rank === 2 ? 2 + 2 ** -22 : 2)));
    await expect(checks).rejects.toMatchObject({ code: "checksum", facts: { rank: 2 } });
  });
});
