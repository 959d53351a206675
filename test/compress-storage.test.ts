// What real exporters do with weights, and what cannot be compressed: Constant nodes, Identity chains, half and double
// precision, one weight read twice, old models that list weights among their inputs; grouped, dynamic and quantised
// weights.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { layouts } from "../src/basis/layouts.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { int, ints, makeNode, tensor } from "../src/graph/attributes.js";
import { printGraph } from "../src/graph/print.js";
import type { DataType, Graph, TensorData } from "../src/graph/types.js";
import { dataTypes } from "../src/graph/types.js";
import { numbers, tensorOf } from "../src/graph/values.js";
import { basis } from "../src/methods/basis.js";
import { expand } from "../src/methods/expand.js";
import { expandBases } from "../src/methods/expand-bases.js";
import { findLayers } from "../src/methods/layers.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { compareOutputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { oneConv, randomTensor, smallGraph } from "./small-graphs.js";

const input = (type: DataType = "float32") => [{ name: "x", tensor: { type, dims: ["N", 8, "H", "W"] } }];
const as = (type: DataType, one: TensorData): TensorData => tensorOf(type, one.dims, numbers(one));
const weight = randomTensor([8, 8, 3, 3], 1);
const bias = randomTensor([8], 2);
const pads = { pads: ints([1, 1, 1, 1]) };

async function difference(graph: Graph, reference: Graph): Promise<number> {
  const [a, b] = [await openSession(graph, { threads: 1 }), await openSession(reference, { threads: 1 })];
  try {
    const feeds = sampleFeeds(b.inputs, { side: 9, range: [-1, 1] });
    return compareOutputs(await a.run(feeds), await b.run(feeds)).relative;
  } finally {
    await a.release();
    await b.release();
  }
}

interface Stored {
  readonly graph: Graph;
  /** Rounding of the stored type, and of what the runtime computes in. */
  readonly tolerance: number;
  readonly layers?: number;
}

const stored: Record<string, Stored> = {
  "a Constant node": {
    tolerance: 1e-5,
    graph: smallGraph({
      nodes: [
        makeNode("Constant", [], ["w"], { value: tensor(weight) }),
        makeNode("Conv", ["x", "w", "b"], ["y"], pads, { name: "conv" }),
      ],
      initializers: { b: bias },
      inputs: input(),
      outputs: ["y"],
    }),
  },
  "an Identity chain": {
    tolerance: 1e-5,
    graph: smallGraph({
      nodes: [
        makeNode("Identity", ["w"], ["v"]),
        makeNode("Identity", ["v"], ["u"]),
        makeNode("Conv", ["x", "u", "b"], ["y"], pads, { name: "conv" }),
      ],
      initializers: { w: weight, b: bias },
      inputs: input(),
      outputs: ["y"],
    }),
  },
  "half precision, cast to single": {
    tolerance: 2e-3,
    graph: smallGraph({
      nodes: [
        makeNode("Cast", ["w"], ["v"], { to: int(dataTypes.indexOf("float32") + 1) }),
        makeNode("Conv", ["x", "v", "b"], ["y"], pads, { name: "conv" }),
      ],
      initializers: { w: as("float16", weight), b: bias },
      inputs: input(),
      outputs: ["y"],
    }),
  },
  "half precision throughout": {
    tolerance: 1e-2,
    graph: {
      ...smallGraph({
        nodes: [makeNode("Conv", ["x", "w", "b"], ["y"], pads, { name: "conv" })],
        initializers: { w: as("float16", weight), b: as("float16", bias) },
        inputs: input("float16"),
        outputs: ["y"],
      }),
      outputs: [{ name: "y", tensor: { type: "float16" } }],
    },
  },
  "one weight that two convolutions read, one of them strided": {
    tolerance: 1e-5,
    layers: 2,
    graph: smallGraph({
      nodes: [
        makeNode("Conv", ["x", "w", "b"], ["y"], pads, { name: "conv" }),
        makeNode("Identity", ["w"], ["again"]),
        makeNode("Conv", ["y", "again"], ["z"], { ...pads, strides: ints([2, 2]) }, { name: "second" }),
      ],
      initializers: { w: weight, b: bias },
      inputs: input(),
      outputs: ["y", "z"],
    }),
  },
  "an old file that lists its weights among its inputs": {
    tolerance: 1e-5,
    graph: {
      ...smallGraph({
        nodes: [makeNode("Conv", ["x", "w", "b"], ["y"], pads, { name: "conv" })],
        initializers: { w: weight, b: bias },
        inputs: [
          ...input(),
          { name: "w", tensor: { type: "float32", dims: [8, 8, 3, 3] } },
          { name: "b", tensor: { type: "float32", dims: [8] } },
        ],
        outputs: ["y"],
        opset: 9,
      }),
      irVersion: 3,
    },
  },
  "a node without a name": {
    tolerance: 1e-5,
    graph: smallGraph({
      nodes: [makeNode("Conv", ["x", "w"], ["y"], pads)],
      initializers: { w: weight },
      inputs: input(),
      outputs: ["y"],
    }),
  },
};

