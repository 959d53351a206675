// What prior methods count on the paper's networks, to the last digit; budgets; and what cannot be done.
import { describe, expect, test } from "vitest";
import { composed } from "../src/basis/composed.js";
import { writeModel } from "../src/formats/onnx/index.js";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { pureLinearAlgebra } from "../src/linalg/low-rank.js";
import { matrix, squaredNorm } from "../src/linalg/matrix.js";
import { findChainLayers } from "../src/methods/chain-layers.js";
import { compressedLayers } from "../src/methods/compressed-layers.js";
import { countsOf } from "../src/methods/counts.js";
import { expand } from "../src/methods/expand.js";
import { spatialOnly } from "../src/methods/jaderberg.js";
import { methodNamed, methodPass } from "../src/methods/methods.js";
import { spatialLine } from "../src/methods/zhang-3d.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { constantEvaluator } from "../src/passes/constant/evaluate.js";
import { oneConv, randomTensor, smallGraph } from "./small-graphs.js";

const zeros = (name: string): Graph => buildNet(name, { init: "zeros" });
const countedBy = (name: string, options: object, graph: Graph) => countsOf(methodPass(name, options)(graph).graph);

describe("the paper's counts", () => {
  test.each([
    ["vgg16", { kernels: 128 }, 3_268_992 + 9 * 128 + 5_120],
    ["resnet56", { kernels: 128 }, 190_304],
    ["densenet-12-40", { kernels: 256, keepFirst: 1 }, 335_256],
  ])("of K-means on %s: two of nine, the codebook and what stays", (name, options, expected) => {
    const plain = zeros(name);
    const { weights, macs, paperMacs } = countedBy("kmeans", options, plain);
    expect(weights).toBe(expected);
    expect([macs, paperMacs]).toEqual([cost(plain).macs, cost(plain).macs]);
  });

  const resnetBasis = { preset: "resnet", basis: { "16": 24, "32": 48, "64": 84 } };
  const densenetBasis = { preset: "densenet", basis: 36, transition: 6 };
  const densenetGroups = [{ upTo: 252, groups: 3 }, { groups: 6 }];

  /** Weights, millions of multiply-accumulates, and percent of the network's own; whole ones to the last digit. */
  test.each([
    ["vgg16", "", {}, 14_715_584, 313_201_664, 100],
    ["vgg16", "factor", { preset: "vgg" }, 3_344_064, 114_729_984, 36.63],
    ["vgg16", "group", { preset: "vgg", channelsPerGroup: 64 }, 3_803_840, 144_512_000, 46.14],
    ["vgg16", "basis-scratch", { preset: "vgg", basis: 128, channels: 128 }, 3_214_016, 202_314_752, 64.6],
    ["resnet56", "", {}, 848_944, 125_485_696, 100],
    ["resnet56", "factor", { preset: "resnet" }, 223_632, 37_278_336, 29.71],
    [
      ...(["resnet56", "group"] as const),
      { preset: "resnet", channelsPerGroup: { "16": 4, "32": 4, "64": 8 } },
      ...([206_448, 35_275_392, 28.11] as const),
    ],
    ["resnet56", "basis-scratch", resnetBasis, 194_992, 198.7, 158],
    ["resnet56", "cap", { keep: 0.5 }, 425_008, 62_964_352, 50.18],
    ["densenet-12-40", "", {}, 1_040_568, 282_917_328, 100],
    ["densenet-12-40", "factor", { preset: "densenet" }, 316_752, 102_970_320, 36.4],
    ["densenet-12-40", "group", { preset: "densenet", groups: densenetGroups }, 337_272, 122_531_280, 43.31],
    ["densenet-12-40", "simple-svd", { rank: 3 }, 359_520, 112_177_104, 39.65],
    ["densenet-12-40", "basis-scratch", densenetBasis, 330_888, 766.6, 271],
  ])("of %s, %s %j", (net, name, options, weights, macs, percent) => {
    const plain = zeros(net);
    const init = name !== "" && "init" in methodNamed(name).options ? { init: "zeros" } : {};
    const counted = name === "" ? countsOf(plain) : countedBy(name, { ...options, ...init }, plain);
    const millions = Number((counted.macs / 1e6).toFixed(1));
    const digits = Number.isInteger(percent) ? 0 : 2;
    const share = (100 * counted.macs) / cost(plain).macs;
    expect([counted.weights, macs < 1e6 ? millions : counted.macs]).toEqual([weights, macs]);
    expect(Number(share.toFixed(digits))).toBe(percent);
  });

  test.each([
    ["srresnet", {}, { preset: "srresnet", layers: 2 }, 18_688],
    ["srresnet", {}, { preset: "srresnet", layers: 3 }, 28_032],
    ["edsr", { blocks: 1, width: 128 }, { preset: "edsr", layers: 2 }, 70_144],
    ["edsr", { blocks: 1, width: 128 }, { preset: "edsr", layers: 3 }, 105_216],
    ["edsr", { blocks: 1, width: 256 }, { preset: "edsr", layers: 1 }, 135_680],
  ])("of a residual block of %s %j by Factor %j", (net, options, given, weights) => {
    const { graph } = methodPass("factor", { ...given, init: "zeros" })(buildNet(net, { ...options, init: "zeros" }));
    const block = cost(graph).layers.filter(({ node }) => node.startsWith("body.0."));
    expect(block.reduce((sum, layer) => sum + layer.weights, 0)).toBe(weights);
  });

  test("of filter groups from trained filters are those of the architecture without its norms", () => {
    const options = { keepFirst: 1, channelsPerGroup: 4 };
    const { weights } = countedBy("group-svd", options, zeros("resnet20"));
    expect(weights).toBe(countedBy("group", { ...options, init: "zeros" }, zeros("resnet20")).weights);
  });
});

