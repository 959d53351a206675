// The first passes over graphs, evaluated by ONNX Runtime: what they rewrite computes what it did before.
import { describe, expect, it } from "vitest";
import { writeModel } from "../src/formats/onnx/index.js";
import { elements, float, int, int64Tensor, ints, makeNode, tensor } from "../src/graph/attributes.js";
import { numbers, printGraph, tensorOf } from "../src/graph/index.js";
import type { DataType, Dim, Graph, Node, Pass, TensorData } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";
import { cost, verifyGraph } from "../src/ops/index.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { removeDeadNodes } from "../src/passes/remove-unread.js";
import { sequence } from "../src/passes/sequence.js";
import { loadModel } from "../src/runtime/files.js";
import { openSession, sampleFeeds } from "../src/runtime/index.js";
import { noShared, shared } from "./shared.js";

const random = new Random(3);

function constant(dims: readonly number[], type: DataType = "float32", low = -1, high = 1): TensorData {
  return tensorOf(
    type,
    dims,
    Array.from({ length: elements(dims) }, () => low + (high - low) * random.next()),
  );
}

function graphOf(
  nodes: readonly Node[],
  x: readonly Dim[],
  constants: Readonly<Record<string, TensorData>>,
  type: DataType = "float32",
): Graph {
  return {
    name: "test",
    nodes,
    initializers: new Map(Object.entries(constants)),
    inputs: [{ name: "x", tensor: { type, dims: x } }],
    outputs: [{ name: "y", tensor: { type } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const statistics = (channels: number, type: DataType = "float32") => ({
  scale: constant([channels], type),
  shift: constant([channels], type),
  mean: constant([channels], type),
  variance: constant([channels], type, 0.5, 2),
});

const norm = (from: string, to: string) =>
  makeNode(
    "BatchNormalization",
    [from, "scale", "shift", "mean", "variance"],
    [to],
    { epsilon: float(1e-3) },
    { name: "norm" },
  );

/** Largest difference of the outputs in ONNX Runtime, relative to the largest output. */
async function difference(before: Graph, after: Graph, shape: readonly number[]): Promise<number> {
  verifyGraph(after);
  const values: number[][] = [];
  for (const graph of [before, after]) {
    const session = await openSession(writeModel(graph), { threads: 1 });
    const outputs = await session.run(
      sampleFeeds(session.inputs, { shapes: new Map([[session.inputs[0]!.name, shape]]), range: [-1, 1] }),
    );
    values.push(Object.values(outputs).flatMap((output) => [...numbers(output)]));
    await session.release();
  }
  const [a, b] = values as [number[], number[]];
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - b[index]!)), 0) / largest;
}

const ops = (graph: Graph) => graph.nodes.map((node) => node.op);

describe("foldBatchNorm", () => {
  const layers: Record<
    string,
    { node: Node; constants: Record<string, TensorData>; shape: readonly number[]; channels: number }
  > = {
    "Conv with bias": {
      node: makeNode("Conv", ["x", "w", "b"], ["z"], { pads: ints([1, 1, 1, 1]) }),
      constants: { w: constant([6, 4, 3, 3]), b: constant([6]) },
      shape: [2, 4, 7, 5],
      channels: 6,
    },
    "grouped Conv without bias": {
      node: makeNode("Conv", ["x", "w"], ["z"], { group: int(2), strides: ints([2, 2]) }),
      constants: { w: constant([6, 2, 3, 3]) },
      shape: [2, 4, 7, 5],
      channels: 6,
    },
    "Conv over one axis": {
      node: makeNode("Conv", ["x", "w"], ["z"]),
      constants: { w: constant([5, 4, 3]) },
      shape: [2, 4, 9],
      channels: 5,
    },
    "grouped ConvTranspose": {
      node: makeNode("ConvTranspose", ["x", "w", "b"], ["z"], { group: int(2), strides: ints([2, 2]) }),
      constants: { w: constant([4, 3, 3, 3]), b: constant([6]) },
      shape: [2, 4, 7, 5],
      channels: 6,
    },
    Gemm: {
      node: makeNode("Gemm", ["x", "w", "b"], ["z"], { transB: int(1), beta: float(0.5) }),
      constants: { w: constant([6, 4]), b: constant([6]) },
      shape: [3, 4],
      channels: 6,
    },
    "Gemm with a scalar bias, not transposed": {
      node: makeNode("Gemm", ["x", "w", "b"], ["z"], { beta: float(2) }),
      constants: { w: constant([4, 6]), b: constant([1]) },
      shape: [3, 4],
      channels: 6,
    },
  };
  for (const [name, { node, constants, shape, channels }] of Object.entries(layers)) {
    it(`folds into the ${name} before it`, async () => {
      const before = graphOf([node, norm("z", "y")], shape, { ...constants, ...statistics(channels) });
      const { graph, outcomes } = foldBatchNorm(before);
      expect(outcomes).toEqual([
        { pass: "fold-batch-norm", layer: "norm", applied: true, reason: "it was folded into z before it" },
      ]);
      expect(ops(graph)).toEqual([node.op]);
      expect([...graph.initializers.keys()].filter((key) => key in statistics(1))).toEqual([]);
      expect(await difference(before, graph, shape)).toBeLessThan(2e-6); // a few float32 roundings of sums of 36 products
    });
  }

  it("folds into the layer after it where nothing is padded", async () => {
    const conv = makeNode("Conv", ["n", "w"], ["y"], { group: int(2) }, { name: "conv" });
    const before = graphOf([norm("x", "n"), conv], [2, 4, 6, 6], { w: constant([6, 2, 3, 3]), ...statistics(4) });
    const { graph, outcomes } = foldBatchNorm(before);
    expect(outcomes[0]!.reason).toBe("it was folded into conv after it");
    expect(ops(graph)).toEqual(["Conv"]);
    expect(await difference(before, graph, [2, 4, 6, 6])).toBeLessThan(2e-6);
  });

  it("refuses the layer after it where zeros are padded, and says so", () => {
    const conv = makeNode("Conv", ["n", "w"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "conv" });
    const before = graphOf([norm("x", "n"), conv], [2, 4, 6, 6], { w: constant([6, 4, 3, 3]), ...statistics(4) });
    const { graph, outcomes } = foldBatchNorm(before);
    expect(graph).toBe(before);
    expect(outcomes[0]).toMatchObject({
      applied: false,
      reason: "its input is not made by a node, and conv pads with zeros, which are not shifted",
    });
  });

  it("refuses a layer whose output others read", () => {
    const conv = makeNode("Conv", ["x", "w"], ["z"], {}, { name: "conv" });
    const before = graphOf([conv, norm("z", "n"), makeNode("Add", ["z", "n"], ["y"])], [1, 4, 4, 4], {
      w: constant([4, 4, 1, 1]),
      ...statistics(4),
    });
    expect(foldBatchNorm(before).outcomes[0]!.reason).toMatch(/^the output of conv is read elsewhere too/);
  });

  it("refuses statistics that are not constant, training mode and variances below zero", () => {
    const conv = makeNode("Conv", ["x", "w"], ["z"]);
    const w = constant([4, 4, 1, 1]);
    const reason = (node: Node, constants: Record<string, TensorData>) =>
      foldBatchNorm(graphOf([conv, node], [1, 4, 4, 4], { w, ...constants })).outcomes[0]!.reason;
    const { scale: _, ...rest } = statistics(4);
    expect(reason(norm("z", "y"), rest)).toMatch(/not constant/);
    expect(reason({ ...norm("z", "y"), attributes: new Map([["training_mode", int(1)]]) }, statistics(4))).toMatch(
      /training mode/,
    );
    expect(reason(norm("z", "y"), { ...statistics(4), variance: constant([4], "float32", -2, -1) })).toMatch(
      /not finite/,
    );
  });

  it("does not fold where a weight that another layer reads would be stored twice", () => {
    const nodes = [
      makeNode("Conv", ["x", "w"], ["z"]),
      norm("z", "n"),
      makeNode("Conv", ["n", "w"], ["y"], {}, { name: "last" }),
    ];
    const before = graphOf(nodes, [1, 4, 4, 4], { w: constant([4, 4, 1, 1]), ...statistics(4) });
    const { graph, outcomes } = foldBatchNorm(before);
    expect(graph).toBe(before);
    expect(outcomes[0]!.reason).toMatch(/^the weight of z is also read by last, and would be stored more than once/);
  });

  it("folds into a weight that several layers read where all are followed by the same scale, and keeps it shared", async () => {
    const bn = (from: string, to: string, shift: string) =>
      makeNode("BatchNormalization", [from, "scale", shift, "mean", "variance"], [to]);
    const nodes = [
      ...[makeNode("Conv", ["x", "w", "b"], ["a"]), bn("a", "p", "shift"), makeNode("Identity", ["w"], ["w2"])],
      ...[makeNode("Conv", ["p", "w2", "b"], ["c"]), bn("c", "q", "shift"), makeNode("Conv", ["q", "w", "b"], ["d"])],
      bn("d", "y", "shift2"),
    ];
    const constants = { w: constant([4, 4, 1, 1]), b: constant([4]), ...statistics(4), shift2: constant([4]) };
    const before = graphOf(nodes, [1, 4, 4, 4], constants);
    const { graph, outcomes } = foldBatchNorm(before);
    expect(outcomes.map(({ applied }) => applied)).toEqual([true, true, true]);
    expect([...graph.initializers.keys()]).toEqual(["b", "w_1", "b_1"]);
    expect(ops(graph)).toEqual(["Conv", "Conv", "Conv"]);
    expect(await difference(before, graph, [1, 4, 4, 4])).toBeLessThan(1e-6);
  });

  it("leaves no Constant node behind, and adds no bias of zeros", async () => {
    const zeros = tensorOf("float32", [4], [0, 0, 0, 0]);
    const nodes = [
      makeNode("Constant", [], ["w"], { value: tensor(constant([4, 4, 3, 3])) }),
      ...["scale", "shift", "mean", "variance"].map((name) =>
        makeNode("Constant", [], [name], {
          value: tensor(name === "shift" || name === "mean" ? zeros : statistics(4).variance),
        }),
      ),
      ...[makeNode("Conv", ["x", "w"], ["z"]), norm("z", "y")],
    ];
    const before = graphOf(nodes, [1, 4, 6, 6], {});
    const { graph } = foldBatchNorm(before);
    expect(ops(graph)).toEqual(["Conv"]);
    expect(graph.nodes[0]!.inputs).toEqual(["x", "w_1"]);
    expect(writeModel(graph).length).toBeLessThan(writeModel(before).length);
    expect(await difference(before, graph, [1, 4, 6, 6])).toBeLessThan(1e-6);
  });

  it("does not give layers biases that take more than what goes", () => {
    const nodes = Array.from({ length: 3 }, (_, at) => [
      makeNode("Conv", [at === 0 ? "x" : `n${at - 1}`, `w${at}`], [`z${at}`]),
      norm(`z${at}`, at === 2 ? "y" : `n${at}`),
    ]).flat();
    const weights = Object.fromEntries([0, 1, 2].map((at) => [`w${at}`, constant([128, 128, 1, 1])]));
    const before = graphOf(nodes, [1, 128, 4, 4], { ...weights, ...statistics(128) });
    const { graph, outcomes } = foldBatchNorm(before);
    expect(outcomes[0]!.reason).toMatch(/^the biases that z0 would get take \d+ bytes more than what would go/);
    expect(writeModel(graph).length).toBeLessThanOrEqual(writeModel(before).length);
  });

  it.each([
    [
      "of opset 9 with five outputs, none of them read",
      9,
      ["y", "a", "b", "c", "d"],
      {},
      /training mode: before opset 14/,
    ],
    ["of opset 13 with five outputs", 13, ["y", "a", "b", "c", "d"], {}, /training mode/],
    ["of opset 7 with a second output alone", 7, ["y", "", "", "c"], {}, /training mode/],
    ["of opset 15 with training_mode", 15, ["y", "a", "b"], { training_mode: int(1) }, /training_mode = 1/],
    ["of opset 6, where training is the default", 6, ["y"], {}, /is_test = 0/],
    ["of opset 6 with is_test", 6, ["y"], { is_test: int(1) }, /^it was folded/],
    ["of opset 9 whose further outputs are left out", 9, ["y", "", "", "", ""], {}, /^it was folded/],
    ["of opset 15", 15, ["y"], {}, /^it was folded/],
    ["of opset 8 for each pixel", 8, ["y"], { spatial: int(0) }, /every pixel by itself/],
  ] as const)("decides on a normalisation %s", (_, opset, outputs, attributes, reason) => {
    const node = makeNode("BatchNormalization", ["z", "scale", "shift", "mean", "variance"], outputs, attributes);
    const before = graphOf([makeNode("Conv", ["x", "w"], ["z"]), node], [1, 4, 4, 4], {
      ...{ w: constant([4, 4, 1, 1]), ...statistics(4) },
    });
    expect(foldBatchNorm({ ...before, opsets: new Map([["", opset]]) }).outcomes[0]!.reason).toMatch(reason);
  });

  it("keeps half-precision weights half and reads weights from Constant nodes behind Identity", async () => {
    const nodes = [
      makeNode("Constant", [], ["c"], { value: tensor(constant([4, 4, 3, 3], "float16")) }),
      makeNode("Identity", ["c"], ["w"]),
      makeNode("Conv", ["x", "w"], ["z"]),
      norm("z", "y"),
    ];
    const before = graphOf(nodes, [1, 4, 6, 6], statistics(4, "float16"), "float16");
    const { graph } = sequence(foldBatchNorm, removeDeadNodes)(before);
    expect(ops(graph)).toEqual(["Conv"]);
    expect([...graph.initializers.values()].map((value) => value.type)).toEqual(["float16", "float16"]);
    expect(await difference(before, graph, [1, 4, 6, 6])).toBeLessThan(4e-3); // 2^-11 for each of a few roundings in half precision
  });

  it.skipIf(!shared("data/models"))(
    `folds every normalisation of real ResNets to 1e-5 of the output${shared("data/models") ? "" : ` (${noShared})`}`,
    async () => {
      for (const name of ["resnet20-bn", "resnet56-bn"]) {
        const before = await loadModel(shared(`data/models/${name}.onnx`)!);
        const { graph, outcomes } = foldBatchNorm(before);
        expect(outcomes.filter((outcome) => !outcome.applied)).toEqual([]);
        expect(ops(graph)).not.toContain("BatchNormalization");
        expect(cost(graph).weights).toBe(cost(before).weights);
        expect(await difference(before, graph, [2, 3, 32, 32])).toBeLessThan(1e-5);
      }
    },
  );
});

describe("foldConstants and removeDeadNodes", () => {
  const fold: Pass = sequence(foldConstants(), removeDeadNodes);

  it("computes the shape chains of exporters where the input's shape is stated", async () => {
    const nodes = [
      makeNode("Shape", ["x"], ["s"]),
      makeNode("Constant", [], ["i"], { value: tensor(int64Tensor([], [0])) }),
      makeNode("Gather", ["s", "i"], ["n"]),
      makeNode("Unsqueeze", ["n", "zero"], ["n1"]),
      makeNode("Concat", ["n1", "rest"], ["target"], { axis: int(0) }),
      makeNode("Reshape", ["x", "target"], ["y"]),
      makeNode("Relu", ["x"], ["unused"]),
    ];
    const before = graphOf(nodes, [2, 3, 4], {
      zero: int64Tensor([1], [0]),
      rest: int64Tensor([1], [-1]),
      stale: int64Tensor([1], [7]),
    });
    const { graph } = fold(before);
    expect(printGraph(graph)).toBe(`graph test (opset 17)
in    x f32[2, 3, 4]
const target i64[2] = [2, -1]
y = Reshape(x, target)
out   y f32[...]
`);
    expect(await difference(before, graph, [2, 3, 4])).toBe(0);
  });

  it("leaves what depends on a free size", () => {
    const nodes = [makeNode("Shape", ["x"], ["s"]), makeNode("Reshape", ["x", "s"], ["y"])];
    const before = graphOf(nodes, ["N", 3], {});
    expect(fold(before).graph).toBe(before);
  });

  it("does not store a repeated filter basis repeatedly", () => {
    const nodes = [makeNode("Tile", ["b", "times"], ["w"]), makeNode("Conv", ["x", "w"], ["y"], { group: int(4) }, {})];
    const before = graphOf(nodes, [1, 16, 5, 5], { b: constant([8, 4, 3, 3]), times: int64Tensor([4], [4, 1, 1, 1]) });
    const { graph, outcomes } = fold(before);
    expect(graph).toBe(before);
    expect(outcomes).toMatchObject([
      { applied: false, reason: "its result takes 4608 bytes where 1184 would be freed" },
    ]);
    expect(cost(graph)).toMatchObject({ weights: 8 * 4 * 9, macs: 32 * 4 * 9 * 9 });
  });

  it("does not round 64-bit limits that a double cannot hold", () => {
    const limit = {
      type: "int64",
      dims: [1],
      data: new Uint8Array(new BigInt64Array([2n ** 63n - 1n]).buffer),
    } as const;
    const nodes = [
      makeNode("Concat", ["a", "limit"], ["ends"], { axis: int(0) }),
      makeNode("Slice", ["x", "starts", "ends"], ["y"]),
    ];
    const before = graphOf(nodes, [4, 4], { a: int64Tensor([1], [3]), limit, starts: int64Tensor([2], [1, 1]) });
    expect(fold(before).graph).toBe(before);
  });

  it.skipIf(!shared("data/models"))(
    `change no output of real networks${shared("data/models") ? "" : ` (${noShared})`}`,
    async () => {
      for (const name of ["imdn_x4", "rfdn_x4", "version-RFB-320", "resnet20-bn"]) {
        const before = await loadModel(shared(`data/models/${name}.onnx`)!);
        const { graph } = fold(before);
        expect(graph.nodes.length).toBeLessThanOrEqual(before.nodes.length);
        const shape = before.inputs
          .find((input) => !before.initializers.has(input.name))!
          .tensor!.dims!.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 1 : 32));
        expect(await difference(before, graph, shape)).toBeLessThan(1e-6);
      }
    },
  );
});
