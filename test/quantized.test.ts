// Networks in eight bits, in ONNX Runtime as it runs them: what it computes in integers, and what comes out.
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { CalibrationImages } from "../src/calibrate/engine.js";
import { rangeOf } from "../src/calibrate/histogram.js";
import { ortEngine } from "../src/calibrate/ort-engine.js";
import { activationRanges } from "../src/calibrate/ranges.js";
import { simulationEngine } from "../src/compress/best-engine.js";
import { floatForm } from "../src/compress/eight-bits.js";
import { verifyEightBits } from "../src/compress/verify-eight-bits.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { floats, numbers, tensorOf } from "../src/graph/values.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { int8Weights } from "../src/passes/int8-weights.js";
import { equalise, freeMaps } from "../src/passes/quantize/equalise.js";
import { type QuantizeOptions, quantize } from "../src/passes/quantize/quantize.js";
import { regionsOf } from "../src/passes/quantize/regions.js";
import { weightFormats } from "../src/passes/quantize/steps.js";
import { stripQuantization } from "../src/passes/quantize/strip.js";
import { saturatesPairs, thisTarget } from "../src/runtime/eight-bits.js";
import { loadModel } from "../src/runtime/files.js";
import { openSession } from "../src/runtime/open.js";
import type { RuntimeName } from "../src/runtime/session.js";
import { dotInPairs, pairSum16 } from "./pair-sums.js";
import { everyOperator, inputsFor, NetworkDraft, optimisedOperators } from "./quantized-graphs.js";

const imagesOf = (dims: readonly number[], count = 8) => {
  const inputs = inputsFor(dims, count);
  return { count, feeds: (first: number) => ({ x: inputs[first]! }) };
};

async function quantizedOf(
  graph: Graph,
  dims: readonly number[],
  { images = imagesOf(dims), ...options }: Partial<QuantizeOptions> & { images?: CalibrationImages } = {},
) {
  const values = [...new Set(regionsOf(graph).rounded.values())];
  const seen = await activationRanges(graph, values, images, ortEngine({ threads: 1 }));
  const ranges = new Map([...seen].map(([value, { histogram }]) => [value, rangeOf(histogram, "all")]));
  const means = new Map([...seen].map(([value, one]) => [value, one.means]));
  const result = quantize({ ranges, means, ...options })(graph);
  verifyGraph(result.graph);
  return { ...result, seen };
}

const outputsOf = (graph: Graph, dims: readonly number[], runtime?: RuntimeName) =>
  outputsOn(graph, inputsFor(dims, 4), runtime);

async function outputsOn(
  graph: Graph,
  inputs: readonly TensorData[],
  runtime: RuntimeName = "node",
): Promise<Float32Array> {
  const session = await openSession(graph, { threads: 1, runtime });
  try {
    const parts: number[] = [];
    for (const x of inputs) for (const value of floats(Object.values(await session.run({ x }))[0]!)) parts.push(value);
    return Float32Array.from(parts);
  } finally {
    await session.release();
  }
}

const relative = (got: Float32Array, expected: Float32Array): number =>
  Math.sqrt(
    got.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0) /
      expected.reduce((sum, value) => sum + value ** 2, 0),
  );

const rms = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0) / values.length);

const dims = [3, 8, 8];

