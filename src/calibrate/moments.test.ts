// Moments of layers against a direct computation in doubles, on small graphs; sums over shards; libtorch against ONNX
// Runtime.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32Tensor, int, ints, makeNode, string } from "../graph/attributes.js";
import type { Attribute, Graph, Node, TensorData } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { CalibrationImages, Values } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import { activationMoments, type MomentOptions } from "./moments.js";
import { ortEngine, pureProducts } from "./ort-engine.js";
import {
  addSamples,
  finishCross,
  finishMoments,
  type Moments,
  mergedSums,
  newSums,
  type Shares,
  sumShares,
} from "./sums.js";
import { torchEngine } from "./torch-engine.js";

const random = new Random("moments");
const values = (count: number, mean = 0) => Float32Array.from({ length: count }, () => mean + random.normal());

function model(
  nodes: readonly Node[],
  weights: Readonly<Record<string, TensorData>>,
  dims: readonly (number | string)[],
): Graph {
  return {
    name: "small",
    nodes,
    initializers: new Map(Object.entries(weights)),
    inputs: [{ name: "x", tensor: { type: "float32", dims } }],
    outputs: [{ name: nodes.at(-1)!.outputs[0]!, tensor: { type: "float32" } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

function imagesOf(count: number, dims: readonly number[], mean = 0): CalibrationImages {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const all = values(count * size, mean);
  return {
    count,
    feeds: (first, number): Values => ({
      x: float32Tensor([number, ...dims], all.slice(first * size, (first + number) * size)),
    }),
  };
}

/** Runs what several processes do; their sums meet here. */
function together<T>(size: number, run: (shares: Shares) => Promise<T>): Promise<T[]> {
  let waiting: { readonly values: Float64Array; resolve(): void }[] = [];
  const sum = (own: Float64Array): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ values: own, resolve });
      if (waiting.length < size) return;
      const total = own.map((_, i) => waiting.reduce((all, { values: one }) => all + one[i]!, 0));
      for (const one of waiting) {
        one.values.set(total);
        one.resolve();
      }
      waiting = [];
    });
  return Promise.all(Array.from({ length: size }, (_, rank) => run({ rank, size, sum })));
}

const weight = (...dims: number[]) => float32Tensor(dims, values(dims.reduce((product, dim) => product * dim, 1)));

async function momentsOf(graph: Graph, images: CalibrationImages, options: MomentOptions = {}, engine = torchEngine()) {
  const found = new Map<string, Moments>();
  for await (const { layer, moments } of activationMoments(
    graph,
    findCalibratedLayers(graph).layers,
    images,
    engine,
    options,
  ))
    found.set(layer.name, moments);
  return found;
}

interface Window {
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly dilation?: readonly [number, number];
  /** top, left, bottom, right */
  readonly pads?: readonly [number, number, number, number];
}

/** Every patch of every image, one a row, in the plainest way. */
function patchesOf(
  data: TensorData,
  { kernel, stride = [1, 1], dilation = [1, 1], pads = [0, 0, 0, 0] }: Window,
): number[][] {
  const [n = 0, c = 0, h = 0, w = 0] = data.dims;
  const x = floats(data);
  const rows: number[][] = [];
  const reach = [0, 1].map((a) => (kernel[a]! - 1) * dilation[a]! + 1);
  for (let image = 0; image < n; image++)
    for (let top = -pads[0]; top + reach[0]! <= h + pads[2]; top += stride[0])
      for (let left = -pads[1]; left + reach[1]! <= w + pads[3]; left += stride[1]) {
        const row: number[] = [];
        for (let channel = 0; channel < c; channel++)
          for (let i = 0; i < kernel[0]; i++)
            for (let j = 0; j < kernel[1]; j++) {
              const [y, z] = [top + i * dilation[0], left + j * dilation[1]];
              row.push(y < 0 || z < 0 || y >= h || z >= w ? 0 : x[((image * c + channel) * h + y) * w + z]!);
            }
        rows.push(row);
      }
  return rows;
}

