// The node of a convolution over a basis: made, printed, checked, measured.
import { describe, expect, test } from "vitest";
import { cost } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { float32Tensor, int, ints, makeNode, string } from "./attributes.js";
import { type BasisConv, makeBasisConv, readBasisConv } from "./basis-conv.js";
import { printGraph } from "./print.js";
import type { Graph, Node } from "./types.js";

const layer: BasisConv = {
  ...{ name: "conv", input: "x", output: "y", basis: "B", coefficients: "A", bias: "b", basisBias: "" },
  ...{ splits: 2, basisSize: 3, outChannels: 6, inChannels: 8, kernel: [3, 3], slice: [1, 5] },
  attributes: new Map([["strides", ints([2, 2])]]),
  layout: "batch-folded",
  provenance: { method: "basis", error: 0.1, shared: "all", weight: "w" },
};

const zeros = (...dims: number[]) => float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)));

function graphOf(node: Node, channels = 8): Graph {
  return {
    name: "g",
    nodes: [node],
    initializers: new Map([
      ["B", zeros(3, 6, 3, 3)],
      ["A", zeros(6, 6, 1, 1)],
      ["b", zeros(6)],
    ]),
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", channels, 9, 9] } }],
    outputs: [{ name: "y" }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

describe("the node of a convolution over a basis", () => {
  test("says again what it was made of", () => {
    expect(readBasisConv(makeBasisConv(layer))).toEqual(layer);
    const partOf = { name: "", output: "z", coefficients: "A" };
    const part: BasisConv = {
      ...layer,
      ...{ coefficients: "", bias: "", basisBias: "c", slice: null, layout: "grouped" },
      provenance: { method: "basis-scratch", error: null, weight: "w", partOf },
    };
    expect(readBasisConv(makeBasisConv(part))).toEqual(part);
  });

  test("prints as any other operator and needs no import", () => {
    const graph = graphOf(makeBasisConv(layer));
    verifyGraph(graph);
    expect(printGraph(graph)).toContain(
      'y = filterbasis::BasisConv(x, B, A, b) {basis_size: 3, error: 0.1, layout: "batch-folded", method: "basis", shape: [6, 8, 3, 3], shared: "all", ' +
        'slice: [1, 5], splits: 2, strides: [2, 2], weight: "w"}',
    );
  });

  test("has the shape of the convolution that it stands for, or of its basis part, and the cost of its layout", () => {
    const at = new Map([["x", [1, 8, 9, 9]]]);
    const counted = (node: Node) => {
      const { weights, parameters, macs, layers } = cost(graphOf(node), at);
      return [inferShapes(graphOf(node), at).get("y")?.dims, weights, parameters - weights, macs, layers.length];
    };
    const [basis, coefficients] = [3 * 6 * 9, 6 * 6];
    expect(counted(makeBasisConv(layer))).toEqual([[1, 6, 4, 4], basis + coefficients, 6, 16 * (3 * 8 * 9 + 6 * 6), 1]);
    expect(counted(makeBasisConv({ ...layer, layout: "dense" }))[3]).toBe(16 * 6 * 8 * 9);
    expect(counted(makeBasisConv({ ...layer, coefficients: "", bias: "" }))).toEqual([
      [1, 6, 4, 4],
      basis,
      0,
      16 * 3 * 8 * 9,
      1,
    ]);
  });

  test.each([
    ["splits that do not divide the channels", { splits: int(3) }],
    ["no splits", { splits: int(0) }],
    ["a slice of other channels than it needs", { slice: ints([0, 8]) }],
    ["a layout that is none", { layout: string("sideways") }],
    ["no kernel", { shape: ints([6, 8]) }],
    ["splits of another type", { splits: string("2") }],
    ["a size that is none", { shape: ints([6, 8, 3, -3]) }],
  ])("is refused with %s", (_, change) => {
    const { attributes, ...node } = makeBasisConv(layer);
    const changed = { ...node, attributes: new Map([...attributes, ...Object.entries(change)]) };
    expect(() => verifyGraph(graphOf(changed))).toThrow(expect.objectContaining({ code: "invalid-graph" }));
  });

  test("is refused as dense without its coefficients, and where stored sizes differ from stated ones", () => {
    const bare = makeBasisConv({ ...layer, coefficients: "", bias: "", layout: "dense" });
    expect(() => verifyGraph(graphOf(bare))).toThrow(/dense without its coefficients/);
    for (const change of [{ basisSize: 4 }, { outChannels: 7 }, { kernel: [5, 5] }, { slice: null }])
      expect(() => inferShapes(graphOf(makeBasisConv({ ...layer, ...change })))).toThrow(
        expect.objectContaining({ code: "shape-mismatch" }),
      );
    expect(() => inferShapes(graphOf(makeBasisConv(layer), 6))).toThrow(/channels of input and basis/);
  });

  test("is not meant by an operator of its name that a model defines itself", () => {
    const foreign = makeNode("BasisConv", ["x", "B"], ["y"], {}, { domain: "filterbasis" });
    expect(readBasisConv(foreign)).toBeUndefined();
    expect(() => verifyGraph(graphOf(foreign))).toThrow(/not imported/);
  });
});