describe("what ONNX Runtime runs", () => {
  test("every operator that can runs in integers, and no float layer is left", async () => {
    const { graph, outcomes } = await quantizedOf(everyOperator(), dims);
    expect(outcomes.filter(({ applied }) => !applied)).toEqual([]);
    const made = new Set(graph.nodes.map(({ op }) => op));
    for (const never of ["ConvInteger", "DynamicQuantizeLinear", "Relu", "Clip"]) expect(made).not.toContain(never);
    const ran = await optimisedOperators(graph);
    expect(ran).toMatchObject({ QLinearConv: 5, QLinearAdd: 1, QLinearConcat: 1, QLinearLeakyRelu: 1, QGemm: 1 });
    expect(ran).toMatchObject({ QLinearAveragePool: 1, MatMulIntegerToFloat: 1, QuantizeLinear: 1 });
    for (const float of ["Conv", "FusedConv", "Gemm", "MatMul", "Add", "AveragePool", "DequantizeLinear"])
      expect(ran[float], float).toBe(undefined);
  });

  test("no pair stands before what runs in floats alone, and layers that stay float are left", async () => {
    const net = new NetworkDraft(2);
    net.conv("x", "a", 12, 3);
    net.conv("a", "b", 12, 12);
    const graph = net.graph(
      ["N", 3, 8, 8],
      net.node("DepthToSpace", ["b"], "y", { blocksize: { kind: "int", value: 2n } }),
    );
    const { graph: made, outcomes } = await quantizedOf(graph, dims, { float: new Map([["b", "it was asked for"]]) });
    expect(outcomes).toContainEqual({ pass: "quantize", layer: "b", applied: false, reason: "it was asked for" });
    expect(made.nodes.filter(({ op }) => op === "QuantizeLinear")).toHaveLength(2);
    const ran = await optimisedOperators(made);
    expect([ran.QLinearConv, ran.DequantizeLinear, ran.DepthToSpace]).toEqual([1, 1, 1]);
  });

  test.each(["node", "web"] as const)("what %s computes is near the float network", async (runtime) => {
    const graph = everyOperator();
    const { graph: made } = await quantizedOf(graph, dims);
    expect(relative(await outputsOf(made, dims, runtime), await outputsOf(graph, dims))).toBeLessThan(0.06);
  });

  test("what runs in integers is the simulation in floats, within what eight bits allow", async () => {
    const graph = everyOperator();
    const { graph: made } = await quantizedOf(graph, dims);
    const feeds = inputsFor(dims, 3).map((x) => ({ x }));
    const found = await verifyEightBits(made, made, graph, feeds, simulationEngine(), { threads: 1 });
    expect(found.difference).toBeLessThanOrEqual(found.allowed);
    expect(found.rounding).toBeGreaterThan(0);
    const other = await quantizedOf(everyOperator(), dims, { weights: "int7", means: new Map() });
    const wrong = { ...other.graph, initializers: new Map([...other.graph.initializers]) };
    const [name, weight] = [...wrong.initializers].find(
      ([, { type, dims: sizes }]) => type === "int8" && sizes.length === 4,
    )!;
    wrong.initializers.set(name, { ...weight, data: weight.data.map(() => 100) });
    await expect(verifyEightBits(wrong, made, graph, feeds, simulationEngine(), { threads: 1 })).rejects.toMatchObject({
      code: "verification-failed",
    });
  });
});

describe("whole networks", () => {
  test.each([
    ["weights/edsr-8-56-x2.onnx", [3, 24, 24], 22],
    ["weights/resnet20.onnx", [3, 32, 32], undefined],
    ["weights/vgg16-half.onnx", [3, 32, 32], 13], // stored in half precision
  ] as const)("no float convolution is left of %s", async (file, sizes, convolutions) => {
    const graph = floatForm(await loadModel(fileURLToPath(new URL(`../${file}`, import.meta.url)))).graph;
    const input = graph.inputs.find(({ name }) => !graph.initializers.has(name))!.name;
    const inputs = inputsFor(sizes, 2);
    const images = { count: 2, feeds: (first: number) => ({ [input]: inputs[first]! }) };
    const values = [...new Set(regionsOf(graph).rounded.values())];
    const seen = await activationRanges(graph, values, images, ortEngine({ threads: 1 }));
    const ranges = new Map([...seen].map(([value, { histogram }]) => [value, rangeOf(histogram, "all")]));
    const made = quantize({ ranges })(graph).graph;
    const ran = await optimisedOperators(made);
    const count = convolutions ?? graph.nodes.filter(({ op }) => op === "Conv").length;
    expect([ran.QLinearConv, ran.Conv, ran.FusedConv, ran.Relu]).toEqual([count, undefined, undefined, undefined]);
  });
});

