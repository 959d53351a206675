// Layers written as chains: a file of them is known for what it is (inspect, plan), is not compressed twice, trains,
// and expands.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { composed } from "../src/basis/composed.js";
import type { Family } from "../src/basis/factors.js";
import { fitCandidate } from "../src/basis/fit.js";
import { findCalibratedLayers } from "../src/calibrate/layers.js";
import { biasesOf, type Replacement } from "../src/calibrate/replacement.js";
import { inspectModel } from "../src/cli/inspect.js";
import { undoModel } from "../src/compress/rewrite.js";
import { writeChains } from "../src/compress/write-chains.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { int, ints, makeNode, string } from "../src/graph/attributes.js";
import { withMetadata } from "../src/graph/edit.js";
import type { Attribute, Graph } from "../src/graph/types.js";
import { matrix } from "../src/linalg/matrix.js";
import { basis } from "../src/methods/basis.js";
import { chainKey } from "../src/methods/chain-record.js";
import { compressedLayers, describeCompression } from "../src/methods/compressed-layers.js";
import { expand } from "../src/methods/expand.js";
import { findLayers } from "../src/methods/layers.js";
import { prepareForPlanning } from "../src/methods/prepare.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { halfWeights } from "../src/passes/half-weights.js";
import { loadModel, saveModel } from "../src/runtime/files.js";
import { basisParameters } from "../src/train/approximation.js";
import { outputsDiffer } from "./same-outputs.js";
import { oneConv, randomTensor, smallGraph } from "./small-graphs.js";

const families: readonly { readonly family: Family; readonly splits?: number; readonly ranks: readonly number[] }[] = [
  { family: "separable", ranks: [4] },
  { family: "separable-pointwise", ranks: [4, 4] },
  { family: "own-bases", splits: 2, ranks: [3] },
  { family: "tucker-2", ranks: [3, 4] },
];

/** Every layer as the chain of the given family that is nearest to its filters. */
function inChains(graph: Graph, candidate: (typeof families)[number]): Graph {
  const replacements = findCalibratedLayers(graph).layers.map((layer): Replacement => {
    const d = layer.weight.cols;
    const identity = matrix(
      d,
      d,
      Float64Array.from({ length: d * d }, (_, at) => (at % (d + 1) === 0 ? 1 : 0)),
    );
    const factors = fitCandidate(layer.weight, identity, layer.shape, candidate);
    return { layer, filters: composed(factors), biases: biasesOf(layer), factors };
  });
  const chosen = replacements.map(({ layer, factors }) => ({
    ...{ layer, price: 0, loss: 0 },
    candidate: factors!.candidate,
    error: 0.25,
  }));
  const { graph: written } = writeChains(graph, replacements, chosen as never);
  verifyGraph(written);
  return written;
}

/** x [1, 4, 9, 8] -> conv -> y [.., 6, ..] */
function conv(kernel: readonly number[], attributes: Readonly<Record<string, Attribute>>, bias = true): Graph {
  const graph = oneConv({ outChannels: 6, inChannels: 4, kernel, bias, attributes });
  const dims = [1, 4, ...[9, 8].slice(2 - kernel.length)];
  return { ...graph, inputs: [{ name: "x", tensor: { type: "float32", dims } }] };
}

function connected(op: "Gemm" | "MatMul"): Graph {
  const initializers = { w: randomTensor([op === "Gemm" ? 6 : 8, op === "Gemm" ? 8 : 6], 3), b: randomTensor([6], 4) };
  const nodes =
    op === "Gemm"
      ? [makeNode("Gemm", ["x", "w", "b"], ["y"], { transB: int(1) }, { name: "dense" })]
      : [makeNode("MatMul", ["x", "w"], ["y"], {}, { name: "dense" })];
  const inputs = [{ name: "x", tensor: { type: "float32" as const, dims: [3, 8] } }];
  return smallGraph({
    nodes,
    initializers: op === "Gemm" ? initializers : { w: initializers.w },
    inputs,
    outputs: ["y"],
  });
}

const windows: readonly (readonly [string, Graph])[] = [
  ["without padding", conv([3, 3], {})],
  ["with stride 2, padded, without a bias", conv([3, 3], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }, false)],
  ["of 3 x 2, padded on one side, dilated", conv([3, 2], { pads: ints([2, 0, 1, 1]), dilations: ints([2, 1]) })],
  ["padded by size", conv([3, 3], { auto_pad: string("SAME_LOWER"), strides: ints([1, 2]) })],
  ["of one axis", conv([3], { pads: ints([1, 1]) })],
];

/** The node that undoing gives back. */
const originalOf = ({ nodes }: Graph) =>
  nodes.map(({ op, name, inputs, outputs }) => ({ op, name, inputs: inputs.length, outputs }));

