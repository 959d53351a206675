// Files of compressed models: those that version 0.1 wrote are read into one node a layer, run, expand and are written
// again; and what other passes and programs make of such files is still read.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { layouts } from "../src/basis/layouts.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { isBasisConv } from "../src/graph/basis-conv.js";
import { GraphBuilder } from "../src/graph/builder.js";
import { initialiser } from "../src/graph/initialise.js";
import { printGraph } from "../src/graph/print.js";
import type { Graph } from "../src/graph/types.js";
import { floats, tensorOf } from "../src/graph/values.js";
import { Network } from "../src/interpreter/network.js";
import { basisScratch } from "../src/methods/basis-scratch.js";
import { expand } from "../src/methods/expand.js";
import { chooseLayouts } from "../src/methods/layout.js";
import { readRecord } from "../src/methods/record.js";
import { cost } from "../src/ops/cost/cost.js";
import { inferShapes } from "../src/ops/index.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { parseRecord, recordKey } from "../src/passes/compression-record.js";
import { foldBatchNorm } from "../src/passes/fold-batch-norm.js";
import { foldConstants } from "../src/passes/fold-constants.js";
import { halfWeights } from "../src/passes/half-weights.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { raiseBasisConv } from "../src/passes/raise-basis-conv.js";
import { removeDeadNodes } from "../src/passes/remove-unread.js";
import { sequence } from "../src/passes/sequence.js";
import { compareOutputs, openSession, sampleFeeds } from "../src/runtime/index.js";
import { fromArray, TensorScope, unloadableReason } from "../src/torch/index.js";

/** Which layers each file has, and whether something stands between their basis and coefficients. */
const files = {
  layouts: { layers: 4, between: false },
  half: { layers: 4, between: false },
  sliced: { layers: 8, between: false },
  scratch: { layers: 7, between: false },
  between: { layers: 3, between: true },
  "between-vgg": { layers: 6, between: true },
};

const bytesOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`./fixtures/compressed-0.1/${name}.onnx`, import.meta.url))));

const input = [2, 3, 32, 32];

/** The largest difference of the outputs, of the largest output. */
async function difference(model: Graph | Uint8Array, reference: Uint8Array): Promise<number> {
  const [a, b] = [await openSession(model, { threads: 1 }), await openSession(reference, { threads: 1 })];
  try {
    const feeds = sampleFeeds(b.inputs, { batch: 2, side: 32, range: [-1, 1] });
    return compareOutputs(await a.run(feeds), await b.run(feeds)).relative;
  } finally {
    await a.release();
    await b.release();
  }
}

/** The same graph as if it had been made here: nodes that remember no file. */
const anew = (graph: Graph): Graph => ({ ...graph, nodes: graph.nodes.map((node) => ({ ...node })) });

test.each([
  ["separate", "split"],
  ["folded", "batch-folded"],
  ["grouped", "grouped"],
  ["dense", "dense"],
])("a record of version 1 with the form %s is read as the layout %s, under the names of version 2", (form, layout) => {
  const common = { name: "conv", output: "y", splits: 2, basisSize: 4, basis: "B", coefficients: "A", error: 0.1 };
  const stored = { ...common, weight: "w", shape: [8, 8, 3, 3], attributes: { strides: [1, 1] } };
  const old = { version: 1, method: "basis", sites: [{ ...stored, form, between: true }] };
  expect(parseRecord(JSON.stringify(old))).toEqual({
    version: 2,
    method: "basis",
    layers: [{ ...stored, layout, basisOnly: true }],
  });
});