describe("products of eight bits", () => {
  test("in pairs of 16 bits full integers saturate, those of seven bits never do", () => {
    expect(pairSum16(255, 127, 255, 127)).toEqual({ sum: 32767, saturates: true });
    const { most } = weightFormats.int7;
    for (const a of [0, 1, 254, 255])
      for (const b of [0, 1, 254, 255])
        for (let v = -most; v <= most; v++)
          for (const w of [-most, v, most])
            expect(pairSum16(a, v, b, w)).toEqual({ sum: a * v + b * w, saturates: false });
  });

  test("a layer's largest sums survive pairs of 16 bits with seven bits and not with eight", () => {
    const activations = new Uint8Array(576).fill(255);
    for (const [format, same] of [
      ["int8", false],
      ["int7", true],
    ] as const) {
      const weights = new Int8Array(576).fill(weightFormats[format].most);
      const exact = activations.reduce((sum, value, i) => sum + value * weights[i]!, 0);
      expect(dotInPairs(activations, weights) === exact).toBe(same);
    }
  });

  test("whether this machine saturates is measured, and the target follows", async () => {
    const saturates = await saturatesPairs({ threads: 1 });
    const target = await thisTarget({ instructions: [] }, { threads: 1 });
    expect(target === "x86-avx2").toBe(saturates);
    expect(await saturatesPairs({ runtime: "web" })).toBe(false);
  });

  test.each(["int7", "uint8"] as const)(
    "weights as %s compute the same network, with their own rounding",
    async (weights) => {
      const graph = everyOperator();
      const { graph: made } = await quantizedOf(graph, dims, { weights });
      expect(relative(await outputsOf(made, dims), await outputsOf(graph, dims))).toBeLessThan(0.08);
      expect((await optimisedOperators(made)).QLinearConv).toBe(5);
    },
  );
});

describe("inputs that are hard to round", () => {
  test("channels of zeros, constant activations, one-pixel inputs and an outlier of 1e4 give finite outputs", async () => {
    const net = new NetworkDraft(3);
    net.conv("x", "a", 4, 2, 1);
    net.node("Relu", ["a"], "r");
    net.conv("r", "y", 2, 4, 1);
    const weight = net.initializers.get("a.w")!;
    const values = numbers(weight).map((value, i) => (i < 2 ? 0 : i === 3 ? 1e4 : value));
    net.initializers.set("a.w", { ...weight, data: new Uint8Array(Float32Array.from(values).buffer) });
    const graph = net.graph([1, 2, 1, 1], "y");
    const { graph: made, outcomes } = await quantizedOf(graph, [2, 1, 1]);
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(2);
    const got = await outputsOf(made, [2, 1, 1]);
    expect(got.every(Number.isFinite)).toBe(true);
    expect(relative(got, await outputsOf(graph, [2, 1, 1]))).toBeLessThan(0.05);
  });

  const cases: Readonly<Record<string, { side: number; weights?: (i: number, v: number) => number; input?: number }>> =
    {
      "channels of zeros": { side: 6, weights: (i, value) => (i < 27 ? 0 : value) },
      "weights of zeros": { side: 6, weights: () => 0 },
      "an outlier of 1e4 among weights": { side: 6, weights: (i, value) => (i === 40 ? 1e4 : value) },
      "an outlier of 1e4 among activations": { side: 6, input: 1e4 },
      "constant activations": { side: 6, input: 0.7 },
      "activations of zeros": { side: 6, input: 0 },
      "one-pixel inputs": { side: 1 },
      "one-pixel inputs with channels of zeros": { side: 1, weights: (i, value) => (i < 27 ? 0 : value) },
    };
  test.each(Object.entries(cases))("%s give what their simulation gives", async (name, { side, weights, input }) => {
    const net = new NetworkDraft(3);
    net.conv("x", "a", 4, 3);
    net.node("Relu", ["a"], "r");
    net.conv("r", "b", 4, 4, 1);
    net.conv("b", "y", 2, 4);
    const { dims } = net.initializers.get("a.w")!;
    if (weights !== undefined) {
      const values = numbers(net.initializers.get("a.w")!).map((value, i) => weights(i, value));
      net.initializers.set("a.w", tensorOf("float32", dims, values));
    }
    const graph = net.graph([1, 3, side, side], "y");
    const fed = inputsFor([3, side, side], 3).map((x) => {
      const values = numbers(x);
      if (name.startsWith("an outlier")) values[0] = input ?? values[0]!;
      else if (input !== undefined) values.fill(input);
      return { x: tensorOf("float32", x.dims, values) };
    });
    const images = { count: fed.length, feeds: (first: number) => fed[first]! };
    const { graph: made } = await quantizedOf(graph, [3, side, side], { images });
    const found = await verifyEightBits(made, made, graph, fed, simulationEngine(), { threads: 1 });
    expect(found.difference).toBeLessThanOrEqual(found.allowed);
    for (const { x } of fed) {
      const [exact, got] = [await outputsOn(graph, [x]), await outputsOn(made, [x])];
      expect(got.every(Number.isFinite)).toBe(true);
      // Of an output of 8 bits behind three layers; where it is the same throughout, half a step of its bias.
      expect(rms(got.map((value, i) => value - exact[i]!))).toBeLessThan(0.05 * Math.max(rms(exact), 1e-3));
    }
  });
});