describe.each(families)("a chain of the family $family", (candidate) => {
  test.each(windows)("in the place of a convolution %s comes back as that convolution", async (_, graph) => {
    const chain = readModel(writeModel(inChains(graph, candidate)));
    expect(chain.nodes.length).toBeGreaterThan(1);
    const { graph: dense, outcomes } = expand(chain);
    verifyGraph(dense);
    expect(outcomes.map(({ layer, applied }) => [layer, applied])).toEqual([["conv", true]]);
    expect(originalOf(dense)).toEqual([{ ...originalOf(graph)[0], inputs: 3 }]);
    expect(dense.nodes[0]!.attributes).toEqual(graph.nodes[0]!.attributes);
    expect(dense.metadata.has(chainKey)).toBe(false);
    expect([...dense.initializers.keys()]).toHaveLength(2);
    expect((await outputsDiffer(writeModel(chain), dense)).relative).toBeLessThan(1e-5);
    expect(compressedLayers(dense)).toEqual([]);
  });

  test("is written as it was read, and not compressed again", () => {
    const bytes = writeModel(inChains(conv([3, 3], {}), candidate));
    const chain = readModel(bytes);
    expect(writeModel(chain)).toEqual(bytes);
    const { layers, skipped } = findLayers(chain);
    expect(layers).toEqual([]);
    expect(skipped).toEqual([{ name: "conv", reason: expect.stringMatching(/^it is compressed already \(.*--undo/) }]);
    expect(findCalibratedLayers(chain)).toMatchObject({ layers: [], skipped });
    expect(() => basis({ basis: 2 })(chain)).toThrow(/compressed already/);
    expect(basisParameters(chain)).toEqual(new Set(compressedLayers(chain)[0]!.parameters));
    expect(basisParameters(chain).size).toBe(chain.nodes.length);
  });
});

describe("two matrices", () => {
  test.each(["Gemm", "MatMul"] as const)("in the place of a %s come back as it", async (op) => {
    const original = connected(op);
    const chain = readModel(writeModel(inChains(original, { family: "low-rank", ranks: [3] })));
    expect(findCalibratedLayers(chain)).toMatchObject({ layers: [], skipped: [{ name: "dense" }] });
    const dense = expand(chain).graph;
    verifyGraph(dense);
    expect(dense.nodes.map((node) => node.op)).toEqual(op === "Gemm" ? ["Gemm"] : ["MatMul", "Add"]);
    expect((await outputsDiffer(writeModel(chain), dense)).relative).toBeLessThan(1e-5);
  });
});

describe("a network with a basis and with chains", () => {
  const two = (hidden: number) => {
    const first = oneConv({ outChannels: hidden, inChannels: 4, kernel: [3, 3] });
    const { "conv.weight": w, "conv.bias": b } = Object.fromEntries(first.initializers);
    return smallGraph({
      nodes: [
        makeNode("Conv", ["x", "a.weight", "a.bias"], ["h"], {}, { name: "a" }),
        makeNode("Conv", ["h", "c.weight"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "c" }),
      ],
      initializers: { "a.weight": w!, "a.bias": b!, "c.weight": randomTensor([6, hidden, 3, 3], 9) },
      inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 9, 8] } }],
      outputs: ["y"],
    });
  };
  const mixed = (hidden = 8, ranks = [3, 4]) => {
    const graph = basis({ basis: 3, splits: 1, only: ["a"] })(two(hidden)).graph;
    return inChains(graph, { family: "tucker-2", ranks });
  };

  test("is read by one reader and undone by one pass", async () => {
    const graph = readModel(writeModel(mixed()));
    expect(compressedLayers(graph).map(({ kind, name }) => [kind, name])).toEqual([
      ["basis", "a"],
      ["chain", "c"],
    ]);
    expect(describeCompression(graph)).toBe(
      "2 layers are compressed already (a: method basis, 1 split x 3 basis filters; c: tucker 2 3, 4)",
    );
    const dense = expand(graph).graph;
    expect(dense.nodes.map(({ name }) => name)).toEqual(["a", "c"]);
    expect(describeCompression(dense)).toBeUndefined();
    expect((await outputsDiffer(writeModel(graph), dense)).relative).toBeLessThan(1e-5);
  });

  test("stored in half precision comes back in half precision", async () => {
    const graph = readModel(writeModel(halfWeights(mixed(96, [40, 6])).graph));
    expect(compressedLayers(prepareForPlanning(graph).graph).every(({ nodes }) => nodes.length > 0)).toBe(true);
    const dense = expand(graph).graph;
    verifyGraph(dense);
    expect(dense.nodes.filter(({ op }) => op === "Conv")).toHaveLength(2);
    expect(dense.nodes.some(({ op }) => op === "Cast")).toBe(true);
    expect(dense.initializers.get("c.weight")?.type).toBe("float16");
    expect((await outputsDiffer(writeModel(graph), dense)).relative).toBeLessThan(2e-3); // filters rounded to 11 bits
  });

  const damaged: readonly (readonly [string, (graph: Graph) => Graph])[] = [
    [
      "another padding",
      (graph) =>
        changed(graph, "c.2", (node) => ({
          ...node,
          attributes: new Map([...node.attributes, ["pads", ints([0, 0, 0, 0])]]),
        })),
    ],
    [
      "a bias in between",
      (graph) => changed(graph, "c.1", (node) => ({ ...node, inputs: [...node.inputs, "a.bias"] })),
    ],
    [
      "a stage that reads something else",
      (graph) => ({ ...changed(graph, "c.2", (node) => ({ ...node, inputs: ["r", ...node.inputs.slice(1)] })) }),
    ],
    ["other ranks in the record", (graph) => recorded(graph, { ranks: [3, 3] })],
    ["no ranks in the record", (graph) => recorded(graph, { ranks: [] })],
    ["another family in the record", (graph) => recorded(graph, { family: "separable" })],
    ["an output that is not there", (graph) => recorded(graph, { output: "z" })],
    ["weights that are not there", (graph) => recorded(graph, { weights: ["u", "v", "w"] })],
    [
      "another stride in the record",
      (graph) => recorded(graph, { shape: { n: 6, c: 8, kernel: [3, 3], stride: [2, 1] } }),
    ],
  ];
  const changed = (
    graph: Graph,
    name: string,
    change: (node: Graph["nodes"][number]) => Graph["nodes"][number],
  ): Graph => ({
    ...graph,
    nodes: graph.nodes.map((node) => (node.name === name ? change(node) : node)),
  });
  const recorded = (graph: Graph, change: object): Graph => {
    const { chains } = JSON.parse(graph.metadata.get(chainKey)!);
    return withMetadata(graph, { [chainKey]: JSON.stringify({ version: 1, chains: [{ ...chains[0], ...change }] }) });
  };

  test.each(damaged)("keeps a chain that is not what its record says, with %s, and expands the rest", (_, damage) => {
    const graph = damage(mixed());
    const { graph: dense, outcomes } = expand(graph);
    expect(outcomes.map(({ layer, applied }) => [layer, applied]).sort()).toEqual([
      ["a", true],
      ["c", false],
    ]);
    expect(dense.nodes.map(({ name }) => name)).toEqual(["a", "c.1", "c.2", "c.3"]);
    expect(dense.metadata.get(chainKey)).toBe(graph.metadata.get(chainKey));
    expect(findLayers(graph).layers.length).toBe(3); // its stages are ordinary convolutions then
  });

  test.each(["{", '{"version":2,"chains":[]}', '{"version":1,"chains":[{}]}'])(
    "with the record %s is read, and told",
    (text) => {
      const graph = withMetadata(mixed(), { [chainKey]: text });
      expect(describeCompression(graph)).toMatch(/^1 layer is compressed already .*; the model's record of its chains/);
      expect(findLayers(graph).layers).toHaveLength(3);
      expect(() => expand(graph)).toThrow(expect.objectContaining({ code: "malformed" }));
      const shapes = new Map([["x", [1, 4, 9, 8]]]);
      const report = inspectModel(graph, shapes, { shapes, chosen: [], guessed: false } as never, 0);
      expect(report.notes.join()).toContain("the model's record of its chains");
    },
  );

  test("is inspected with its chains", () => {
    const shapes = new Map([["x", [1, 4, 9, 8]]]);
    const report = inspectModel(mixed(), shapes, { shapes, chosen: [], guessed: false } as never, 0);
    expect(report.compression?.layers.map(({ name }) => name)).toEqual(["a"]);
    expect(report.chains).toEqual([{ name: "c", filters: [6, 8, 3, 3], chain: "tucker 2 3, 4", error: 0.25 }]);
    expect(report.layers.map(({ name, replaceable }) => [name, replaceable])).toEqual([
      ["a", false],
      ["c.1", false],
      ["c.2", false],
      ["c.3", false],
    ]);
  });

  test("has its constants folded and is still undone", () => {
    const graph = foldConstants()(mixed()).graph;
    expect(expand(graph).graph.nodes.map(({ name }) => name)).toEqual(["a", "c"]);
  });

  describe("in a file", () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "filterbasis-chains-"));
    });
    afterAll(() => rm(folder, { recursive: true }));

    test.each([
      ["single", "float32", (graph: Graph) => graph],
      ["half", "float16", (graph: Graph) => halfWeights(graph).graph],
    ] as const)(
      "of %s precision is undone, verified and stored in %s as the dense network",
      async (_, type, change) => {
        const [file, output] = [join(folder, "chains.onnx"), join(folder, "dense.onnx")];
        await saveModel(change(mixed(96, [40, 6])), file);
        const graph = await loadModel(file);
        const { agreement } = await undoModel({ graph, file }, output, {
          threads: 1,
          inputs: { shapes: new Map(), values: new Map() },
        });
        expect(agreement).toBeDefined();
        const dense = await loadModel(output);
        expect(dense.nodes.filter(({ op }) => op !== "Cast").map(({ op, name }) => [op, name])).toEqual([
          ["Conv", "a"],
          ["Conv", "c"],
        ]);
        const weights = [...dense.initializers.values()].filter(({ dims }) => dims.length > 2);
        expect(weights.map((weight) => weight.type)).toEqual([type, type]);
      },
    );
  });
});
