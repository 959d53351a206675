// New biases of layers behind a ReLU: the right mean there, and what a bias for the output itself would do instead.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../linalg/random.js";
import { biasBehindRelu } from "./relu-bias.js";
import { SampleStore } from "./sample-store.js";

interface Drawn {
  readonly n: number;
  readonly rows: number;
  readonly made: Float32Array;
  readonly wanted: Float32Array;
  readonly shortcut?: Float32Array;
}

function storeOf({ n, rows, made, wanted, shortcut }: Drawn, batches: readonly boolean[] = [false, true]): SampleStore {
  const store = new SampleStore(n, n, { expected: rows * batches.length, rows: Number.POSITIVE_INFINITY });
  for (const held of batches) store.add(rows, made, wanted, shortcut, held);
  return store;
}

const behind = ({ made, wanted, shortcut, n }: Drawn, shift: Float64Array) => {
  let [error, lacking, meanly] = [0, 0, 0];
  for (let i = 0; i < made.length; i++) {
    const s = shortcut?.[i] ?? 0;
    const [is, should] = [Math.max(0, made[i]! + s + shift[i % n]!), Math.max(0, wanted[i]! + s)];
    error += (is - should) ** 2;
    lacking += should - is;
    meanly += wanted[i]! - made[i]!;
  }
  return { error, lacking, meanly };
};

/** Of a channel that is below zero nearly everywhere: what was compressed made the low values less low. */
function sparse(seed: number, n: number): Drawn {
  const draw = new Random(seed);
  const rows = 400;
  const wanted = Float32Array.from({ length: rows * n }, () =>
    draw.next() < 0.1 ? draw.normal() ** 2 : -5 - draw.next(),
  );
  const made = wanted.map((value) => (value < 0 ? 0.9 * value : value + 0.1) + 0.02 * draw.normal());
  return { n, rows, made, wanted };
}

describe("a bias behind a ReLU", () => {
  test("leaves alone what the ReLU hides, where the mean of the output would be moved", () => {
    const drawn = sparse(1, 1);
    const { meanly } = behind(drawn, new Float64Array(1));
    const usual = Float64Array.of(meanly / drawn.rows);
    const { shift, before, after } = biasBehindRelu(storeOf(drawn));
    expect(Math.abs(usual[0]!)).toBeGreaterThan(0.3);
    expect(shift[0]).toBeCloseTo(-0.1, 1);
    expect(behind(drawn, shift).error).toBeLessThan(behind(drawn, new Float64Array(1)).error);
    expect(behind(drawn, usual).error).toBeGreaterThan(5 * behind(drawn, shift).error);
    expect(after).toBeLessThan(before);
  });

  test("makes the mean behind the ReLU right in every channel that it moves, and no error there larger", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 5 }), fc.boolean(), (seed, n, added) => {
        const draw = new Random(seed);
        const rows = 60;
        const normal = (by: number) => Float32Array.from({ length: rows * n }, () => by * draw.normal());
        const wanted = normal(1);
        const noise = normal(0.3);
        const made = wanted.map((value, i) => value + noise[i]! + 0.4 * (i % n) - 0.5);
        const drawn: Drawn = { n, rows, made, wanted, ...(added && { shortcut: normal(0.5) }) };
        const { shift, before, after } = biasBehindRelu(storeOf(drawn));
        expect(after).toBeLessThanOrEqual(before);
        const none = behind(drawn, new Float64Array(n));
        expect(behind(drawn, shift).error).toBeLessThanOrEqual(none.error * (1 + 1e-6));
        for (let o = 0; o < n; o++) {
          if (shift[o] === 0) continue;
          const of = (values: Float32Array) => values.filter((_, i) => i % n === o);
          const channel = { ...drawn, n: 1, made: of(made), wanted: of(wanted) };
          const own = added ? { ...channel, shortcut: of(drawn.shortcut!) } : channel;
          expect(Math.abs(behind(own, Float64Array.of(shift[o]!)).lacking)).toBeLessThan(1e-4);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("moves nothing where nothing lacks, where no place is above zero, or where one image alone would gain", () => {
    const [n, rows] = [3, 20];
    const below = new Float32Array(n * rows).fill(-1);
    expect([...biasBehindRelu(storeOf({ n, rows, made: below, wanted: below })).shift]).toEqual([0, 0, 0]);
    const draw = new Random(3);
    const wanted = Float32Array.from({ length: n * rows }, () => draw.normal());
    expect([...biasBehindRelu(storeOf({ n, rows, made: wanted, wanted })).shift]).toEqual([0, 0, 0]);
    const store = new SampleStore(n, n, { expected: 2 * rows, rows: 2 * rows });
    store.add(
      rows,
      wanted.map((value) => value - 1),
      wanted,
      undefined,
      false,
    );
    store.add(
      rows,
      wanted.map((value) => value + 1),
      wanted,
      undefined,
      true,
    );
    expect([...biasBehindRelu(store).shift]).toEqual([0, 0, 0]);
  });

  test("switches a channel off that should be, and on again one that no place reaches any more", () => {
    const [n, rows] = [2, 50];
    const draw = new Random(4);
    const made = Float32Array.from({ length: n * rows }, (_, i) => (i % 2 === 0 ? draw.next() : -2 - draw.next()));
    const wanted = Float32Array.from({ length: n * rows }, (_, i) => (i % 2 === 0 ? -1 : made[i]! + 3));
    const { shift, after } = biasBehindRelu(storeOf({ n, rows, made, wanted }));
    expect(behind({ n, rows, made, wanted }, shift).error).toBeLessThan(1e-6);
    expect(shift[1]).toBeCloseTo(3, 4);
    expect(after).toBeCloseTo(0, 6);
  });
});

describe("a store of samples", () => {
  test("keeps about as many rows as it may, of every batch, each with what belongs to it", () => {
    const rows = 100;
    const store = new SampleStore(1, 1, { expected: 10 * rows, rows: 50 });
    const x = Float32Array.from({ length: rows }, (_, i) => i);
    for (let batch = 0; batch < 10; batch++)
      store.add(
        rows,
        x,
        x.map((value) => value + 0.5),
        x.map((value) => -value),
        batch % 2 === 1,
      );
    expect(store.kept.map((one) => one.rows)).toEqual(Array(10).fill(5));
    for (const { x: kept, y, s } of store.kept) {
      expect([...y]).toEqual([...kept].map((value) => value + 0.5));
      expect([...s!]).toEqual([...kept].map((value) => (value === 0 ? -0 : -value)));
      expect([...kept]).toEqual([...kept].sort((a, b) => a - b));
    }
    expect(new Set(store.kept.flatMap((one) => [...one.x])).size).toBeGreaterThan(20);
  });
});