describe("maps between two layers", () => {
  test("scaling them to one size changes no bit of what the network computes", async () => {
    const net = new NetworkDraft(4);
    net.conv("x", "basis", 6, 3);
    net.conv("basis", "coefficients", 8, 6, 1);
    const graph = net.graph(["N", 3, 8, 8], net.node("Relu", ["coefficients"], "y"));
    expect(freeMaps(graph).map(({ value }) => value)).toEqual(["basis"]);
    const peaks = new Map([["basis", [0, 1e-4, 3, 1, 1e4, 2]]]);
    const { graph: scaled, outcomes } = equalise(peaks)(graph);
    expect(outcomes).toHaveLength(1);
    expect(await outputsOf(scaled, dims)).toEqual(await outputsOf(graph, dims));
  });

  test("maps of very different size lose less once they are scaled", async () => {
    const net = new NetworkDraft(6);
    net.conv("x", "basis", 6, 3);
    net.conv("basis", "y", 8, 6, 1);
    const graph = net.graph(["N", 3, 8, 8], "y");
    const crooked = equalise(new Map([["basis", [1, 4, 16, 64, 256, 1024]]]))(graph).graph;
    const exact = await outputsOf(graph, dims);
    const before = await quantizedOf(crooked, dims);
    const even = equalise(new Map([["basis", before.seen.get("basis")!.peaks]]))(crooked).graph;
    const after = await quantizedOf(even, dims);
    const [lost, kept] = [await outputsOf(before.graph, dims), await outputsOf(after.graph, dims)].map((got) =>
      relative(got, exact),
    );
    expect(kept).toBeLessThan(0.6 * lost!);
  });
});

describe("models that are quantised already", () => {
  test("stripped of their pairs they are float networks near the one that they were made of", async () => {
    const graph = everyOperator();
    const { graph: made } = await quantizedOf(graph, dims);
    const stripped = stripQuantization(made).graph;
    verifyGraph(stripped);
    expect(stripped.nodes.filter(({ op }) => /Quantize/.test(op))).toEqual([]);
    expect(relative(await outputsOf(stripped, dims), await outputsOf(graph, dims))).toBeLessThan(0.04);
    const again = await quantizedOf(floatForm(made).graph, dims);
    expect((await optimisedOperators(again.graph)).QLinearConv).toBe(5);
  });

  test("weights that are only stored in eight bits become stored floats", async () => {
    const graph = everyOperator();
    const stored = int8Weights(graph).graph;
    const form = floatForm(stored).graph;
    expect(form.nodes.filter(({ op }) => op === "Cast" || op === "Mul")).toEqual([]);
    expect(relative(await outputsOf(form, dims), await outputsOf(stored, dims))).toBeLessThan(1e-6);
    const { outcomes } = await quantizedOf(form, dims);
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(7);
  });

  test("layers in integers are named, and the way back", () => {
    const net = new NetworkDraft(8);
    const graph = net.graph(["N", 3, 8, 8], net.node("ConvInteger", ["x", "w"], "y"));
    expect(() => floatForm(graph)).toThrow(
      expect.objectContaining({ code: "unsupported", cures: [expect.stringMatching(/float model/)] }),
    );
  });
});