describe.each(Object.entries(stored))("a weight stored as %s", (_, { graph, tolerance, layers = 1 }) => {
  test("is compressed once, computes the same at full rank in every layout, and expands", async () => {
    const { graph: compressed, outcomes } = basis({ splits: 2, basis: 16 })(graph);
    expect(outcomes.filter(({ applied }) => applied)).toHaveLength(layers);
    const record = readRecord(compressed)!;
    expect(new Set(record.layers.map((layer) => layer.coefficients)).size).toBe(1);
    const original = [...graph.initializers.keys()].find((name) => name === "w");
    if (original) expect(compressed.initializers.has("w")).toBe(false); // the original filters are gone,
    expect(compressed.inputs.map(({ name }) => name)).not.toContain("w"); // from the inputs too
    expect(compressed.initializers.get(record.layers[0]!.basis)!.type).toBe(
      (graph.initializers.get("w") ?? weight).type,
    );
    for (const layout of layouts) {
      const formed = chooseLayouts(() => layout)(compressed).graph;
      verifyGraph(formed);
      expect(await difference(formed, graph)).toBeLessThan(tolerance);
      expect(printGraph(readModel(writeModel(formed)))).toBe(printGraph(formed));
    }
    const dense = expand(compressed).graph;
    verifyGraph(dense);
    expect(await difference(dense, graph)).toBeLessThan(tolerance);
    expect(cost(dense).weights).toBe(cost(graph).weights);
  });
});

test("a long name of a layer is not repeated in every value inside of it", async () => {
  const { graph } = stored["a Constant node"]!;
  const name = `${"block/".repeat(40)}conv`;
  const named = { ...graph, nodes: graph.nodes.map((node) => (node.op === "Conv" ? { ...node, name } : node)) };
  const compressed = chooseLayouts(() => "batch-folded")(basis({ splits: 2, basis: 5 })(named).graph).graph;
  const { nodes } = lowerBasisConv(compressed);
  expect(nodes.at(-1)!.name).toBe(name);
  expect(Math.max(...nodes.slice(0, -1).map((node) => node.name.length + node.outputs[0]!.length))).toBeLessThan(60);
  expect(printGraph(readModel(writeModel(compressed)))).toBe(printGraph(compressed));
});

test("filters rebuilt in the type that is computed in are those of the compressed layer, and not rounded to the type that is stored", async () => {
  const { graph } = stored["half precision, cast to single"]!;
  const compressed = basis({ splits: 2, basis: 5 })(graph).graph;
  expect(await difference(expandBases(compressed, "computed").graph, compressed)).toBeLessThan(1e-6);
  expect(await difference(expandBases(compressed, "stored").graph, compressed)).toBeGreaterThan(1e-5);
});

