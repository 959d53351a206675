import { expect, test } from "vitest";
import { allowingNoiseOf } from "./allow-noise.js";
import type { ReferenceSet } from "./reference.js";
import type { OutputRule } from "./tolerance.js";

const rule = (name: string, max: number): OutputRule => ({
  name,
  type: "float32",
  state: "compared",
  stepwise: false,
  tolerances: [{ max, rms: max / 2, share: 0, near: 0, noise: { max: 0, rms: 0 }, moves: 0 }],
});
const reference = (...rules: readonly OutputRule[]): ReferenceSet => ({
  ...{ feeds: [], outputs: [], random: [], still: false, options: {} },
  rules,
});

test("what both may be off by is added, output by output; an output that the other has not keeps its own", () => {
  const both = allowingNoiseOf(reference(rule("a", 1), rule("b", 1)), reference(rule("a", 3)));
  expect(both.rules.map(({ tolerances }) => tolerances[0]!.max)).toEqual([4, 1]);
  expect(both.rules.map(({ tolerances }) => tolerances[0]!.rms)).toEqual([2, 0.5]);
});
