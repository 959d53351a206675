// Counting parameters and multiply-accumulates: by hand, for every layout of a split basis, and on real networks.
import { describe, expect, it } from "vitest";
import { layoutNodes, layouts } from "../src/basis/layouts.js";
import { elements, float32Tensor, int, int64Tensor, ints, makeNode, tensor } from "../src/graph/attributes.js";
import { freshNames } from "../src/graph/index.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { cost } from "../src/ops/index.js";
import { loadModel } from "../src/runtime/files.js";
import { noShared, shared } from "./shared.js";

const zeros = (...dims: number[]): TensorData => float32Tensor(dims, new Float32Array(elements(dims)));

function graphOf(
  nodes: readonly Node[],
  x: readonly (number | string)[],
  constants: Readonly<Record<string, TensorData>>,
): Graph {
  return {
    name: "test",
    nodes,
    initializers: new Map(Object.entries(constants)),
    inputs: [{ name: "x", tensor: { type: "float32", dims: x } }],
    outputs: [{ name: "y", tensor: { type: "float32" } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

describe("cost", () => {
  it("counts weights without bias and normalisation, all with them, statistics in neither", () => {
    const graph = graphOf(
      [
        makeNode("Conv", ["x", "w", "b"], ["c"], { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }, { name: "conv" }),
        makeNode("BatchNormalization", ["c", "s", "t", "m", "v"], ["n"]),
        makeNode("Mul", ["n", "half"], ["y"]),
      ],
      ["N", 3, "H", "W"],
      {
        w: zeros(8, 3, 3, 3),
        b: zeros(8),
        s: zeros(8),
        t: zeros(8),
        m: zeros(8),
        v: zeros(8),
        half: zeros(),
        unread: zeros(50),
      },
    );
    const counted = cost(graph, new Map([["x", [2, 3, 9, 8]]]));
    expect(counted).toMatchObject({
      weights: 216,
      parameters: 216 + 24,
      macs: 2 * 5 * 4 * 216,
      uncounted: [],
      bytes: 4 * (216 + 40 + 1 + 50),
    });
    expect(counted.layers).toEqual([
      { node: "conv", op: "Conv", value: "c", weights: 216, parameters: 224, macs: 2 * 20 * 216, output: [2, 8, 5, 4] },
    ]);
  });

  it("counts a weight that several layers read once, and its work each time", () => {
    const nodes = [makeNode("Conv", ["x", "w"], ["a"]), makeNode("Conv", ["a", "w"], ["y"])];
    expect(cost(graphOf(nodes, [1, 4, 5, 5], { w: zeros(4, 4, 1, 1) }))).toMatchObject({
      weights: 16,
      parameters: 16,
      macs: 2 * 25 * 16,
    });
  });

  it("counts transposed and grouped convolutions, Gemm either way round, and products with a constant on either side", () => {
    const macs = (node: Node, x: number[], w: number[]) => {
      const counted = cost(graphOf([node], x, { w: zeros(...w) }));
      return [counted.weights, counted.macs];
    };
    expect(
      macs(makeNode("ConvTranspose", ["x", "w"], ["y"], { strides: ints([2, 2]) }), [1, 4, 5, 5], [4, 6, 3, 3]),
    ).toEqual([216, 25 * 216]);
    expect(macs(makeNode("Conv", ["x", "w"], ["y"], { group: int(2) }), [1, 4, 5, 5], [6, 2, 3, 3])).toEqual([
      108,
      9 * 108,
    ]);
    expect(macs(makeNode("Gemm", ["x", "w"], ["y"]), [2, 7], [7, 3])).toEqual([21, 2 * 21]);
    expect(macs(makeNode("Gemm", ["x", "w"], ["y"], { transA: int(1), transB: int(1) }), [7, 2], [3, 7])).toEqual([
      21,
      2 * 21,
    ]);
    expect(macs(makeNode("Gemm", ["w", "x"], ["y"], { transB: int(1) }), [2, 7], [3, 7])).toEqual([21, 2 * 21]);
    expect(macs(makeNode("MatMul", ["x", "w"], ["y"]), [5, 2, 7], [7, 3])).toEqual([21, 10 * 21]);
    expect(macs(makeNode("MatMul", ["w", "x"], ["y"]), [5, 7, 2], [3, 7])).toEqual([21, 10 * 21]);
  });

  it("finds weights in Constant nodes and behind Identity, and takes no number for a product of two inputs", () => {
    const nodes = [
      makeNode("Constant", [], ["c"], { value: tensor(zeros(4, 4, 3, 3)) }),
      makeNode("Identity", ["c"], ["w"]),
      makeNode("Conv", ["x", "w"], ["a"]),
      makeNode("MatMul", ["a", "a"], ["y"]),
    ];
    expect(cost(graphOf(nodes, [1, 4, 5, 5], {}))).toMatchObject({ weights: 144, parameters: 144, macs: 9 * 144 });
  });

  it("takes batch 1 and 64 pixels for axes left free, and says so", () => {
    const counted = cost(graphOf([makeNode("Conv", ["x", "w"], ["y"])], ["N", 4, "H", "W"], { w: zeros(4, 4, 1, 1) }));
    expect(counted.inputs).toEqual(new Map([["x", [1, 4, 64, 64]]]));
    expect(counted.macs).toBe(64 * 64 * 16);
  });

  it("takes the usual size that a fully connected layer fits, and the channels that the first convolution reads", () => {
    const nodes = [
      makeNode("Conv", ["x", "w"], ["c"]),
      makeNode("Flatten", ["c"], ["f"]),
      makeNode("Gemm", ["f", "fc"], ["y"]),
    ];
    const constants = (inside: number) => ({ w: zeros(2, 3, 1, 1), fc: zeros(inside, 5) });
    expect(cost(graphOf(nodes, ["N", "C", "H", "W"], constants(2 * 28 * 28))).inputs).toEqual(
      new Map([["x", [1, 3, 28, 28]]]),
    );
    expect(() => cost(graphOf(nodes, ["N", 3, "H", "W"], constants(7)))).toThrow(
      /no usual size of image fits the model: state .* with --input/,
    );
  });

  it("names layers whose work cannot be known", () => {
    const nodes = [
      makeNode("NonZero", ["x"], ["i"]),
      makeNode("Cast", ["i"], ["f"], { to: int(1) }),
      makeNode("MatMul", ["w", "f"], ["y"], {}, { name: "product" }),
    ];
    expect(cost(graphOf(nodes, [3, 3], { w: zeros(4, 2) }))).toMatchObject({
      weights: 8,
      macs: 0,
      uncounted: ["product"],
    });
  });

  for (const layout of layouts) {
    it(`counts a split basis in layout ${layout} as the paper does`, () => {
      const [n, c, s, m] = [12, 8, 4, 3];
      const layer = {
        ...{
          name: "layer",
          input: "x",
          output: "y",
          basis: "B",
          coefficients: "A",
          bias: "b",
          basisBias: "",
          splits: s,
          basisSize: m,
        },
        ...{
          outChannels: n,
          inChannels: c,
          kernel: [3, 3],
          slice: null,
          attributes: new Map([["pads", ints([1, 1, 1, 1])]]),
        },
      };
      const constants = { B: zeros(m, c / s, 3, 3), A: zeros(n, s * m, 1, 1), b: zeros(n) };
      const bare = graphOf([], ["N", c, "H", "W"], constants);
      const counted = cost(
        graphOf(layoutNodes(layer, layout, { fresh: freshNames(bare), opset: 17 }), ["N", c, "H", "W"], constants),
        new Map([["x", [1, c, 10, 7]]]),
      );
      expect(counted.weights).toBe(m * (c / s) * 9 + n * m * s); // Eq. 4 and 5
      expect(counted.parameters).toBe(counted.weights + n);
      expect(counted.macs).toBe(70 * (layout === "dense" ? n * c * 9 : m * c * 9 + n * m * s));
    });
  }

  const published = {
    resnet20: 269034,
    "resnet20-bn": 269722,
    "resnet56-bn": 853018,
    vdsr: 664704,
    imdn_x2: 694404,
    imdn_x4: 715176,
    rfdn_x4: 433448,
    rlfn_x4: 317218,
    "version-RFB-320": 276292,
  };
  it.skipIf(!shared("data/models"))(
    `counts real networks as their authors do${shared("data/models") ? "" : ` (${noShared})`}`,
    async () => {
      for (const [name, all] of Object.entries(published)) {
        expect([name, cost(await loadModel(shared(`data/models/${name}.onnx`)!)).parameters]).toEqual([name, all]);
      }
    },
  );

  it("does not take the shape of a Reshape for a parameter", () => {
    const nodes = [makeNode("Reshape", ["x", "to"], ["y"])];
    expect(cost(graphOf(nodes, [2, 3], { to: int64Tensor([1], [6]) }))).toMatchObject({
      weights: 0,
      parameters: 0,
      bytes: 8,
    });
  });
});