const bits = (graph: Graph) => countsOf(graph).storedBits;

describe("bits", () => {
  const plain = oneConv({ outChannels: 20, inChannels: 10, kernel: [3, 3], bias: false });

  test("of K-means: scales of 16, indices of as many as they need, the codebook", () => {
    expect(bits(plain)).toBe(200 * 9 * 32);
    expect(bits(methodPass("kmeans", { kernels: 12 })(plain).graph)).toBe(12 * 9 * 32 + 200 * (16 + 4));
    const turned = methodPass("kmeans", { kernels: 12, transforms: 8 })(plain).graph;
    const tables = 64 * (72 + 3);
    expect(bits(turned)).toBe(12 * 9 * 32 + 200 * (16 + 7) + tables);
  });

  test("of K-means in the file: an index takes a byte", () => {
    const { graph } = methodPass("kmeans", { kernels: 12 })(plain);
    expect(cost(graph).bytes).toBe(12 * 9 * 4 + 200 * (2 + 1));
    expect(writeModel(graph).length).toBeLessThan(0.5 * writeModel(plain).length);
  });

  test("of KSE: what each channel's centroids need, and a place for each", () => {
    const { graph, outcomes } = methodPass("kse", { levels: 4, keepFirst: 0 })(plain);
    const [layer] = compressedLayers(graph);
    if (layer?.kind !== "code") throw new Error("no code");
    const floats = layer.code.paperMacs;
    expect(countsOf(graph).weights).toBe(floats);
    expect(outcomes[0]!.reason).toContain(`-> ${floats} weights`);
    const indexed = layer.code.indices.reduce(
      (sum, { name, bits: width }) => sum + width * graph.initializers.get(name)!.dims.reduce((a, b) => a * b, 1),
      0,
    );
    const others = [...graph.initializers].filter(([name]) => /selected|order|starts|repeats/.test(name));
    const rest = others.reduce((sum, [, { data }]) => sum + 8 * data.byteLength, 0);
    expect(bits(graph)).toBe(32 * floats + indexed + rest);
  });
});

