// Which candidates a plan by time looks at.
import { expect, test } from "vitest";
import { candidatesOf } from "../basis/candidates.js";
import type { Family } from "../basis/factors.js";
import type { Calibration } from "../calibrate/calibrated.js";
import { dense, type LayerChoice } from "../calibrate/choices.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import {
  candidatesFor,
  leastShareOf,
  limitsFor,
  onBlocks,
  tellFew,
  tellSmall,
  tellWide,
  worthTiming,
} from "./plan-candidates.js";

const shape = (c: number) => ({ n: c, c, kernel: [3, 3] as const, stride: [1, 1] as const });

const choice = (family: Family, macs: number, error: number): LayerChoice => ({
  candidate: { family, ranks: family === "dense" ? [] : [macs] },
  ...{ error, macs, weights: macs },
});

test("leaves out grouped convolutions and chains of three where another choice costs and loses no more", () => {
  const [whole, pair] = [choice("dense", 100, 0), choice("separable", 50, 0.1)];
  const kept = [whole, pair, choice("own-bases", 40, 0.1), choice("separable-pointwise", 60, 0.05)];
  const dropped = [
    choice("own-bases", 50, 0.2),
    choice("separable-pointwise", 55, 0.1),
    choice("own-bases", 100, 0.01),
  ];
  expect(worthTiming([...kept, ...dropped])).toEqual(kept);
  // The same in two plain families says nothing: which is faster is measured.
  expect(worthTiming([whole, pair, choice("one-split", 60, 0.2)])).toHaveLength(3);
});

test("gives large patches fewer candidates, and the widest one basis, and tells it", () => {
  expect(candidatesFor(shape(64), "time").families).toContain("own-bases");
  expect(candidatesFor(shape(256), "time").families).toEqual(["one-split", "separable", "low-rank"]);
  expect(candidatesFor(shape(1024), "time").families).toEqual(["one-split", "low-rank"]);
  const told: string[] = [];
  const layers = [256, 1024].map((c) => ({ layer: { name: `c${c}`, shape: shape(c) }, choices: [] }));
  tellWide({ layers: layers as never }, { note: (text) => told.push(text) });
  expect(told).toEqual([expect.stringMatching(/candidate of c1024$/)]);
});

test("gives the layers of a network of many fewer candidates", () => {
  const engine = { algebra: pureLinearAlgebra };
  const [few, many] = [limitsFor(80, engine), limitsFor(81, engine)];
  expect(candidatesFor(shape(32), "time", few).families).toContain("own-bases");
  expect(candidatesFor(shape(32), "time", many).families).toEqual(["one-split", "separable", "low-rank"]);
  expect(candidatesFor(shape(28), "time", many).families).toContain("own-bases");
  expect(many.widest).toBeLessThanOrEqual(few.widest);
  const multiples = (limits: typeof few) => candidatesFor(shape(28), "time", { ...limits, block: 16 }).multiples;
  expect([multiples(few), multiples(many)]).toEqual([[16, 1], [16]]);
});

test("leaves the smallest layers of a network of many as they are where time is to be saved, and tells it", () => {
  expect([leastShareOf(80, "time"), leastShareOf(81, "time"), leastShareOf(81, "weights")]).toEqual([0, 1e-3, 0]);
  const sized = (side: number) => {
    const macs = 9 * 32 * 32 * side * side;
    return { layer: { name: `of ${side}`, shape: shape(32), side }, choices: [{ candidate: dense, macs }] };
  };
  const layers = [128, 4, 2].map(sized);
  const of = ({ side }: { side: number }) => [{ input: [side, side], output: [side, side], images: 1 }];
  const macs = layers.reduce((sum, { choices }) => sum + choices[0]!.macs, 0);
  const extents = { macs, weights: 1, of };
  const told: string[] = [];
  tellSmall({ layers, extents } as never, 1e-3, { note: (text) => told.push(text) });
  tellSmall({ layers, extents } as never, 5e-4, { note: (text) => told.push(text) });
  expect(told).toEqual([
    "2 of 3 layers stay as they are: below 0.1 % of the multiply-accumulates each, 0.12 % together",
    "1 of 3 layers stay as they are: below 0.05 % of the multiply-accumulates each, 0.024 % together",
  ]);
});

test("tells layers of which the data shows fewer places than they have inputs", () => {
  const shape = { n: 4, c: 512, kernel: [1, 1] as const, stride: [1, 1] as const };
  const dense = { candidate: { family: "dense", ranks: [] }, error: 0, macs: 2048 * 4, weights: 2048 };
  const layers = [{ layer: { name: "wide", shape }, choices: [dense] }];
  const told: string[] = [];
  tellFew({ layers: layers as never }, { count: 127 }, { note: (text) => told.push(text) });
  tellFew({ layers: layers as never }, { count: 128 }, { note: (text) => told.push(text) });
  expect(told).toEqual([expect.stringMatching(/wide \(508 of 512\)/)]);
});

test("ranks are free too where patches are small; those that the runtime would pad are not for plans by time", () => {
  const small = candidatesFor(shape(32), "time", { block: 16 });
  expect(small.multiples).toEqual([16, 1]);
  expect(candidatesFor(shape(256), "time", { block: 16 }).multiples).toEqual([16]);
  expect(candidatesFor(shape(32), "time").multiples).toEqual([1]);
  const choices = [dense, ...candidatesOf(shape(32), small)].map((candidate) => ({ candidate }));
  const [layer] = onBlocks({ layers: [{ layer: { shape: shape(32) }, choices }] } as unknown as Calibration, 16).layers;
  const ranks = layer!.choices.flatMap(({ candidate }) => candidate.ranks);
  expect(ranks.length).toBeGreaterThan(5);
  expect(ranks.every((rank) => rank % 16 === 0 || (rank <= 12 && rank % 4 === 0))).toBe(true);
  expect(choices.length).toBeGreaterThan(layer!.choices.length);
});
