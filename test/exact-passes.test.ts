// What is done to a model before it is compressed changes no output, makes no file larger, and hides no layer: on small
// models that once failed, and on networks found in public repositories.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { makeNode } from "../src/graph/attributes.js";
import { feeds } from "../src/graph/edit.js";
import type { Graph, LocalFunction } from "../src/graph/types.js";
import { basis } from "../src/methods/basis.js";
import { findLayers } from "../src/methods/layers.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { cost } from "../src/ops/cost/cost.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { halfWeights } from "../src/passes/half-weights.js";
import { sequence } from "../src/passes/sequence.js";
import { loadModel } from "../src/runtime/files.js";
import { outputsDiffer } from "./same-outputs.js";
import { noShared, shared } from "./shared.js";
import { randomTensor, smallGraph } from "./small-graphs.js";

const prepared = sequence(prepareForPlanning, foldBatchNorm);
/** Sums in float32 in another order: a few hundred roundings of 2^-24 of the largest value. */
const rounding = 2e-5;

const here = (name: string): string | undefined => shared(`cases/${name}.onnx`);

async function preparedCase(name: string) {
  const path = here(name)!;
  const original = await loadModel(path);
  const { graph, outcomes } = prepared(original);
  verifyGraph(graph);
  return { path, original, graph, outcomes, bytes: statSync(path).size, written: writeModel(graph).length };
}

describe.skipIf(here("bn_train9") === undefined)(`small models that once failed (else skipped: ${noShared})`, () => {
  test("a batch norm in training mode is not folded, and says why", async () => {
    const { path, original, graph, outcomes } = await preparedCase("bn_train9");
    expect(graph).toBe(original);
    expect(outcomes).toMatchObject([
      { applied: false, reason: expect.stringMatching(/^it runs in training mode: before opset 14/) },
    ]);
    expect((await outputsDiffer(path, { ...graph, name: "again" })).absolute).toBe(0);
  });

  test("weights in Constant nodes go where folding replaced them", async () => {
    const { path, graph, bytes, written } = await preparedCase("const_bn");
    expect(graph.nodes.map(({ op }) => op)).not.toContain("BatchNormalization");
    expect(graph.nodes.map(({ op }) => op)).not.toContain("Constant");
    expect(written).toBeLessThan(bytes);
    expect((await outputsDiffer(path, graph)).relative).toBeLessThan(rounding);
  });

  test("batch norms behind shared weights are not folded where that multiplies the weights", async () => {
    const { original, graph, outcomes } = await preparedCase("effdet_head");
    expect(cost(graph).weights).toBe(cost(original).weights);
    expect(outcomes.filter(({ applied }) => !applied)).toHaveLength(9);
    for (const { reason } of outcomes)
      expect(reason).toMatch(/^the weight of \S+ is also read by .*would be stored more than once/);
  });

  test.each([
    ["w_transpose", "Transpose"],
    ["w_mul_scale", "Mul"],
  ])("the weight of %s is found behind %s", async (name, op) => {
    const { path, original, graph, outcomes, bytes, written } = await preparedCase(name);
    expect(findLayers(original).layers).toHaveLength(2);
    expect(findLayers(graph).layers).toHaveLength(3);
    expect(outcomes).toMatchObject([
      { applied: true, reason: `its weight was made from constants by ${op} and is stored as it is read` },
    ]);
    expect(written).toBeLessThanOrEqual(bytes);
    expect((await outputsDiffer(path, graph)).relative).toBeLessThan(rounding);
    expect(cost(graph)).toMatchObject({ weights: cost(original).weights, macs: cost(original).macs });
  });

  test("the convolution in a local function is counted, found and computed alike", async () => {
    const { path, original, graph } = await preparedCase("functions");
    expect(findLayers(original).skipped).toEqual([
      {
        name: expect.stringMatching(/\/t$/),
        reason: expect.stringMatching(/^it stands in the function pkg.torch::ConvBlock, which \S+ calls/),
      },
    ]);
    expect(findLayers(graph).layers).toHaveLength(3);
    expect(cost(original)).toMatchObject({ weights: cost(graph).weights, macs: cost(graph).macs, notes: [] });
    expect(graph.functions).toBeUndefined();
    expect((await outputsDiffer(path, graph)).absolute).toBe(0);
  });

  test.each(["cases/ir3_net", "wild/prisma_nchw", "wild/SqueezeNet_fp16"])(
    "no constant of %s is listed among the inputs once the IR version is raised",
    async (name) => {
      const original = await loadModel(shared(`${name}.onnx`)!);
      expect(original.irVersion).toBe(3);
      for (const pass of [halfWeights, basis({ basis: 2, only: [findLayers(original).layers[0]!.name] })]) {
        const { graph } = pass(original);
        if (graph === original) continue;
        const written = readModel(writeModel(graph));
        expect(written.irVersion).toBe(4);
        expect(written.inputs.map((input) => input.name)).toEqual(feeds(original).map((input) => input.name));
      }
      const renamed = readModel(writeModel({ ...original, name: "renamed" }));
      expect([renamed.irVersion, renamed.inputs.length]).toEqual([3, original.inputs.length]);
    },
  );
});

