import { describe, expect, it } from "vitest";
import { oneConv, randomTensor, smallGraph } from "../../../test/small-graphs.js";
import { float32Tensor, int64Tensor, ints, makeNode } from "../../graph/attributes.js";
import type { Attribute, DataType, Dim, Graph, Node, TensorData } from "../../graph/types.js";
import { chooseInputs, inputCandidates } from "./concrete-inputs.js";
import { exampleInput } from "./example-input.js";

type Sizes = readonly Dim[];

const graphOf = (
  named: Readonly<Record<string, Sizes>>,
  nodes: readonly Node[],
  initializers: Readonly<Record<string, TensorData>> = {},
  type: DataType = "float32",
): Graph =>
  smallGraph({
    nodes,
    initializers,
    inputs: Object.entries(named).map(([name, dims]) => ({ name, tensor: { type, dims } })),
    outputs: ["y"],
  });

const shapeOf = (graph: Graph, stated: Readonly<Record<string, Sizes>> = {}) =>
  Object.fromEntries(
    [...chooseInputs(graph, new Map(Object.entries(stated))).shapes].map(([name, dims]) => [name, dims.join("x")]),
  );

const weight = (...dims: number[]): TensorData => randomTensor(dims, 1);
const conv = (from: string, w: string, to: string, attributes: Readonly<Record<string, Attribute>> = {}) =>
  makeNode("Conv", [from, w], [to], { pads: ints([1, 1, 1, 1]), ...attributes });
const half = { strides: ints([2, 2]) };

describe("sizes by what an axis is", () => {
  const plain = (dims: Sizes, type: DataType = "float32") =>
    shapeOf(graphOf({ x: dims }, [makeNode("Identity", ["x"], ["y"])], {}, type)).x;
  it("has images, patches, waveforms, features and tokens", () => {
    expect(plain(["N", 3, "H", "W"])).toBe("1x3x224x224");
    expect(plain(["N", "H", "W", 3])).toBe("1x224x224x3");
    expect(plain([3, "H", "W"])).toBe("3x224x224");
    expect(plain([null, 3, 48, null])).toBe("1x3x48x320");
    expect(plain(["batch", "samples"])).toBe("1x16000");
    expect(plain(["batch", 1, "samples"])).toBe("1x1x16000");
    expect(plain(["batch", 80, "frames"])).toBe("1x80x128");
    expect(plain(["batch", "frames", 80])).toBe("1x128x80");
    expect(plain(["batch", "sequence"], "int64")).toBe("1x16");
    expect(plain(["N", 1, "D", "H", "W"])).toBe("1x1x32x32x32");
    expect(plain([])).toBe("");
    expect(plain(["N"], "int64")).toBe("1");
  });

  it("has small patches for networks that keep every pixel, compressed or not", () => {
    expect(shapeOf(oneConv({ outChannels: 8, inChannels: 3, kernel: [3, 3] }))).toEqual({ x: "1x3x64x64" });
    const up = [conv("x", "w", "a"), makeNode("Resize", ["a", "", "scales"], ["y"])];
    const scales = float32Tensor([4], Float32Array.of(1, 1, 2, 2));
    expect(shapeOf(graphOf({ x: ["N", 3, "H", "W"] }, up, { w: weight(3, 3, 3, 3), scales }))).toEqual({
      x: "1x3x64x64",
    });
    const down = [conv("x", "w", "y", half)];
    expect(shapeOf(graphOf({ x: ["N", 3, "H", "W"] }, down, { w: weight(3, 3, 3, 3) }))).toEqual({ x: "1x3x224x224" });
  });

  it("takes a symbol that is a batch in one input for a batch in all", () => {
    const graph = graphOf({ x: ["n", 8, "t"], h: [1, "n", 16] }, [makeNode("Identity", ["x"], ["y"])]);
    expect(shapeOf(graph)).toEqual({ x: "1x8x128", h: "1x1x16" });
  });

  it("says what was chosen, but not of a batch of 1 or of what is stated", () => {
    const graph = oneConv({ outChannels: 8, inChannels: 3, kernel: [3, 3] });
    expect(chooseInputs(graph)).toMatchObject({
      guessed: true,
      chosen: [{ input: "x", dims: [1, 3, 64, 64], why: "free in the model" }],
    });
    expect(chooseInputs(graph, new Map([["x", [null, null, 9, 8]]]))).toMatchObject({ guessed: false, chosen: [] });
  });
});

