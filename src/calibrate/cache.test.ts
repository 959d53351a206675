// The cache of a calibration: a second run looks at no image; what is damaged or of something else is made anew.
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { float32Tensor, ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { Random } from "../linalg/random.js";
import { openCalibrationCache } from "./cache.js";
import { calibrate, fitPlan, planByMacs } from "./calibrated.js";
import type { CalibrationImages, Values } from "./engine.js";
import { torchEngine } from "./torch-engine.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-calibration-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const random = new Random("cache");
const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());

const graph: Graph = {
  name: "two",
  nodes: [
    makeNode("Conv", ["x", "a"], ["p"], { pads: ints([1, 1, 1, 1]) }, { name: "p" }),
    makeNode("Conv", ["p", "b"], ["y"], {}, { name: "y" }),
  ],
  initializers: new Map([
    ["a", float32Tensor([6, 3, 3, 3], numbers(162))],
    ["b", float32Tensor([4, 6, 3, 3], numbers(216))],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 8, 8] } }],
  outputs: [{ name: "y", tensor: { type: "float32" } }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};

const pixels = numbers(4 * 192);
let looked = 0;
const images: CalibrationImages = {
  count: 4,
  key: "noise",
  feeds(first, count): Values {
    looked++;
    return { x: float32Tensor([count, 3, 8, 8], pixels.slice(first * 192, (first + count) * 192)) };
  },
};

/** What a calibration finds, and how often it looked at images. */
async function run(of: Graph = graph, pictures: CalibrationImages = images) {
  looked = 0;
  const engine = torchEngine();
  const cache = openCalibrationCache(of, pictures, engine, { folder });
  const calibration = await calibrate(of, pictures, engine, { cache, candidates: { families: ["one-split"] } });
  const errors = calibration.layers.map(({ choices }) => choices.map(({ error }) => error));
  const { chosen } = planByMacs(calibration, 0.5);
  const filters = (await fitPlan(calibration, chosen, engine.algebra)).map((one) => [...one.filters.data]);
  return { found: { errors, filters }, looked };
}

/** Sizes are read from one image; that is no look at what layers see. */
const sizesOnly = 1;

async function files(): Promise<string[]> {
  const [key = ""] = await readdir(folder);
  return (await readdir(join(folder, key))).sort().map((name) => join(folder, key, name));
}

describe("a calibration that was done before", () => {
  test("gives the same without looking at an image", async () => {
    const first = await run();
    expect(first.looked).toBeGreaterThan(sizesOnly);
    const second = await run();
    expect(second.looked).toBe(sizesOnly);
    expect(second.found).toEqual(first.found);
    expect((await files()).length).toBe(4);
  });

  test("is made anew where its files are cut, changed or of another version", async () => {
    const { found } = await run();
    for (const path of await files()) {
      const good = await readFile(path);
      const changed = Buffer.from(good);
      changed[good.length - 9]! ^= 1;
      for (const spoil of [
        () => truncate(path, good.length >> 1),
        () => writeFile(path, changed),
        () => writeFile(path, ""),
      ]) {
        await spoil();
        expect((await run()).found).toEqual(found);
        expect((await readFile(path)).equals(good)).toBe(true);
      }
    }
  });

  test("does not count for other weights, other images or other settings", async () => {
    await run();
    const other = {
      ...graph,
      initializers: new Map([...graph.initializers, ["b", float32Tensor([4, 6, 3, 3], numbers(216))]]),
    };
    expect((await run(other as Graph)).looked).toBeGreaterThan(sizesOnly);
    expect((await run(graph, { ...images, key: "other noise" })).looked).toBeGreaterThan(sizesOnly);
    const { key: _, ...nameless } = images;
    expect((await run(graph, nameless)).looked).toBeGreaterThan(sizesOnly);
    expect((await readdir(folder)).length).toBe(3);
  });

  test("whose folder cannot be written is done all the same", async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, "a file in the way");
    expect((await run()).found.errors.length).toBe(2);
  });

  test("keeps how much layers count, by what it was measured with", async () => {
    const cache = openCalibrationCache(graph, images, torchEngine(), { folder })!;
    await cache.keepSensitivities("one", { a: 0.5, b: 2 });
    expect(await cache.sensitivities("one")).toEqual({ a: 0.5, b: 2 });
    expect(await cache.sensitivities("another")).toBeUndefined();
    const [path = ""] = await files();
    await truncate(path, 9);
    expect(await cache.sensitivities("one")).toBeUndefined();
  });
});

test("a plan that was fitted is not fitted again; another one is", async () => {
  const engine = torchEngine();
  const calibration = await calibrate(graph, images, engine, { candidates: { families: ["one-split"] } });
  const asked: number[] = [];
  const moments: typeof calibration.moments = (layers) => {
    asked.push(layers.length);
    return calibration.moments(layers);
  };
  const counting = { ...calibration, moments };
  const [half, third] = [0.5, 0.35].map((keep) => planByMacs(calibration, keep).chosen);
  const first = await fitPlan(counting, half!, engine.algebra);
  expect(await fitPlan({ ...counting }, half!, engine.algebra)).toEqual(first);
  expect(await fitPlan(counting, third!, engine.algebra)).not.toEqual(first);
  expect(await fitPlan(counting, half!, engine.algebra)).toEqual(first);
  expect([asked[0]! > 0, asked[1], asked[2]! > 0, asked[3]]).toEqual([true, 0, true, 0]);
  expect(await fitPlan(counting, half!, engine.algebra, { floor: 1e-2 })).not.toEqual(first);
});
