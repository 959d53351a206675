// Chains of ordinary nodes compute what their layer's dense replacement computes: every family, every way to place a
// window.
import { describe, expect, test } from "vitest";
import { composed } from "../basis/composed.js";
import type { Candidate, Family } from "../basis/factors.js";
import { fitCandidate } from "../basis/fit.js";
import { float32Tensor, int, ints, makeNode, string } from "../graph/attributes.js";
import type { Attribute, DataType, Graph, Node } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { fittingSampling } from "./batch-size.js";
import { withChains } from "./chain.js";
import type { Engine } from "./engine.js";
import { findCalibratedLayers } from "./layers.js";
import { ortEngine } from "./ort-engine.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { torchEngine } from "./torch-engine.js";

const random = new Random("chain");
const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const sizeOf = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1);

function graphOf(node: Node, weight: readonly number[], input: readonly number[], type: DataType = "float32"): Graph {
  return {
    name: "one",
    nodes: [node],
    initializers: new Map([["w", tensorOf(type, weight, numbers(sizeOf(weight)))]]),
    inputs: [{ name: "x", tensor: { type, dims: ["N", ...input.slice(1)] } }],
    outputs: [{ name: "y", tensor: { type } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const conv = (attributes: Readonly<Record<string, Attribute>> = {}) =>
  makeNode("Conv", ["x", "w"], ["y"], attributes, { name: "conv" });

function replaced(graph: Graph, candidate: Candidate): Replacement {
  const [layer] = findCalibratedLayers(graph).layers;
  if (layer === undefined) throw new Error("no layer");
  const d = layer.weight.cols;
  const identity = matrix(
    d,
    d,
    Float64Array.from({ length: d * d }, (_, at) => (at % (d + 1) === 0 ? 1 : 0)),
  );
  const factors = fitCandidate(layer.weight, identity, layer.shape, candidate);
  return { layer, filters: composed(factors), biases: [Float64Array.from(numbers(layer.shape.n))], factors };
}

async function run(
  engine: Engine,
  graph: Graph,
  input: readonly number[],
  type: DataType = "float32",
): Promise<Float32Array> {
  verifyGraph(graph);
  const session = await engine.open(graph);
  const draw = new Random("input");
  const x = tensorOf(
    type,
    input,
    Float32Array.from({ length: sizeOf(input) }, () => draw.normal()),
  );
  const { y } = await session.run({ x });
  await session.close();
  return floats(y!);
}

async function expectSame(
  graph: Graph,
  replacement: Replacement,
  input: readonly number[],
  type: DataType = "float32",
  near = 1e-5,
) {
  for (const engine of [torchEngine(), ortEngine()]) {
    const dense = await run(engine, withReplacements(graph, [replacement]), input, type);
    const chain = await run(engine, withChains(graph, [replacement]), input, type);
    expect(chain.length).toBe(dense.length);
    const scale = Math.max(...dense.map(Math.abs));
    for (const [i, value] of chain.entries()) expect(Math.abs(value - dense[i]!)).toBeLessThan(near * scale);
  }
}

const candidates: readonly (readonly [Family, Omit<Candidate, "family">])[] = [
  ["one-split", { ranks: [3] }],
  ["shared-bases", { splits: 2, ranks: [3] }],
  ["own-bases", { splits: 2, ranks: [2] }],
  ["tucker-2", { ranks: [3, 2] }],
  ["separable", { ranks: [4] }],
  ["separable-pointwise", { ranks: [4, 3] }],
];

const windows: Readonly<Record<string, Readonly<Record<string, Attribute>>>> = {
  plain: {},
  "strided and padded": { strides: ints([2, 1]), pads: ints([1, 0, 2, 1]) },
  dilated: { dilations: ints([2, 3]), pads: ints([2, 3, 2, 3]) },
  "padded by size": { strides: ints([2, 2]), auto_pad: string("SAME_UPPER") },
  "padded by size, more before": { strides: ints([1, 2]), auto_pad: string("SAME_LOWER") },
};

describe("a chain computes what its dense filters compute", () => {
  for (const [name, attributes] of Object.entries(windows)) {
    test(name, async () => {
      const input = [2, 4, 11, 12];
      const graph = graphOf(conv(attributes), [5, 4, 3, 2], input);
      for (const [family, rest] of candidates) await expectSame(graph, replaced(graph, { family, ...rest }), input);
    });
  }

  test("along one axis", async () => {
    const input = [2, 4, 13];
    const graph = graphOf(conv({ strides: ints([2]), pads: ints([1, 2]) }), [5, 4, 3], input);
    for (const [family, rest] of candidates.slice(0, 4))
      await expectSame(graph, replaced(graph, { family, ...rest }), input);
  });

  test("of 1x1 convolutions and fully connected layers", async () => {
    const candidate: Candidate = { family: "low-rank", ranks: [2] };
    const pointwise = graphOf(conv({ strides: ints([2, 2]) }), [5, 4, 1, 1], [2, 4, 6, 6]);
    await expectSame(pointwise, replaced(pointwise, candidate), [2, 4, 6, 6]);
    const gemm = graphOf(makeNode("Gemm", ["x", "w"], ["y"], { transB: int(1) }, { name: "fc" }), [5, 4], [3, 4]);
    await expectSame(gemm, replaced(gemm, candidate), [3, 4]);
    const product = graphOf(makeNode("MatMul", ["x", "w"], ["y"], {}, { name: "fc" }), [4, 5], [2, 3, 4]);
    await expectSame(product, replaced(product, candidate), [2, 3, 4]);
  });

  test("stored in half precision, to its rounding", async () => {
    const input = [2, 4, 8, 8];
    const graph = graphOf(conv(), [5, 4, 3, 3], input, "float16");
    const replacement = replaced(graph, { family: "separable", ranks: [4] });
    expect(withChains(graph, [replacement]).initializers.get("w.1")?.type).toBe("float16");
    await expectSame(graph, replacement, input, "float16", 2e-2);
  });

  test("under names that come from the layer's", () => {
    const graph = graphOf(conv(), [5, 4, 3, 3], [1, 4, 8, 8]);
    const chain = withChains(graph, [replaced(graph, { family: "separable", ranks: [2] })]);
    expect(chain.nodes.map(({ name }) => name)).toEqual(["conv.1", "conv.2"]);
    expect([...chain.initializers.keys()]).toEqual(["w.1", "w.2", "conv.bias"]);
  });
});

describe("images run at once", () => {
  const images = {
    count: 100,
    feeds: (_: number, count: number) => ({
      x: float32Tensor([count, 4, 512, 512], new Float32Array(count * 2 ** 20)),
    }),
  };

  test("as many as memory and the network allow, unless it is said", async () => {
    const free = graphOf(conv(), [64, 4, 3, 3], [1, 4, 512, 512]);
    expect((await fittingSampling(free, images, {})).batch).toBe(2);
    expect((await fittingSampling(free, images, { batch: 7 })).batch).toBe(7);
    const fixed = { ...free, inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 512, 512] } as const }] };
    expect((await fittingSampling(fixed, images, {})).batch).toBe(1);
  });

  test("and are looked at more closely where they are few", async () => {
    const free = graphOf(conv(), [64, 4, 3, 3], [1, 4, 512, 512]);
    expect((await fittingSampling(free, images, {})).places).toBe(256);
    expect((await fittingSampling(free, { ...images, count: 4 }, {})).places).toBe(4096);
  });
});