describe("sizes by what the network demands", () => {
  const flat = () => [
    conv("x", "w", "a", half),
    makeNode("Flatten", ["a"], ["f"]),
    makeNode("Gemm", ["f", "fc"], ["y"], {}, { name: "fc" }),
  ];

  it("derives the pixels from a Gemm behind a Flatten, usual or not", () => {
    const at = (side: number) =>
      chooseInputs(
        graphOf({ x: ["N", "C", "H", "W"] }, flat(), { w: weight(2, 3, 3, 3), fc: weight(2 * side * side, 5) }),
      );
    expect(at(14).shapes.get("x")).toEqual([1, 3, 28, 28]);
    expect(at(14).chosen[0]!.why).toBe("free in the model, what fc needs");
    expect(at(20).shapes.get("x")).toEqual([1, 3, 40, 40]);
    expect(at(112).chosen[0]!.why).toBe("free in the model"); // 224 is what is tried first
  });

  it("finds sides that differ", () => {
    const graph = graphOf({ x: ["N", 3, "H", "W"] }, flat(), { w: weight(2, 3, 3, 3), fc: weight(2 * 16 * 24, 5) });
    const [, , height, width] = chooseInputs(graph).shapes.get("x")!;
    expect(Math.ceil(height! / 2) * Math.ceil(width! / 2)).toBe(16 * 24);
  });

  it("takes the pixels that make a Reshape to [-1, K] keep the batch, though others would run", () => {
    const nodes = [
      conv("x", "w", "a", half),
      makeNode("Reshape", ["a", "to"], ["f"]),
      makeNode("Gemm", ["f", "fc"], ["y"]),
    ];
    const constants = { w: weight(4, 3, 3, 3), to: int64Tensor([2], [-1, 256]), fc: weight(256, 5) };
    expect(shapeOf(graphOf({ x: ["N", 3, "H", "W"] }, nodes, constants))).toEqual({ x: "1x3x16x16" });
    // a list of boxes is no batch
    const boxes = [
      makeNode("Transpose", ["x"], ["t"], { perm: ints([0, 2, 3, 1]) }),
      makeNode("Reshape", ["t", "to"], ["y"]),
    ];
    const four = { to: int64Tensor([2], [-1, 4]) };
    expect(shapeOf(graphOf({ x: ["N", 8, "H", "W"] }, boxes, four))).toEqual({ x: "1x8x224x224" });
  });

  it("meets a Reshape to constants, an embedding of positions, a Squeeze", () => {
    const fixed = [conv("x", "w", "a", half), makeNode("Reshape", ["a", "to"], ["y"])];
    const constants = { w: weight(4, 3, 3, 3), to: int64Tensor([4], [1, 4, 24, 24]) };
    expect(shapeOf(graphOf({ x: ["N", 3, "H", "W"] }, fixed, constants))).toEqual({ x: "1x3x48x48" });
    const added = [makeNode("Add", ["x", "positions"], ["y"])];
    expect(shapeOf(graphOf({ x: ["N", "T", 8] }, added, { positions: weight(1, 77, 8) }))).toEqual({ x: "1x77x8" });
    const column = [
      makeNode("MaxPool", ["x"], ["a"], { kernel_shape: ints([48, 1]), strides: ints([48, 1]) }),
      makeNode("Squeeze", ["a", "axis"], ["y"]),
    ];
    expect(shapeOf(graphOf({ x: ["N", 3, "H", 100] }, column, { axis: int64Tensor([1], [2]) }))).toEqual({
      x: "1x3x64x100",
    });
  });

  it("finds features and channels wherever they are read", () => {
    const product = graphOf({ x: ["N", "T", "F"] }, [makeNode("MatMul", ["x", "w"], ["y"])], { w: weight(40, 3) });
    expect(shapeOf(product)).toEqual({ x: "1x128x40" });
    const nodes = [makeNode("Transpose", ["x"], ["t"], { perm: ints([0, 3, 1, 2]) }), conv("t", "w", "y", half)];
    expect(shapeOf(graphOf({ x: [null, null, null, null] }, nodes, { w: weight(4, 6, 3, 3) }))).toEqual({
      x: "1x224x224x6",
    });
  });

  it("goes up where windows leave nothing of small images", () => {
    const layers = Array.from({ length: 5 }, (_, i) =>
      makeNode("Conv", [i === 0 ? "x" : `a${i}`, `w${i}`], [i === 4 ? "y" : `a${i + 1}`], half),
    );
    const constants = Object.fromEntries(layers.map((_, i) => [`w${i}`, weight(3, 3, 9, 9)]));
    const found = chooseInputs(graphOf({ x: ["N", 3, "H", "W"] }, layers, constants));
    expect(found.shapes.get("x")).toEqual([1, 3, 256, 256]);
    expect(found.chosen[0]!.why).toMatch(/^free in the model, 1x3x224x224.* refused$/);
  });

  it("finds multiples of 128 where a skip asks for them", () => {
    const graph = skips(7);
    expect(shapeOf(graph)).toEqual({ x: "1x3x256x256" });
    expect(shapeOf(skips(6))).toEqual({ x: "1x3x64x64" });
  });

  it("takes one size for two inputs that are added, though their axes have names of their own", () => {
    const graph = graphOf({ a: [1, 3, "H", "W"], b: [1, 3, "H2", "W2"] }, [makeNode("Add", ["a", "b"], ["y"])]);
    expect(shapeOf(graph)).toEqual({ a: "1x3x224x224", b: "1x3x224x224" });
    expect(shapeOf(graph, { b: [1, 3, 40, 48] })).toEqual({ a: "1x3x40x48", b: "1x3x40x48" });
  });

  it("finds one input half as large as the other", () => {
    const pooled = makeNode("MaxPool", ["a"], ["p"], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
    const graph = graphOf({ a: [1, 3, "H", "W"], b: [1, 3, "H2", "W2"] }, [
      pooled,
      makeNode("Concat", ["p", "b"], ["y"], { axis: { kind: "int", value: 1n } }),
    ]);
    const { a, b } = shapeOf(graph);
    const side = (text: string | undefined) => text!.split("x").map(Number)[2]!;
    expect(side(a)).toBe(2 * side(b));
  });

  it("lets a symbol be a batch and a length where 1 does not do", () => {
    const graph = graphOf({ x: ["n", 4, "n"] }, [makeNode("Conv", ["x", "w"], ["y"])], { w: weight(2, 4, 5) });
    const [batch, , length] = chooseInputs(graph).shapes.get("x")!;
    expect(batch).toBe(length);
    expect(length).toBeGreaterThanOrEqual(5);
  });

  it("leaves out inputs of unknown rank, and takes any size for inputs that nothing reads", () => {
    const graph = graphOf({ x: ["N", 3, 8, 8], unused: [null, "T"] }, [makeNode("Identity", ["x"], ["y"])]);
    expect(shapeOf({ ...graph, inputs: [...graph.inputs, { name: "any", tensor: { type: "float32" } }] })).toEqual({
      x: "1x3x8x8",
      unused: "1x16000",
    });
  });

  it("names the layer and the option where nothing fits, with the sizes of this very model", () => {
    const graph = graphOf({ x: ["N", 3, "H", "W"] }, flat(), { w: weight(2, 3, 3, 3), fc: weight(7, 5) });
    expect(() => chooseInputs(graph)).toThrow(/state the sizes of its inputs with --input \(node "fc".*expected 7/);
    expect(exampleInput(graph)).toBe("--input x=1x3x224x224");
    expect(exampleInput(oneConv({ outChannels: 4, inChannels: 6, kernel: [3] }))).toBe("--input x=1x6x128");
  });

  it("tries what takes minutes last, and never offers more than memory holds", () => {
    const heavy = graphOf(
      { x: ["N", 512, "H", "W"] },
      [conv("x", "w", "a", half), ...[0, 1].map((i) => conv("a", "v", i ? "y" : "z"))],
      {
        w: weight(4096, 512, 3, 3),
        v: float32Tensor([4096, 4096, 3, 3], new Float32Array(4096 * 4096 * 9)),
      },
    );
    const sides = [...inputCandidates(heavy)].map(({ shapes }) => shapes.get("x")![2]!);
    expect(sides[0]).toBe(32);
    expect(Math.max(...sides)).toBeLessThanOrEqual(1024);
  });
});

/** `depth` halvings and doublings with a sum at each level: sizes must be multiples of 2 ** depth. */
function skips(depth: number): Graph {
  const nodes: Node[] = [];
  const levels = ["x"];
  for (let level = 0; level < depth; level++) {
    nodes.push(
      makeNode("MaxPool", [levels[level]!], [`d${level}`], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }),
    );
    levels.push(`d${level}`);
  }
  let top = levels[depth]!;
  for (let level = depth - 1; level >= 0; level--) {
    nodes.push(makeNode("Resize", [top, "", "two"], [`r${level}`]));
    nodes.push(makeNode("Add", [`r${level}`, levels[level]!], [level === 0 ? "y" : `u${level}`]));
    top = `u${level}`;
  }
  return graphOf({ x: ["N", 3, "H", "W"] }, nodes, { two: float32Tensor([4], Float32Array.of(1, 1, 2, 2)) });
}