describe("KSE", () => {
  test("keeps channels that are all alike, and drops one of zeros, whose input it does not read", () => {
    const plain = oneConv({ outChannels: 8, inChannels: 6, kernel: [3, 3] });
    const weight = numbers(plain.initializers.get("conv.weight")!);
    const alike = weight.map((_, at) => weight[Math.floor(at / 54) * 54 + (at % 9)]!);
    const gone = weight.map((value, at) => (Math.floor(at / 9) % 6 === 2 ? 0 : value));
    const having = (values: Float64Array): Graph => ({
      ...plain,
      initializers: new Map(plain.initializers).set("conv.weight", tensorOf("float32", [8, 6, 3, 3], values)),
    });
    const same = methodPass("kse", { levels: 5, keepFirst: 0 })(having(alike)).graph;
    expect(countsOf(same).weights).toBe(8 * 6 * 9);
    expect(numbers(constantEvaluator(same)(same.nodes.at(-1)!.inputs[1]!)!)).toEqual(
      Float64Array.from(alike, Math.fround),
    );
    const { graph, outcomes } = methodPass("kse", { levels: 8, keepFirst: 0 })(having(gone));
    expect(outcomes[0]!.reason).toContain("dropped");
    const [layer] = compressedLayers(graph);
    expect(layer!.nodes.map(({ op }) => op)).toEqual(["Gather", "Conv"]);
    const macs = (one: Graph) => cost(one, new Map([["x", [1, 6, 9, 9]]])).macs;
    const read = constantEvaluator(graph)(layer!.nodes[1]!.inputs[1]!)!.dims[1]!;
    expect(macs(graph)).toBe((macs(plain) * read) / 6);
  });
});

const fed = new Map([["input", [1, 3, 32, 32]]]);

describe("budgets", () => {
  const plain = buildNet("resnet", { depth: 8, widths: [8, 16, 32], seed: 3 });
  const base = cost(plain, fed);

  test.each(["simple-svd", "zhang", "enc", "jaderberg", "denton", "cp", "group-svd"])(
    "%s keeps them, and comes near",
    (name) => {
      for (const [key, price] of [
        ["keepParams", "weights"],
        ["keepMacs", "macs"],
      ] as const) {
        const { graph } = methodPass(name, { [key]: 0.5, inputs: { input: [1, 3, 32, 32] } })(plain);
        const kept = cost(graph, fed)[price] / base[price];
        expect(kept).toBeLessThanOrEqual(0.5);
        expect(kept).toBeGreaterThan(name === "group-svd" ? 0.3 : 0.45);
      }
    },
  );

  test("ENC-Map stays within half a percent below its target on ResNet-56", () => {
    const large = buildNet("resnet56", { seed: 2 });
    const { graph } = methodPass("enc", { keepMacs: 0.5, inputs: { input: [1, 3, 32, 32] } })(large);
    const kept = cost(graph, fed).macs / cost(large, fed).macs;
    expect(kept).toBeLessThanOrEqual(0.5);
    expect(kept).toBeGreaterThan(0.4975);
  });

  test.each(["map", "model", "inf"] as const)("ENC-%s stays near its target where layers are few", (search) => {
    let asked = 0;
    const validate = () => asked++;
    const options = { search, keepMacs: 0.5, inputs: { input: [1, 3, 32, 32] } };
    const { graph } = methodPass("enc", options, { validate })(plain);
    const kept = cost(graph, fed).macs / base.macs;
    expect(kept).toBeLessThanOrEqual(0.5);
    expect(kept).toBeGreaterThan(0.48);
    if (search === "inf") expect(asked).toBeGreaterThan(3);
  });

  test("K-means and KSE keep those in weights by their papers' counts", () => {
    for (const [name, keepParams] of [
      ["kmeans", 0.26],
      ["kse", 0.5],
    ] as const) {
      const kept = countedBy(name, { keepParams, sweeps: 2 }, plain).weights / base.weights;
      expect(kept).toBeLessThanOrEqual(keepParams);
      expect(kept).toBeGreaterThan(name === "kmeans" ? 0.259 : 0.3);
    }
  });

  test.each([
    ["kmeans", { keepMacs: 0.5 }],
    ["kmeans", { keepParams: 0.2 }],
    ["kse", { keepParams: 0.001 }],
    ["cp", { keepParams: 0.001 }],
    ["jaderberg", { keepMacs: 0.001 }],
    ["enc", { keepMacs: 0.001 }],
    ["simple-svd", { keepParams: 0.001 }],
    ["group-svd", { keepParams: 0.01 }],
  ])("that %s cannot keep, %j, are refused with what it can", (name, options) => {
    expect(() => methodPass(name, options)(plain)).toThrow(
      expect.objectContaining({ code: "budget-unreachable", expected: expect.stringMatching(/at least \d/) }),
    );
  });

  test("two at once are refused", () => {
    for (const name of ["enc", "kse"])
      expect(() => methodPass(name, { keepParams: 0.5, keepMacs: 0.5 })(plain)).toThrow(
        expect.objectContaining({ code: "usage" }),
      );
  });
});