describe.each(Object.entries(files))("the file %s of version 0.1", (name, { layers, between }) => {
  const bytes = bytesOf(name);
  const notes: string[] = [];
  const graph = readModel(bytes, { note: (note) => notes.push(note) });
  const nodes = graph.nodes.filter(isBasisConv);

  test("is read into one node for each compressed layer, and its record says the same", () => {
    expect(notes).toEqual([]);
    expect(nodes).toHaveLength(layers);
    expect(graph.metadata.has(recordKey)).toBe(false);
    verifyGraph(graph);
    const written = parseRecord(lowerBasisConv(graph).metadata.get(recordKey)!);
    const bare = written.layers.map(({ output: _, basisBias, ...layer }) => ({
      ...layer,
      ...(basisBias ? { basisBias } : {}),
    }));
    const raised = readRecord(graph)!.layers.map(({ output: _, ...layer }) => layer);
    expect(readRecord(graph)!.method).toBe(written.method);
    expect(raised).toHaveLength(bare.length);
    for (const layer of bare) expect(raised).toContainEqual(layer);
  });

  test("has the shapes and the cost of its ordinary nodes", () => {
    const lowered = lowerBasisConv(graph);
    const at = new Map([["input", input]]);
    const [shapes, plain] = [inferShapes(graph, at), inferShapes(lowered, at)];
    for (const node of nodes) expect(shapes.get(node.outputs[0]!)).toEqual(plain.get(node.outputs[0]!));
    const [one, other] = [cost(graph, at), cost(lowered, at)];
    expect([one.weights, one.parameters, one.macs, one.uncounted]).toEqual([
      other.weights,
      other.parameters,
      other.macs,
      other.uncounted,
    ]);
  });

  test("is written as it was read, and when made anew computes the same and is read as the same graph", async () => {
    expect(writeModel(graph)).toEqual(bytes);
    const changed = { ...graph, name: "another" };
    expect(writeModel(changed).length).toBeGreaterThan(0);
    expect(await difference(changed, bytes)).toBe(0);
    const again = writeModel(anew(graph));
    expect(again.length).toBeLessThan(1.05 * bytes.length);
    expect(await difference(again, bytes)).toBeLessThan(1e-6);
    expect(printGraph(readModel(again))).toBe(printGraph(graph));
  });

  test("computes the same in every layout and expanded, or says why it does not expand", async () => {
    for (const layout of between ? [] : layouts)
      expect(await difference(chooseLayouts(() => layout)(graph).graph, bytes)).toBeLessThan(1e-4);
    const { graph: dense, outcomes } = expand(graph);
    expect(outcomes.map(({ applied }) => applied)).toEqual(nodes.map(() => !between));
    expect(dense.nodes.some(isBasisConv)).toBe(between);
    expect(await difference(dense, bytes)).toBeLessThan(1e-4);
  });

  test("keeps its layers when constants are folded and weights halved, before it was written or after it was read", () => {
    expect(printGraph(sequence(foldConstants(), removeDeadNodes)(graph).graph)).toContain("filterbasis::BasisConv");
    const half = raiseBasisConv(halfWeights(lowerBasisConv(graph)).graph).graph;
    expect(half.nodes.filter(isBasisConv)).toHaveLength(layers);
    expect(printGraph(readModel(writeModel(anew(half))))).toBe(printGraph(half));
  });

  const missing = unloadableReason();
  test.skipIf(missing !== undefined)(
    `runs in the interpreter${missing === undefined ? "" : ` (skipped: ${missing})`}`,
    async () => {
      const session = await openSession(bytes, { threads: 1 });
      const feeds = sampleFeeds(session.inputs, { batch: 2, side: 32, range: [-1, 1] });
      const expected = await session.run(feeds);
      await session.release();
      using scope = new TensorScope();
      using network = new Network(graph);
      const [[key, fed]] = Object.entries(feeds) as [[string, (typeof feeds)[string]]];
      const made = network.forward(new Map([[key, scope.keep(fromArray(floats(fed), fed.dims))]]));
      for (const [output, value] of made) {
        const [got, wanted] = [value.data() as Float32Array, floats(expected[output]!)];
        const largest = wanted.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
        expect(Math.max(...got.map((one, i) => Math.abs(one - wanted[i]!)))).toBeLessThan(1e-4 * largest);
      }
      expect(new Set(network.parameters.keys())).toEqual(new Set(new Network(lowerBasisConv(graph)).parameters.keys()));
    },
  );
});

