// The solver of plans against exhaustive search, and what its answers promise.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../linalg/random.js";
import { type Priced, planCurve } from "./curve.js";
import { isUnreachable, type Solution, solvePlan } from "./solve.js";

const number = (max: number) => fc.double({ min: 0, max, noNaN: true, noDefaultInfinity: true }).map(Math.fround);
const candidate = fc.record({ price: number(10), loss: number(5) });
const whole = fc.record({ price: fc.integer({ min: 0, max: 9 }), loss: fc.integer({ min: 0, max: 9 }) });
const items = fc.array(fc.array(fc.oneof(candidate, whole), { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 5,
});

function* choices(table: readonly (readonly Priced[])[]): Generator<Priced> {
  const [first, ...rest] = table;
  if (first === undefined) yield { price: 0, loss: 0 };
  else {
    for (const other of rest.length > 0 ? choices(rest) : [{ price: 0, loss: 0 }])
      for (const { price, loss } of first) yield { price: price + other.price, loss: loss + other.loss };
  }
}

const solved = (
  table: readonly (readonly Priced[])[],
  budget: number,
  steps?: number,
): Solution<Priced> | undefined => {
  const found = solvePlan(table, budget, steps === undefined ? {} : { steps });
  return isUnreachable(found) ? undefined : found;
};

/** Layers with concave savings and noise, as convolutions have them. */
function layers(count: number, candidates: number, seed: number): Priced[][] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const [size, weight] = [random.next() + 0.1, random.next() + 0.01];
    const made = Array.from({ length: candidates - 1 }, () => {
      const kept = 0.05 + 0.9 * random.next();
      return { price: size * kept, loss: weight * (Math.exp(-4 * kept) + 0.1 * random.next()) };
    });
    return [{ price: size, loss: 0 }, ...made];
  });
}

describe("a plan", () => {
  test("equals exhaustive search on small tables", () => {
    fc.assert(
      fc.property(items, fc.double({ min: 0, max: 1, noNaN: true }), (table, share) => {
        const all = [...choices(table)];
        const most = Math.max(...all.map(({ price }) => price));
        const budget = share * most;
        const best = Math.min(...all.filter(({ price }) => price <= budget).map(({ loss }) => loss));
        const found = solved(table, budget);
        if (found === undefined) {
          // Sums in another order may differ in the last place.
          expect(Math.min(...all.map(({ price }) => price))).toBeGreaterThan(budget * (1 - 1e-12));
          return;
        }
        expect(found.price).toBeLessThanOrEqual(budget * (1 + 1e-12));
        const near = all.filter(({ price }) => price <= budget * (1 + 1e-12)).map(({ loss }) => loss);
        expect(found.loss).toBeLessThanOrEqual(best + 1e-9);
        expect(found.loss).toBeGreaterThanOrEqual(Math.min(...near) - 1e-9);
      }),
      { numRuns: 400 },
    );
  });

  test("says the sums of what it chose, one candidate an item", () => {
    fc.assert(
      fc.property(items, (table) => {
        const found = solved(table, Number.POSITIVE_INFINITY)!;
        for (const [i, one] of found.chosen.entries()) expect(table[i]).toContain(one);
        expect(found.loss).toBeCloseTo(
          found.chosen.reduce((sum, { loss }) => sum + loss, 0),
          9,
        );
        expect(found.loss).toBeCloseTo(
          table.reduce((sum, candidates) => sum + Math.min(...candidates.map(({ loss }) => loss)), 0),
          9,
        );
      }),
    );
  });

  test("never loses less for a smaller budget", () => {
    fc.assert(
      fc.property(
        items,
        fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 2, maxLength: 8 }),
        (table, budgets) => {
          const losses = budgets
            .sort((a, b) => a - b)
            .map((budget) => solved(table, budget)?.loss ?? Number.POSITIVE_INFINITY);
          for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThanOrEqual(losses[i - 1]! + 1e-12);
        },
      ),
    );
    const table = layers(60, 40, 3);
    const losses = Array.from({ length: 60 }, (_, i) => solved(table, 4 + i * 0.4)?.loss ?? Number.POSITIVE_INFINITY);
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThanOrEqual(losses[i - 1]!);
  });

  test("below what is reachable is a reason with the cheapest choice, not an error", () => {
    const table = [
      [
        { price: 3, loss: 1 },
        { price: 5, loss: 0 },
      ],
      [{ price: 2, loss: 0 }],
    ];
    const found = solvePlan(table, 4);
    expect(isUnreachable(found) && found.least.price).toBe(5);
    expect(() => solvePlan([[]], 4)).toThrow(/no candidate/);
    expect(() => solvePlan([[{ price: Number.NaN, loss: 0 }]], 4)).toThrow(/finite/);
    expect(() => solvePlan(table, Number.NaN)).toThrow(/budget/);
    expect(solvePlan([], 4)).toEqual({ chosen: [], price: 0, loss: 0 });
  });

  test("for 200 layers of 60 candidates takes less than half a second, and a coarser grid loses hardly more", () => {
    const table = layers(200, 60, 5);
    const total = table.reduce((sum, [dense]) => sum + dense!.price, 0);
    const found = solved(table, total * 0.5)!;
    const times = [1, 2, 3].map(() => {
      const started = performance.now();
      solved(table, total * 0.5);
      return performance.now() - started;
    });
    expect(Math.min(...times)).toBeLessThan(500); // another process may take the processor meanwhile
    const curve = planCurve(table);
    const above = curve.find(({ price }) => price > total * 0.5)!;
    expect(found.loss).toBeGreaterThanOrEqual(above.loss); // the relaxed optimum bounds it from below
    expect(solved(table, total * 0.5, 100)!.loss).toBeLessThan(found.loss * 1.001);
  });
});

describe("the curve of a plan", () => {
  test("falls in convex steps from the cheapest choice to the one without loss", () => {
    fc.assert(
      fc.property(items, (table) => {
        const curve = planCurve(table);
        let last = Number.POSITIVE_INFINITY;
        for (let i = 1; i < curve.length; i++) {
          const slope = (curve[i - 1]!.loss - curve[i]!.loss) / (curve[i]!.price - curve[i - 1]!.price);
          if (!Number.isFinite(slope)) continue; // two prices that the sum cannot tell apart
          if (curve[i]!.price - curve[i - 1]!.price > 1e-6) {
            expect(slope).toBeLessThanOrEqual(last * (1 + 1e-5) + 1e-5);
            last = slope;
          }
        }
        const chosen = curve.at(-1)!.chosen();
        expect(chosen.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(curve.at(-1)!.loss, 6);
      }),
    );
  });
});