describe("what cannot be done", () => {
  const plain = oneConv({ outChannels: 6, inChannels: 4, kernel: [3, 3] });

  test.each([
    ["kmeans", { kernels: 25 }],
    ["jaderberg", { rank: 13, keepFirst: 0 }],
    ["jaderberg", { rank: 10, scheme: 1, keepFirst: 0 }],
    ["cp", { rank: 37, keepFirst: 0 }],
    ["denton", { rank: 7, keepFirst: 0 }],
    ["simple-svd", { rank: 7, keepFirst: 0 }],
    ["zhang", { rank: 7, keepFirst: 0 }],
    ["enc", { rank: 13, keepFirst: 0 }],
    ["basis", { basis: 37 }],
    ["filter-wise", { basis: 7 }],
    ["channel-wise", { basis: 10 }],
    ["svd", { basis: 37 }],
  ])("%s with %j, more than there is, is refused", (name, options) => {
    expect(() => methodPass(name, options)(plain)).toThrow(expect.objectContaining({ code: "invalid-plan" }));
  });

  test.each(["simple-svd", "jaderberg", "cp", "denton", "group-svd", "kmeans"])(
    "%s finds nothing to do in 1 x 1 convolutions",
    (name) => {
      const pointwise = oneConv({ outChannels: 6, inChannels: 4, kernel: [1, 1] });
      expect(() => methodPass(name, {})(pointwise)).toThrow(expect.objectContaining({ code: "unsupported" }));
    },
  );

  test("layers that do not fit are skipped with the reason", () => {
    const graph = smallGraph({
      nodes: [
        makeNode("Conv", ["x", "a"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "a" }),
        makeNode("Conv", ["y", "b"], ["z"], { pads: ints([1, 1, 1, 1]) }, { name: "b" }),
      ],
      initializers: { a: randomTensor([6, 4, 3, 3], 1), b: randomTensor([4, 6, 3, 3], 2) },
      inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 8, 8] } }],
      outputs: ["z"],
    });
    const reasons = (name: string, options: object) =>
      methodPass(name, options)(graph).outcomes.map(({ layer, applied, reason }) => [layer, applied || reason]);
    expect(reasons("group-svd", { groups: 4, keepFirst: 0 })).toEqual([
      ["a", true],
      ["b", "6 channels do not go into 4 groups"],
    ]);
    expect(reasons("denton", { rank: 1, filterClusters: 3, keepFirst: 0 })).toEqual([
      ["a", true],
      ["b", "6 channels and 4 filters do not go into 1 x 3 clusters"],
    ]);
    expect(reasons("denton", { rank: 3, form: "monochromatic" })).toEqual([
      ["a", true],
      ["b", "only the first convolution is written by colours"],
    ]);
    expect(() => methodPass("denton", { rank: 4, form: "monochromatic" })(graph)).toThrow(
      /6 filters do not go into 4 colours/,
    );
    expect(reasons("cp", { rank: 2 })).toEqual([
      ["b", true],
      ["a", "the first convolution stays as it was"],
    ]);
    expect(reasons("kmeans", { kernels: 3, skip: "a" })).toEqual([
      ["b", true],
      ["a", "it was asked to be skipped"],
    ]);
    expect(reasons("enc", { layers: { b: { rank: 2 } }, keepFirst: 0 })).toEqual([
      ["b", true],
      ["a", "no rank is given for it"],
    ]);
  });

  test("ENC-Inf without validation, and Zhang's modes without data, say what they need", () => {
    expect(() => methodPass("enc", { search: "inf" })(plain)).toThrow(expect.objectContaining({ code: "usage" }));
    for (const mode of ["linear", "asymmetric", "nonlinear"])
      expect(() => methodPass("zhang", { mode })(plain)).toThrow(expect.objectContaining({ code: "usage" }));
  });

  test("a model whose codebook is gone keeps the layer as it is, with the reason; a record that is none is told", () => {
    const { graph } = methodPass("kmeans", { kernels: 5 })(plain);
    const dense = constantEvaluator(graph)(graph.nodes.find(({ op }) => op === "Conv")!.inputs[1]!)!;
    const nodes = graph.nodes.flatMap((node) =>
      node.op === "Conv" ? [{ ...node, inputs: [node.inputs[0]!, "w", ...node.inputs.slice(2)] }] : [],
    );
    const changed: Graph = {
      ...graph,
      nodes,
      initializers: new Map([...graph.initializers, ["w", tensorOf("float32", dense.dims, numbers(dense))]]),
    };
    expect(compressedLayers(changed).map(({ nodes: own, reason }) => [own.length, reason])).toEqual([
      [0, "its nodes are not what the model's record says of it"],
    ]);
    expect(expand(changed).outcomes.map(({ applied }) => applied)).toEqual([false]);
    const broken: Graph = { ...graph, metadata: new Map([["filterbasis.codes", "{"]]) };
    expect(compressedLayers(broken)).toEqual([]);
    expect(() => expand(broken)).toThrow(expect.objectContaining({ code: "malformed" }));
  });
});