test("half-precision filters of the dense layout are products of float32 matrices, which ONNX Runtime computes at load", async () => {
  const { graph } = stored["half precision throughout"]!;
  const dense = chooseLayouts(() => "dense")(basis({ splits: 2, basis: 5 })(graph).graph).graph;
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-half-"));
  try {
    const optimised = join(folder, "optimised.onnx");
    const session = await InferenceSession.create(writeModel(dense), {
      optimizedModelFilePath: optimised,
      logSeverityLevel: 4,
    });
    await session.release();
    const operators = readModel(new Uint8Array(readFileSync(optimised))).nodes.map(({ op }) => op);
    expect(operators).toContain("Conv");
    expect(operators).not.toContain("MatMul");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("convolutions of one and of three dimensions", () => {
  test.each([[[3]], [[2, 3, 3]]])("with kernel %j are compressed like others", async (kernel) => {
    const graph = oneConv({ outChannels: 6, inChannels: 8, kernel });
    const kernelElements = kernel.reduce((product, size) => product * size, 1);
    for (const layout of layouts)
      expect(
        await difference(basis({ splits: 2, basis: Math.min(12, 4 * kernelElements), layout })(graph).graph, graph),
      ).toBeLessThan(1e-5);
    const { graph: truncated } = basis({ keepParams: 0.5 })(oneConv({ outChannels: 16, inChannels: 16, kernel }));
    expect(await difference(truncated, expand(truncated).graph)).toBeLessThan(1e-4);
  });
});

describe("what is skipped is named with its reason", () => {
  const conv = (attributes: Parameters<typeof makeNode>[3], w = "w") =>
    makeNode("Conv", ["x", w], ["y"], attributes, { name: "conv" });
  const reason = (nodes: ReturnType<typeof makeNode>[], initializers: Record<string, TensorData>, inputs = input()) =>
    findLayers(smallGraph({ nodes, initializers, inputs, outputs: ["y"] })).skipped;

  test("depthwise and grouped convolutions", () => {
    expect(reason([conv({ group: int(8) })], { w: randomTensor([8, 1, 3, 3], 1) })).toEqual([
      { name: "conv", reason: "it is a depthwise convolution: each of its 8 groups sees one channel" },
    ]);
    expect(reason([conv({ group: int(2) })], { w: randomTensor([8, 4, 3, 3], 1) })[0]!.reason).toBe(
      "it is a grouped convolution of 2 groups",
    );
  });

  test("weights that are computed while the model runs, and a model that has no others", () => {
    const inputs = [...input(), { name: "w", tensor: { type: "float32" as const, dims: [8, 8, 3, 3] } }];
    expect(reason([conv({})], {}, inputs)).toEqual([
      { name: "conv", reason: "its weight is computed while the model runs" },
    ]);
    const graph = smallGraph({ nodes: [conv({})], initializers: {}, inputs, outputs: ["y"] });
    for (const options of [{ keepParams: 0.5 }, { basis: 4 }]) {
      expect(() => basis(options)(graph)).toThrow(
        expect.objectContaining({
          code: "unsupported",
          message: expect.stringContaining("computed while the model runs"),
        }),
      );
    }
  });

  test("transposed convolutions and fully connected layers", () => {
    const transposed = makeNode("ConvTranspose", ["x", "w"], ["y"], {}, { name: "up" });
    expect(reason([transposed], { w: weight })[0]).toMatchObject({
      name: "up",
      reason: expect.stringContaining("transposed"),
    });
    const linear = [conv({}), makeNode("MatMul", ["y", "v"], ["z"], {}, { name: "linear" })];
    expect(reason(linear, { w: weight, v: randomTensor([7, 5], 1) })).toEqual([
      { name: "linear", reason: "it is a matrix product, not a convolution" },
    ]);
  });

  test("weights of types that are not decomposed", () => {
    expect(reason([conv({})], { w: as("int32", weight) })[0]!.reason).toBe("its weight is of type int32");
  });

  test("a weight that something else reads too", () => {
    const nodes = [conv({}), makeNode("Relu", ["w"], ["z"], {}, { name: "other" })];
    expect(reason(nodes, { w: weight })).toEqual([{ name: "conv", reason: "its weight is also read by other (Relu)" }]);
    const returned = smallGraph({
      nodes: [conv({})],
      initializers: { w: weight },
      inputs: input(),
      outputs: ["y", "w"],
    });
    expect(findLayers(returned).skipped[0]!.reason).toBe("its weight is also read by an output of the graph");
  });

  test("convolutions inside the body of another node", () => {
    const inner = smallGraph({ nodes: [conv({})], initializers: { w: weight }, inputs: [], outputs: ["y"] });
    const branch = makeNode("If", ["c"], ["y"], { then_branch: { kind: "graph", value: inner } }, { name: "choice" });
    expect(reason([branch, makeNode("Conv", ["x", "w"], ["z"], {}, { name: "outer" })], { w: weight })).toContainEqual({
      name: "conv",
      reason: "it stands in the body of choice (If)",
    });
  });

  test("a model without any convolution is an error", () => {
    const graph = smallGraph({
      nodes: [makeNode("Relu", ["x"], ["y"])],
      initializers: {},
      inputs: input(),
      outputs: ["y"],
    });
    expect(() => basis({ keepParams: 0.5 })(graph)).toThrow(
      expect.objectContaining({ code: "not-found", message: expect.stringContaining("no convolution") }),
    );
  });
});