test("a model whose layer another program has renamed, but not changed, is still read", () => {
  const graph = readModel(bytesOf("layouts"));
  const lowered = lowerBasisConv(graph);
  const kept = new Set([...lowered.initializers.keys(), ...lowered.outputs.map(({ name }) => name), "input", ""]);
  const own = (name: string): string => (kept.has(name) ? name : `renamed.${name}`);
  const nodes = lowered.nodes.map((node) => ({
    ...node,
    name: "",
    inputs: node.inputs.map(own),
    outputs: node.outputs.map(own),
  }));
  const read = readModel(writeModel({ ...lowered, nodes, values: new Map() }));
  expect(read.nodes.filter(isBasisConv)).toHaveLength(4);
  expect(read.nodes.filter(isBasisConv).map(({ name }) => name)).toEqual(
    graph.nodes.filter(isBasisConv).map(({ name }) => name),
  );
});

test.each(["scratch", "between"])("shapes that were Constant nodes may be initializers: %s", (name) => {
  const graph = readModel(bytesOf(name));
  const folded = sequence(foldConstants(), removeDeadNodes)(lowerBasisConv(graph)).graph;
  expect(folded.nodes.some(({ op }) => op === "Constant")).toBe(false);
  expect(printGraph(raiseBasisConv(folded).graph)).toBe(printGraph(graph));
});

describe("batch norm and a convolution over a basis", () => {
  /**
   * BatchNormalization on either side of a layer of 8 to 8 channels, with or without something between basis and
   * coefficients.
   */
  function normed(splits: number, insertNorm: boolean): Graph {
    const net = new GraphBuilder("normed", initialiser("default", 3));
    const x = net.norm(net.input("input", ["N", 8, 9, 9]), "before", 8);
    const y = net.norm(net.conv(x, "conv", { inChannels: 8, outChannels: 8 }), "after", 8);
    const plain = net.finish(net.relu(y, "relu"), ["N", 8, 9, 9]);
    const statistics = [...plain.initializers].map(([name, tensor]): [string, typeof tensor] =>
      name.startsWith("conv")
        ? [name, tensor]
        : [
            name,
            tensorOf(
              "float32",
              tensor.dims,
              floats(tensor).map((_, i) => 0.5 + ((i * 7) % 5) / 4),
            ),
          ],
    );
    const graph = { ...plain, initializers: new Map([...plain.initializers, ...statistics]) };
    return basisScratch({ basis: 4, splits, insertNorm, keepFirst: 0 })(graph).graph;
  }

  test.each(layouts)(
    "one behind it is folded into the coefficients in layout %s, one before it is not, with the reason",
    async (layout) => {
      const graph = chooseLayouts(() => layout)(normed(2, false)).graph;
      const { graph: folded, outcomes } = foldBatchNorm(graph);
      expect(outcomes.map(({ layer, applied }) => [layer, applied])).toEqual([
        ["before", false],
        ["after", true],
      ]);
      expect(outcomes[0]!.reason).toContain(
        "conv is a convolution over a basis, which only what follows can be folded into",
      );
      expect(folded.nodes.filter(isBasisConv).map(({ inputs }) => inputs)).toEqual(
        graph.nodes.filter(isBasisConv).map(({ inputs }) => inputs),
      );
      expect(await difference(folded, writeModel(graph))).toBeLessThan(1e-5);
      expect(await difference(expand(folded).graph, writeModel(graph))).toBeLessThan(1e-5);
    },
  );

  test("one between basis and coefficients is folded where the basis has one split, else it says why not", async () => {
    const between = (splits: number) =>
      foldBatchNorm(normed(splits, true)).outcomes.find(({ layer }) => layer === "conv.between")!;
    expect(between(1)).toMatchObject({ applied: true });
    expect(between(2)).toMatchObject({
      applied: false,
      reason: expect.stringContaining("is the same for all its splits"),
    });
    const graph = normed(1, true);
    const folded = foldBatchNorm(graph).graph;
    expect(await difference(folded, writeModel(graph))).toBeLessThan(1e-5);
    const layers = (one: Graph) => one.nodes.filter(isBasisConv).map(({ inputs, outputs }) => [inputs, outputs]);
    expect(layers(readModel(writeModel(folded)))).toEqual(layers(folded));
  });
});