function expectMoments(found: Moments | undefined, rows: readonly (readonly number[])[], tolerance = 1e-5): void {
  const d = rows[0]!.length;
  expect(found?.places).toBe(rows.length);
  const mean = Array.from({ length: d }, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
  const scale = Math.max(...mean.map(Math.abs), 1);
  let wrong = 0;
  for (let i = 0; i < d; i++) {
    wrong = Math.max(wrong, Math.abs(found!.mean[i]! - mean[i]!) / scale);
    for (let j = 0; j < d; j++) {
      const direct = rows.reduce((sum, row) => sum + (row[i]! - mean[i]!) * (row[j]! - mean[j]!), 0) / rows.length;
      wrong = Math.max(wrong, Math.abs(found!.covariance.data[i * d + j]! - direct));
    }
  }
  expect(wrong).toBeLessThan(tolerance);
}

const conv = (inputs: readonly string[], output: string, attributes: Readonly<Record<string, Attribute>> = {}) =>
  makeNode("Conv", inputs, [output], attributes, { name: output });

describe("input moments equal a direct computation", () => {
  const windows: Readonly<Record<string, Window & { readonly attributes: Readonly<Record<string, Attribute>> }>> = {
    "with pads": { kernel: [3, 3], pads: [1, 1, 1, 1], attributes: { pads: ints([1, 1, 1, 1]) } },
    "with strides": { kernel: [3, 2], stride: [2, 3], attributes: { strides: ints([2, 3]) } },
    "with dilation and uneven pads": {
      kernel: [3, 3],
      dilation: [2, 1],
      pads: [2, 0, 1, 1],
      attributes: { dilations: ints([2, 1]), pads: ints([2, 0, 1, 1]) },
    },
    "with pads that follow from the size": {
      kernel: [3, 3],
      stride: [2, 2],
      pads: [1, 0, 1, 1],
      attributes: { auto_pad: string("SAME_UPPER"), strides: ints([2, 2]) },
    },
  };
  for (const [name, { attributes, ...window }] of Object.entries(windows)) {
    test(name, async () => {
      const [channels, height, width] = [3, 9, 8];
      const graph = model([conv(["x", "w"], "y", attributes)], { w: weight(4, channels, ...window.kernel) }, [
        "N",
        channels,
        "H",
        "W",
      ]);
      const images = imagesOf(5, [channels, height, width], 3);
      const found = await momentsOf(graph, images, { batch: 2 });
      expectMoments(found.get("y"), patchesOf((await images.feeds(0, 5)).x!, window));
    });
  }

  test("of a value with several readers, and behind another layer", async () => {
    const graph = model(
      [
        conv(["x", "a"], "p"),
        makeNode("Relu", ["p"], ["r"]),
        conv(["r", "b"], "q"),
        conv(["r", "c"], "s"),
        makeNode("Add", ["q", "s"], ["y"]),
      ],
      { a: weight(2, 3, 1, 1), b: weight(2, 2, 3, 3), c: weight(2, 2, 3, 3) },
      ["N", 3, 7, 7],
    );
    const images = imagesOf(4, [3, 7, 7]);
    const found = await momentsOf(graph, images, { batch: 3, memory: 1 }); // one layer a pass
    const x = floats((await images.feeds(0, 4)).x!);
    const a = floats(graph.initializers.get("a")!);
    const r = new Float32Array(4 * 2 * 49);
    for (let n = 0; n < 4; n++)
      for (let o = 0; o < 2; o++)
        for (let at = 0; at < 49; at++)
          r[(n * 2 + o) * 49 + at] = Math.max(
            0,
            [0, 1, 2].reduce((sum, c) => sum + a[o * 3 + c]! * x[(n * 3 + c) * 49 + at]!, 0),
          );
    const rows = patchesOf(float32Tensor([4, 2, 7, 7], r), { kernel: [3, 3] });
    expectMoments(found.get("q"), rows);
    expectMoments(found.get("s"), rows);
    expectMoments(found.get("p"), patchesOf((await images.feeds(0, 4)).x!, { kernel: [1, 1] }));
  });

  test("of a weight in several layers: over all of its places", async () => {
    const attributes = { pads: ints([1, 1, 1, 1]) };
    const graph = model(
      [conv(["x", "w"], "y1", attributes), conv(["y1", "w"], "y2", attributes)],
      { w: weight(2, 2, 3, 3) },
      ["N", 2, 5, 5],
    );
    const images = imagesOf(3, [2, 5, 5]);
    const found = await momentsOf(graph, images);
    const first = (await images.feeds(0, 3)).x!;
    const session = await torchEngine().open({ ...graph, nodes: graph.nodes.slice(0, 1), outputs: [{ name: "y1" }] });
    const { y1 } = await session.run({ x: first });
    await session.close();
    const window: Window = { kernel: [3, 3], pads: [1, 1, 1, 1] };
    expectMoments(found.get("y1"), [...patchesOf(first, window), ...patchesOf(y1!, window)], 1e-4);
    expect(found.size).toBe(1);
  });

  test("of one axis, and of fully connected layers", async () => {
    const along = model([conv(["x", "w"], "y", { strides: ints([2]), pads: ints([1, 0]) })], { w: weight(2, 3, 3) }, [
      "N",
      3,
      "L",
    ]);
    const images = imagesOf(3, [3, 8]);
    const { x } = (await images.feeds(0, 3)) as { x: TensorData };
    const flat = { ...x, dims: [3, 3, 1, 8] };
    expectMoments(
      (await momentsOf(along, images)).get("y"),
      patchesOf(flat, { kernel: [1, 3], stride: [1, 2], pads: [0, 1, 0, 0] }),
    );
    const gemm = makeNode("Gemm", ["x", "w"], ["y"], { transB: int(1) }, { name: "y" });
    const rows = imagesOf(6, [4]);
    const direct = Array.from({ length: 6 }, (_, i) => Array.from(floats((rows.feeds(i, 1) as Values).x!)));
    expectMoments((await momentsOf(model([gemm], { w: weight(5, 4) }, ["N", 4]), rows)).get("y"), direct);
    const product = makeNode("MatMul", ["x", "w"], ["y"], {}, { name: "y" });
    const words = imagesOf(3, [5, 4]);
    const all = floats((words.feeds(0, 3) as Values).x!);
    const vectors = Array.from({ length: 15 }, (_, i) => Array.from(all.subarray(4 * i, 4 * i + 4)));
    expectMoments((await momentsOf(model([product], { w: weight(4, 5) }, ["N", 5, 4]), words)).get("y"), vectors);
  });

  test("at random places, the same whatever the batch, near those of all places", async () => {
    const graph = model([conv(["x", "w"], "y", { pads: ints([1, 1, 1, 1]) })], { w: weight(2, 1, 3, 3) }, [
      "N",
      1,
      40,
      40,
    ]);
    const images = imagesOf(20, [1, 40, 40]);
    const [one, other, all] = await Promise.all([
      momentsOf(graph, images, { batch: 1, places: 200 }),
      momentsOf(graph, images, { batch: 7, places: 200 }),
      momentsOf(graph, images, { places: 1600 }),
    ]);
    expect(one.get("y")!.places).toBe(4000);
    for (const [i, value] of one.get("y")!.covariance.data.entries()) {
      expect(other.get("y")!.covariance.data[i]).toBeCloseTo(value, 5);
      expect(all.get("y")!.covariance.data[i]).toBeCloseTo(value, 0);
    }
  });

  test("of a network with a fixed batch are those of the same images one by one", async () => {
    const nodes = [conv(["x", "w"], "y", { pads: ints([1, 1, 1, 1]) })];
    const w = { w: weight(2, 1, 3, 3) };
    const images = imagesOf(20, [1, 20, 20]);
    const groups: CalibrationImages = {
      ...{ count: 5, each: 4 },
      feeds: (first, number) => images.feeds(4 * first, 4 * number),
    };
    const [free, fixed] = await Promise.all([
      momentsOf(model(nodes, w, ["N", 1, 20, 20]), images, { places: 50 }),
      momentsOf(model(nodes, w, [4, 1, 20, 20]), groups, { places: 50 }),
    ]);
    expect(fixed.get("y")!.places).toBe(1000);
    for (const [i, value] of free.get("y")!.covariance.data.entries())
      expect(fixed.get("y")!.covariance.data[i]).toBeCloseTo(value, 5);
  });

  test("by ONNX Runtime and pure products as by libtorch", async () => {
    const graph = model(
      [
        conv(["x", "a"], "p", { pads: ints([1, 1, 1, 1]) }),
        makeNode("Relu", ["p"], ["r"]),
        conv(["r", "b"], "q"),
        makeNode("Relu", ["q"], ["y"]),
      ],
      { a: weight(6, 3, 3, 3), b: weight(4, 6, 3, 3) },
      ["N", 3, "H", "W"],
    );
    const images = imagesOf(5, [3, 20, 20], 2);
    const [torch, ort] = [
      await momentsOf(graph, images, { batch: 2 }),
      await momentsOf(graph, images, { batch: 3 }, ortEngine()),
    ];
    for (const [name, { covariance, mean }] of torch) {
      const scale = Math.max(...covariance.data);
      for (const [i, value] of covariance.data.entries())
        expect(Math.abs(ort.get(name)!.covariance.data[i]! - value)).toBeLessThan(2e-6 * scale);
      for (const [i, value] of mean.entries()) expect(ort.get(name)!.mean[i]).toBeCloseTo(value, 5);
    }
  });
});

describe("sums of moments", () => {
  test("over shards equal the sum, and a large mean costs no digits", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
        fc.integer(),
        fc.constantFrom(0, 1000),
        (sizes, seed, mean) => {
          const draw = new Random(seed);
          const [d, n] = [3, 2];
          const rows = sizes.reduce((sum, size) => sum + size, 0);
          const x = Float32Array.from({ length: rows * d }, () => mean + draw.normal());
          const y = Float32Array.from({ length: rows * n }, () => mean + draw.normal());
          const whole = newSums(d, n);
          addSamples(whole, rows, x.slice(), pureProducts, y.slice());
          let merged = newSums(d, n);
          let at = 0;
          for (const size of sizes) {
            const shard = newSums(d, n);
            addSamples(shard, size, x.slice(at * d, (at + size) * d), pureProducts, y.slice(at * n, (at + size) * n));
            merged = mergedSums(merged, shard);
            at += size;
          }
          const [a, b] = [finishCross(whole, "a"), finishCross(merged, "b")];
          for (const [i, value] of a.covariance.data.entries()) expect(b.covariance.data[i]).toBeCloseTo(value, 3);
          for (const [i, value] of a.cross.data.entries()) expect(b.cross.data[i]).toBeCloseTo(value, 3);
          for (const [i, value] of a.mean.entries()) expect(b.mean[i]).toBeCloseTo(value, 8);
          for (const [i, value] of a.outputVariance.entries()) expect(b.outputVariance[i]).toBeCloseTo(value, 3);
        },
      ),
    );
  });

  test("over the shares of several processes are those of one, also where some saw nothing", async () => {
    const shares = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(shares, fc.integer({ min: 1, max: 4 }), fc.constantFrom(0, 1, 1e4), async (rows, d, mean) => {
        fc.pre(rows.some((count) => count > 0));
        const parts = rows.map((count) => values(count * d, mean));
        const whole = newSums(d);
        const all = Float32Array.from(parts.flatMap((part) => [...part]));
        addSamples(whole, all.length / d, all, pureProducts);
        const found = await together(rows.length, async (own) => {
          const sums = newSums(d);
          addSamples(sums, rows[own.rank]!, parts[own.rank]!, pureProducts);
          await sumShares(sums, own);
          return finishMoments(sums, "layer");
        });
        const expected = finishMoments(whole, "layer");
        for (const one of found) {
          expect(one.places).toBe(expected.places);
          for (const [i, value] of one.mean.entries()) expect(value).toBeCloseTo(expected.mean[i]!, 8);
          for (const [i, value] of one.covariance.data.entries())
            expect(Math.abs(value - expected.covariance.data[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(value)));
        }
      }),
    );
  });

  test("of a network that several processes look at together are those of one process", async () => {
    const graph = model([conv(["x", "w"], "y")], { w: weight(4, 3, 3, 3) }, ["n", 3, 8, 8]);
    const images = imagesOf(7, [3, 8, 8]);
    const alone = await momentsOf(graph, images, { batch: 2, places: 20, seed: 3 });
    const found = await together(3, (shares) => momentsOf(graph, images, { batch: 2, places: 20, seed: 3, shares }));
    for (const one of found) {
      expect([...one.keys()]).toEqual([...alone.keys()]);
      for (const [name, { places, covariance }] of one) {
        expect(places).toBe(alone.get(name)!.places);
        for (const [i, value] of covariance.data.entries())
          expect(value).toBeCloseTo(alone.get(name)!.covariance.data[i]!, 5);
      }
    }
  });

  test("of values that are not finite are an error that names the layer", () => {
    const sums = newSums(1, 1);
    addSamples(sums, 1, Float32Array.of(Number.NaN), pureProducts, Float32Array.of(0));
    expect(() => finishCross(sums, "conv1")).toThrow(/not finite.*conv1|conv1.*not finite/s);
    expect(() => finishCross(newSums(1, 1), "conv1")).toThrow(/no image/);
  });
});

describe("layers that calibration looks at", () => {
  test("skip with a reason what is grouped, computed or three-dimensional", () => {
    const graph = model(
      [
        conv(["x", "a"], "grouped", { group: int(2) }),
        conv(["grouped", "b"], "plain"),
        makeNode("MatMul", ["c", "plain"], ["left"], {}, { name: "left" }),
      ],
      { a: weight(4, 1, 3, 3), b: weight(4, 4, 1, 1), c: weight(4, 4) },
      ["N", 2, 8, 8],
    );
    const { layers, skipped } = findCalibratedLayers(graph);
    expect(layers.map(({ name }) => name)).toEqual(["plain"]);
    expect(skipped.map(({ name }) => name)).toEqual(["grouped", "left"]);
    for (const { reason } of skipped) expect(reason).not.toBe("");
  });
});