describe.each(["wild", "data/models", "cases"])(`the models of %s (else skipped: ${noShared})`, (folder) => {
  const path = shared(folder);
  const names = path === undefined ? [] : readdirSync(path).filter((name) => name.endsWith(".onnx"));
  test.skipIf(path === undefined)("come out of it no larger, with every outcome's reason told", async () => {
    for (const name of names) {
      const file = join(path!, name);
      const original = await loadModel(file);
      const { graph, outcomes } = prepared(original);
      verifyGraph(graph);
      expect(writeModel(graph).length, name).toBeLessThanOrEqual(statSync(file).size);
      expect(cost(graph).weights, name).toBe(cost(original).weights);
      for (const { reason } of outcomes) expect(reason, name).toMatch(/\w{3}/);
    }
  });
});

describe("the reasons for what is not found", () => {
  const nothing = (graph: Graph): string => {
    try {
      return findLayers(graph)
        .skipped.map(({ name, reason }) => `${name}: ${reason}`)
        .join("; ");
    } catch (error) {
      return (error as Error).message;
    }
  };
  const conv = makeNode("Conv", ["x", "w"], ["y"], {}, { name: "conv" });
  const w = randomTensor([4, 4, 3, 3], 1);

  test("a model without convolutions is told what it has instead", () => {
    const relu = smallGraph({ nodes: [makeNode("Relu", ["x"], ["y"])], initializers: {}, outputs: ["y"] });
    expect(nothing(relu)).toMatch(/^the model has no convolution: its operators are 1 Relu/);
    const product = smallGraph({
      nodes: [makeNode("MatMul", ["x", "w"], ["y"])],
      initializers: { w: randomTensor([4, 4], 1) },
      outputs: ["y"],
    });
    expect(nothing(product)).toMatch(/its weights are in 1 fully connected layers or products of matrices/);
    expect(cost(relu).notes).toEqual(["the model has no convolution and no fully connected layer"]);
  });

  test("a convolution in the body of an If is named, and its weights are counted once", () => {
    const branch = (name: string) => ({
      kind: "graph" as const,
      value: smallGraph({ nodes: [{ ...conv, outputs: [name], name }], initializers: {}, inputs: [], outputs: [name] }),
    });
    const choice = makeNode(
      "If",
      ["c"],
      ["y"],
      { then_branch: branch("a"), else_branch: branch("b") },
      { name: "choice" },
    );
    const inputs = [{ name: "c" }, { name: "x", tensor: { type: "float32" as const, dims: [1, 4, 8, 8] } }];
    const graph = smallGraph({ nodes: [choice], initializers: { w }, inputs, outputs: ["y"] });
    expect(nothing(graph)).toBe("a: it stands in the body of choice (If); b: it stands in the body of choice (If)");
    const counted = cost(graph);
    expect(counted).toMatchObject({ weights: 144, macs: 0 });
    expect(counted.uncounted).toEqual(["a in the body of choice (If)", "b in the body of choice (If)"]);
    expect(counted.notes).toEqual([
      expect.stringMatching(/^the MACs of a in the body of choice.* how often a body runs is not known$/),
    ]);
  });

  test("operators of other domains and weights that are inputs are named as not counted", () => {
    const nodes = [
      makeNode("FusedConv", ["x", "w"], ["a"], {}, { name: "fused", domain: "com.microsoft" }),
      makeNode("Conv", ["a", "v"], ["y"], {}, { name: "dynamic" }),
    ];
    const inputs = ["x", "v"].map((name) => ({ name, tensor: { type: "float32" as const, dims: [1, 4, 8, 8] } }));
    const { notes } = cost(smallGraph({ nodes, initializers: { w }, inputs, outputs: ["y"] }));
    expect(notes).toEqual([
      "not counted: dynamic, whose weights are computed while the model runs",
      "not counted: fused, for com.microsoft::FusedConv is not known here",
    ]);
  });

  test("a function that stays is named with the reason", () => {
    const local: LocalFunction = {
      ...{
        domain: "local",
        name: "Block",
        overload: "",
        inputs: ["a", "b"],
        outputs: ["c"],
        attributes: [],
        defaults: new Map(),
      },
      nodes: [makeNode("Conv", ["a", "b"], ["m"], {}, { name: "inner" }), makeNode("Softmax", ["m"], ["c"])],
      opsets: new Map([["", 12]]),
    };
    const call = makeNode("Block", ["x", "w"], ["y"], {}, { name: "block", domain: "local" });
    const graph = { ...smallGraph({ nodes: [call], initializers: { w }, outputs: ["y"] }), functions: [local] };
    expect(nothing(graph)).toBe(
      "block/inner: it stands in the function local::Block, which block calls: local::Block is written for opset 12, the model for 17: Softmax may differ",
    );
    expect(cost({ ...graph, inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 8, 8] } }] })).toMatchObject({
      weights: 144,
      macs: 36 * 144,
    });
  });

  test("a layer that is compressed already says how", () => {
    const graph = smallGraph({ nodes: [conv], initializers: { w }, outputs: ["y"] });
    const compressed = basis({ basis: 3, splits: 2 })(graph).graph;
    const reason =
      "it is compressed already (method basis, 2 splits x 3 basis filters); --undo gives its dense form back";
    expect(findLayers(compressed).skipped).toEqual([{ name: "conv", reason }]);
    expect(prepareForPlanning(compressed).graph).toBe(compressed);
  });
});