describe("Zhang's modes", () => {
  /** y = conv(relu(conv(x))), as numbers: one row of channels for each position. */
  const net = smallGraph({
    nodes: [
      makeNode("Conv", ["x", "a", "c"], ["y"], {}, { name: "a" }),
      makeNode("Relu", ["y"], ["r"], {}, { name: "r" }),
      makeNode("Conv", ["r", "b"], ["z"], {}, { name: "b" }),
      makeNode("Relu", ["z"], ["out"], {}, { name: "out" }),
    ],
    initializers: { a: randomTensor([8, 5, 1, 1], 1), c: randomTensor([8], 2), b: randomTensor([6, 8, 1, 1], 3) },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 5, 8, 8] } }],
    outputs: ["out"],
  });
  const samples = numbers(randomTensor([300, 5], 7));

  /** The convolutions are 1x1, so that a position is a row: filters of whatever stands there, dense again. */
  const responses = (graph: Graph, value: string) => {
    const dense = compressedLayers(graph).length > 0 ? expand(graph).graph : graph;
    let rows = [...Array(300).keys()].map((i) => [...samples.subarray(5 * i, 5 * i + 5)]);
    for (const { op, inputs, outputs } of dense.nodes) {
      if (op === "Relu") rows = rows.map((row) => row.map((one) => Math.max(0, one)));
      else {
        const weight = dense.initializers.get(inputs[1]!)!;
        const [w, n] = [numbers(weight), weight.dims[0]!];
        const bias = inputs[2] ? numbers(dense.initializers.get(inputs[2])!) : new Float64Array(n);
        rows = rows.map((row) =>
          [...bias].map((b, o) => row.reduce((sum, one, i) => sum + one * w[o * row.length + i]!, b)),
        );
      }
      if (outputs[0] === value) break;
    }
    return matrix(rows.length, rows[0]!.length, rows.flat());
  };

  test("lose less of the output the more they see: filters, linear, asymmetric, nonlinear", () => {
    const original = responses(net, "out");
    const lost = (["filters", "linear", "asymmetric", "nonlinear"] as const).map((mode) => {
      const { graph } = methodPass("zhang", { mode, rank: 3, keepFirst: 0 }, { responses })(net);
      const found = responses(graph, "out");
      return found.data.reduce((sum, value, i) => sum + (value - original.data[i]!) ** 2, 0);
    });
    for (const [i, value] of lost.slice(1).entries()) expect(value).toBeLessThan(lost[i]!);
  });

  test.each([
    [[3, 3], 12],
    [[3, 1], 6],
    [[2, 3], 8],
    [[1, 5], 6],
  ])("in the form 3d at full rank are the original: a kernel of %j", (kernel, rank) => {
    const plain = oneConv({ outChannels: 6, inChannels: 4, kernel });
    const { graph } = methodPass("zhang", { form: "3d", rank, keepFirst: 0 })(plain);
    const [layer] = compressedLayers(graph);
    expect(layer).toMatchObject({ kind: "chain", chain: { family: "separable-pointwise" } });
    const [dense, own] = [expand(graph).graph, plain].map((one) => numbers(one.initializers.get("conv.weight")!));
    for (const [i, value] of dense!.entries()) expect(value).toBeCloseTo(own![i]!, 5);
    expect(() => methodPass("zhang", { form: "3d", rank: rank + 1, keepFirst: 0 })(plain)).toThrow(
      expect.objectContaining({ code: "invalid-plan" }),
    );
  });

  test("in the form 3d keep budgets, and lose no more than was planned", () => {
    const plain = buildNet("resnet", { depth: 8, widths: [8, 16, 32], seed: 3 });
    for (const [key, price] of [
      ["keepParams", "weights"],
      ["keepMacs", "macs"],
    ] as const) {
      const { graph } = methodPass("zhang", { form: "3d", [key]: 0.5 })(plain);
      const kept = cost(graph)[price] / cost(plain)[price];
      expect(kept).toBeLessThanOrEqual(0.5);
      expect(kept).toBeGreaterThan(0.45);
    }
    const { layers } = findChainLayers(plain, new Map(), { keepFirst: 1 });
    for (const layer of layers.filter((one) => spatialOnly(one) === undefined).slice(0, 2)) {
      const { n, c } = layer.shape;
      const filters = matrix(n, c * layer.layer.kernelElements, numbers(layer.layer.weight));
      const line = spatialLine(layer, filters, pureLinearAlgebra);
      const all = squaredNorm(filters.data);
      for (const k of [1, Math.ceil(line.most / 2), line.most]) {
        const made = composed(line.factors(k)).data;
        const lost = squaredNorm(filters.data.map((value, i) => value - made[i]!)) / all;
        expect(lost).toBeLessThanOrEqual(line.lost!(k) + 1e-12);
      }
    }
  });

  test("at full rank are the original, whatever they see", () => {
    for (const mode of ["linear", "asymmetric", "nonlinear"] as const) {
      const { graph } = methodPass(
        "zhang",
        { mode, layers: { a: { rank: 5 }, b: { rank: 6 } }, keepFirst: 0 },
        { responses },
      )(net);
      const [found, original] = [responses(graph, "out"), responses(net, "out")];
      for (const [i, value] of found.data.entries()) expect(value).toBeCloseTo(original.data[i]!, 3);
    }
  });
});
