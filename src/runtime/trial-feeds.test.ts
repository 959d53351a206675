// Inputs of several kinds: seeded, of the right types, different from each other; values that are stated stand.
import { describe, expect, test } from "vitest";
import { oneConv } from "../../test/small-graphs.js";
import { float32Tensor } from "../graph/attributes.js";
import { floats, numbers, tensorOf } from "../graph/values.js";
import { nudgedFeeds, nudgedWeights } from "./nudge.js";
import type { Port } from "./session.js";
import { feedKinds, trialFeeds } from "./trial-feeds.js";

const image: Port = { name: "x", type: "float32", dims: [1, 3, 20, 24] };

describe.each(feedKinds)("%s", (kind) => {
  test("is seeded and fills its range", () => {
    const { x } = trialFeeds([image], kind, { seed: 3 });
    expect(trialFeeds([image], kind, { seed: 3 }).x).toEqual(x);
    expect(trialFeeds([image], kind, { seed: 4 }).x).not.toEqual(x);
    const values = [...floats(x!)];
    const [low, high] = kind === "normal" ? [-6, 6] : kind.split(" ")[1]!.split("..").map(Number);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(low!);
    expect(Math.max(...values)).toBeLessThanOrEqual(high!);
    expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.5 * Math.min(1, high! - low!));
  });

  test("takes any rank, half precision, and bytes of images on 0..255", () => {
    const ports: Port[] = [
      { name: "scalar", type: "float32", dims: [] },
      { name: "vector", type: "float32", dims: [7] },
      { name: "half", type: "float16", dims: [1, 4, 5] },
      { name: "bytes", type: "uint8", dims: [1, 16, 16, 3] },
      { name: "index", type: "int64", dims: [1, 4] },
      { name: "flag", type: "bool", dims: [1] },
    ];
    const feeds = trialFeeds(ports, kind);
    for (const { name, type, dims } of ports) expect(feeds[name]).toMatchObject({ type, dims });
    expect(Math.max(...numbers(feeds.bytes!))).toBeGreaterThan(100);
    expect(Math.max(...numbers(feeds.index!))).toBeLessThanOrEqual(1);
  });
});

test("kinds differ, and stated values are fed as they are", () => {
  const values = new Map([["rate", tensorOf("int64", [], [16000])]]);
  const rate: Port = { name: "rate", type: "int64", dims: [] };
  const all = feedKinds.map((kind) => trialFeeds([image, rate], kind, { values }));
  expect(new Set(all.map(({ x }) => [...floats(x!)].slice(0, 9).join())).size).toBe(feedKinds.length);
  for (const { rate: fed } of all) expect(fed).toBe(values.get("rate"));
});

test("neighbouring pixels of smooth images are near each other", () => {
  const { x } = trialFeeds([{ ...image, dims: [1, 1, 64, 64] }], "smooth 0..1");
  const values = floats(x!);
  const step =
    values.reduce((sum, value, i) => sum + (i % 64 === 0 ? 0 : Math.abs(value - values[i - 1]!)), 0) / values.length;
  expect(step).toBeLessThan(0.05);
});

describe("nudged by one rounding", () => {
  test("floats move, by no more than a rounding of their surroundings; whole numbers stay", () => {
    const feeds = { x: float32Tensor([4], Float32Array.of(1, -2, 1000, 0)), n: tensorOf("int64", [1], [5]) };
    const moved = nudgedFeeds(feeds);
    expect(moved.n).toBe(feeds.n);
    const [a, b] = [floats(moved.x!), floats(feeds.x)];
    for (let i = 0; i < 4; i++) expect(Math.abs(a[i]! - b[i]!)).toBeLessThanOrEqual(Math.abs(b[i]!) * 2 ** -22);
    expect([...a]).not.toEqual([...b]);
  });

  test("weights move, vectors stay", () => {
    const graph = oneConv({ outChannels: 4, inChannels: 3, kernel: [3, 3] });
    const moved = nudgedWeights(graph);
    expect(moved.initializers.get("conv.bias")).toBe(graph.initializers.get("conv.bias"));
    const [a, b] = [moved, graph].map(({ initializers }) => floats(initializers.get("conv.weight")!));
    expect(a!.some((value, i) => value !== b![i])).toBe(true);
    expect(a!.every((value, i) => Math.abs(value - b![i]!) < 1e-6)).toBe(true);
  });
});
