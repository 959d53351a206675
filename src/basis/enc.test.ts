// ENC-Map against the ranks that its authors published for ResNet-56.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { noShared, shared } from "../../test/shared.js";
import { encMostRank, encQuality, encRank } from "./enc.js";

/** Block convolutions of the authors' model at half of the complexity. */
// biome-ignore format: one line a stage
const published = [
  9, 9, 12, 12, 11, 11, 12, 13, 14, 13, 13, 13, 13, 13, 13, 13, 13, 12,
  16, 25, 25, 27, 21, 23, 25, 24, 25, 23, 28, 27, 28, 26, 18, 17, 26, 21,
  36, 53, 52, 53, 54, 54, 55, 53, 57, 53, 57, 50, 56, 46, 55, 26, 39, 10,
];

const file = shared("spec/enc-res56-singular-values.json");

describe("ENC-Map", () => {
  test("saves nothing from the published ranks on", () => {
    const pairs = [
      [16, 16],
      [32, 16],
      [32, 32],
      [64, 32],
      [64, 64],
    ] as const;
    expect(pairs.map(([n, c]) => encMostRank(n, c, [3, 3]))).toEqual([24, 32, 48, 64, 96]);
  });

  test("gives every rank from 1 to the most as its level rises from 0 to 1", () => {
    const quality = encQuality([4, 2, 1, 1, 0.5], 4);
    expect([...quality]).toEqual([0, 0.5, 0.75, 1]);
    expect([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1].map((level) => encRank(quality, level))).toEqual([1, 1, 2, 2, 3, 4, 4]);
    expect(encRank(encQuality([1, 0, 0], 3), 0.4)).toBe(1);
  });

  test.skipIf(file === undefined)(
    `from the published singular values, has the published ranks within 1 (${file ? "there" : noShared})`,
    () => {
      const { singularValues } = JSON.parse(readFileSync(file!, "utf8")) as {
        singularValues: Record<string, number[]>;
      };
      const blocks = Object.entries(singularValues).filter(([name]) => name !== "first_conv");
      const layers = blocks.map(([name, values], i) => {
        const [stage, place] = [Math.floor(i / 18), i % 18];
        const n = 16 << stage;
        const c = place === 0 && stage > 0 ? n / 2 : n;
        expect(name).toBe(`group${stage}_block${place >> 1}_conv${place & 1}`);
        return {
          quality: encQuality(values, values.length),
          cost: 3 * (c + n) * (32 >> stage) ** 2,
          most: values.length,
        };
      });
      const stem = 10 * (27 + 16) * 1024;
      const all = stem + layers.reduce((sum, { cost, most }) => sum + cost * most, 0);
      const ranks = (level: number) => layers.map(({ quality }) => encRank(quality, level));
      const total = (level: number) => stem + ranks(level).reduce((sum, rank, i) => sum + rank * layers[i]!.cost, 0);
      let [low, high] = [0, 1];
      for (let step = 0; step < 40; step++) {
        const middle = (low + high) / 2;
        if (total(middle) <= 0.5 * all) low = middle;
        else high = middle;
      }
      expect(low).toBeCloseTo(0.763, 2);
      const differences = ranks(low).map((rank, i) => Math.abs(rank - published[i]!));
      expect(Math.max(...differences)).toBeLessThanOrEqual(1);
      expect(differences.reduce((sum, one) => sum + one, 0) / 54).toBeLessThan(0.4);
      expect(Math.abs(total(low) / all - 0.5)).toBeLessThan(0.005);
    },
  );
});
