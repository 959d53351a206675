// Weights behind operators: each is computed as ONNX Runtime computes it, and stored only where the model does not
// grow.
import { describe, expect, test } from "vitest";
import { writeModel } from "../formats/onnx/index.js";
import { float, float32Tensor, int, int64Tensor, ints, makeNode, tensor } from "../graph/attributes.js";
import type { Attribute, Graph, Node, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { openSession } from "../runtime/index.js";
import { foldWeights } from "./fold-weights.js";

const random = new Random(5);
const filled = (...dims: number[]): TensorData => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return float32Tensor(
    dims,
    Float32Array.from({ length: count }, () => 0.5 + random.next()),
  );
};

interface Parts {
  readonly nodes: readonly Node[];
  readonly constants: Readonly<Record<string, TensorData>>;
  readonly opset?: number;
}

/** x [1, 4, 6, 6] -> Conv with weight w -> y, where `nodes` make w. */
function withWeight({ nodes, constants, opset = 17 }: Parts, conv: Record<string, Attribute> = {}): Graph {
  return {
    ...{ name: "g", nodes: [...nodes, makeNode("Conv", ["x", "w"], ["y"], conv, { name: "conv" })], values: new Map() },
    initializers: new Map(Object.entries(constants)),
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 4, 6, 6] } }],
    outputs: [{ name: "y", tensor: { type: "float32" } }],
    opsets: new Map([["", opset]]),
    ...{ irVersion: 8, metadata: new Map() },
  };
}

const node = (op: string, inputs: string, output = "w", attributes: Record<string, Attribute> = {}): Node =>
  makeNode(op, inputs.split(" "), [output], attributes);
const shape = (...dims: number[]): TensorData => int64Tensor([dims.length], dims);

/** What makes a weight [4, 4, 3, 3] in each case. */
const made: Readonly<Record<string, Parts>> = {
  Transpose: {
    nodes: [node("Transpose", "h", "w", { perm: ints([3, 2, 0, 1]) })],
    constants: { h: filled(3, 3, 4, 4) },
  },
  "Transpose without an order": { nodes: [node("Transpose", "h")], constants: { h: filled(3, 3, 4, 4) } },
  Reshape: { nodes: [node("Reshape", "h s")], constants: { h: filled(4, 36), s: shape(4, -1, 3, 3) } },
  Identity: { nodes: [node("Identity", "h", "i"), node("Neg", "i")], constants: { h: filled(4, 4, 3, 3) } },
  Unsqueeze: {
    nodes: [node("Unsqueeze", "h a", "u"), node("Expand", "u s")],
    constants: { h: filled(4, 3, 3), a: shape(1), s: shape(4, 4, 3, 3) },
  },
  "Squeeze by attribute": {
    nodes: [node("Squeeze", "h", "w", { axes: ints([0]) })],
    constants: { h: filled(1, 4, 4, 3, 3) },
    opset: 11,
  },
  "Mul by a scale": { nodes: [node("Mul", "h k")], constants: { h: filled(4, 4, 3, 3), k: filled(4, 1, 1, 1) } },
  "Add, Sub and Div": {
    nodes: [node("Add", "h k", "a"), node("Sub", "a k2", "b"), node("Div", "b k")],
    constants: { h: filled(4, 4, 3, 3), k: filled(1, 4, 1, 1), k2: filled(1) },
  },
  "weight norm": {
    nodes: [
      ...[
        node("ReduceL2", "v", "n", { axes: ints([1, 2, 3]), keepdims: int(1) }),
        node("Div", "v n", "d"),
        node("Mul", "d g"),
      ],
    ],
    constants: { v: filled(4, 4, 3, 3), g: filled(4, 1, 1, 1) },
  },
  "weight standardisation": {
    nodes: [
      ...[node("ReduceMean", "v", "m", { axes: ints([1, 2, 3]) }), node("Sub", "v m", "c"), node("Mul", "c c", "q")],
      ...[node("ReduceMean", "q", "s", { axes: ints([-1, -2, -3]) }), node("Sqrt", "s", "r"), node("Div", "c r")],
    ],
    constants: { v: filled(4, 4, 3, 3) },
  },
  "a Cast to a smaller type": {
    nodes: [node("Cast", "h", "w", { to: int(1) })],
    constants: { h: tensorOf("float64", [4, 4, 3, 3], numbers(filled(4, 4, 3, 3))) },
  },
  Slice: {
    nodes: [node("Slice", "h from to axes steps")],
    constants: { h: filled(4, 4, 3, 3), from: shape(-1), to: shape(-5), axes: shape(1), steps: shape(-1) },
  },
  Gather: {
    nodes: [node("Gather", "h i", "w", { axis: int(1) })],
    constants: { h: filled(4, 4, 3, 3), i: shape(3, -3, 0, 0) },
  },
  Concat: {
    nodes: [node("Concat", "h g", "w", { axis: int(1) })],
    constants: { h: filled(4, 1, 3, 3), g: filled(4, 3, 3, 3) },
  },
  "a product of matrices": {
    nodes: [node("MatMul", "a b", "p"), node("Add", "p h", "q"), node("Reshape", "q s")],
    constants: { a: filled(4, 2), b: filled(2, 36), h: filled(4, 36), s: shape(4, 4, 3, 3) },
  },
  Gemm: {
    nodes: [
      node("Gemm", "a b c", "q", { transA: int(1), transB: int(1), alpha: float(0.5), beta: float(2) }),
      node("Reshape", "q s"),
    ],
    constants: { a: filled(2, 4), b: filled(36, 2), c: filled(4, 36), s: shape(4, 4, 3, 3) },
  },
  Tile: { nodes: [node("Tile", "h r")], constants: { h: filled(4, 2, 3, 3), r: shape(1, 2, 1, 1) } },
  "Constant nodes": {
    nodes: [makeNode("Constant", [], ["h"], { value: tensor(filled(3, 3, 4, 4)) }), node("Transpose", "h")],
    constants: {},
  },
};
/** Stored, these would make the file larger. */
const growing = new Set(["Unsqueeze", "Tile"]);

async function outputOf(graph: Graph): Promise<Float64Array> {
  const session = await openSession(graph, { threads: 1 });
  try {
    const x = float32Tensor(
      [1, 4, 6, 6],
      Float32Array.from({ length: 144 }, (_, at) => Math.sin(at)),
    );
    return numbers((await session.run({ x }))[graph.outputs[0]!.name]!);
  } finally {
    await session.release();
  }
}

describe("foldWeights", () => {
  test.each(Object.keys(made))("behind %s: stored where that is no larger, and computed alike", async (name) => {
    const before = withWeight(made[name]!);
    const { graph, outcomes } = foldWeights()(before);
    verifyGraph(graph);
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]!.layer).toBe("conv");
    if (growing.has(name)) {
      expect(graph).toBe(before);
      expect(outcomes[0]!.reason).toMatch(
        /^its weight is made from constants by .* at load: stored, it would make the file \d+ bytes larger$/,
      );
      return;
    }
    expect(outcomes[0]!.reason).toMatch(/^its weight was made from constants by [\w, ]+ and is stored as it is read$/);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Conv"]);
    expect([...graph.initializers.keys()]).toEqual(["w"]);
    expect(writeModel(graph).length).toBeLessThanOrEqual(writeModel(before).length);
    const [a, b] = [await outputOf(before), await outputOf(graph)];
    // sums of 36 products with inputs of at most 1: each weight and each sum may be off by a unit in the last place of
    // float32
    const bound = 2 * 36 * 2 ** -23 * Math.max(...numbers(graph.initializers.get("w")!).map(Math.abs));
    for (const [at, value] of a.entries()) expect(Math.abs(value - b[at]!)).toBeLessThan(bound);
  });

  test.each([...growing])("behind %s: stored all the same where the model may grow", async (name) => {
    const before = withWeight(made[name]!);
    const { graph } = foldWeights({ grow: true })(before);
    verifyGraph(graph);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Conv"]);
    const [a, b] = [await outputOf(before), await outputOf(graph)];
    for (const [at, value] of a.entries()) expect(value).toBeCloseTo(b[at]!, 5);
  });

  test("leaves a weight alone that is stored, also behind a Cast to a larger type", () => {
    const half = tensorOf("float16", [4, 4, 3, 3], numbers(filled(4, 4, 3, 3)));
    const before = withWeight({ nodes: [node("Cast", "h", "w", { to: int(1) })], constants: { h: half } });
    expect(foldWeights()(before)).toEqual({ graph: before, outcomes: [] });
  });

  test("stores in half precision what stands under the Cast of such a weight", async () => {
    const half = tensorOf("float16", [3, 3, 4, 4], numbers(filled(3, 3, 4, 4)));
    const nodes = [node("Transpose", "h", "t"), node("Cast", "t", "w", { to: int(1) })];
    const before = withWeight({ nodes, constants: { h: half } });
    const { graph } = foldWeights()(before);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Cast", "Conv"]);
    expect(graph.initializers.get("t")?.type).toBe("float16");
    expect(await outputOf(graph)).toEqual(await outputOf(before));
  });

  test.each([
    [
      "int8 behind DequantizeLinear",
      [node("DequantizeLinear", "q k")],
      /is quantised \(stored as int8, DequantizeLinear\): compress the float/,
    ],
    [
      "int8 behind Cast and Mul",
      [node("Cast", "q", "f", { to: int(1) }), node("Mul", "f k")],
      /is quantised \(stored as int8\): compress the float model/,
    ],
    [
      "floats that are quantised and dequantised",
      [node("QuantizeLinear", "h k z", "f"), node("DequantizeLinear", "f k z")],
      /is quantised \(rounded to few bits, (De|Q)/,
    ],
  ] as const)("names %s as quantised and leaves it so", (_, nodes, reason) => {
    const constants = {
      q: tensorOf("int8", [4, 4, 3, 3], new Float64Array(144)),
      k: filled(),
      z: tensorOf("int8", [], [0]),
    };
    const before = withWeight({ nodes, constants: { ...constants, h: filled(4, 4, 3, 3) } });
    const { graph, outcomes } = foldWeights()(before);
    expect(graph).toBe(before);
    expect(outcomes).toMatchObject([{ applied: false, reason: expect.stringMatching(reason) }]);
  });

  test("leaves what is computed from the named constants alone, in silence", () => {
    const before = withWeight({ nodes: [node("Transpose", "h")], constants: { h: filled(3, 3, 4, 4) } });
    expect(foldWeights({ keep: new Set(["h"]) })(before)).toEqual({ graph: before, outcomes: [] });
  });

  test("does not store a constant twice that is read in two orders", () => {
    const nodes = [node("Transpose", "h"), node("Transpose", "h", "v", { perm: ints([3, 2, 1, 0]) })];
    const before = withWeight({
      nodes: [...nodes, makeNode("Conv", ["x", "v"], ["z"])],
      constants: { h: filled(3, 3, 4, 4) },
    });
    expect(
      foldWeights()({ ...before, outputs: [...before.outputs, { name: "z" }] }).outcomes.map(({ applied }) => applied),
    ).toEqual([...[false, false]]);
  });

  test("cuts a packed weight up where all its parts are read", async () => {
    const nodes = [
      makeNode("Split", ["h", "sizes"], ["w", "v"], { axis: int(0) }),
      ...[
        node("Conv", "x v", "z"),
        makeNode("Slice", ["g", "from", "to"], ["u"]),
        makeNode("Slice", ["g", "to", "end"], ["t"]),
      ],
      ...[node("Conv", "x u", "p"), node("Conv", "x t", "q")],
    ];
    const constants = {
      h: filled(8, 4, 3, 3),
      sizes: shape(4, 4),
      g: filled(8, 4, 3, 3),
      from: shape(0),
      to: shape(5),
      end: shape(8),
    };
    const before = withWeight({ nodes, constants });
    const { graph } = foldWeights()({ ...before, outputs: ["y", "z", "p", "q"].map((name) => ({ name })) });
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Conv", "Conv", "Conv", "Conv"]);
    expect([...graph.initializers.values()].map(({ dims }) => dims[0])).toEqual([4, 4, 5, 3]);
    expect(await outputOf({ ...graph, outputs: [{ name: "q" }] })).toEqual(
      await outputOf({ ...before, outputs: [{ name: "q" }] }),
    );
  });

  test("folds biases and the statistics of batch norms too", () => {
    const nodes = [
      ...[node("Identity", "h"), node("Neg", "b", "c"), makeNode("Conv", ["x", "w", "c"], ["m"])],
      ...[node("Reshape", "s one", "scale"), makeNode("BatchNormalization", ["m", "scale", "b", "b", "b"], ["n"])],
    ];
    const constants = { h: filled(4, 4, 3, 3), b: filled(4), s: filled(1, 4), one: shape(-1) };
    const before = withWeight({ nodes, constants });
    const { outcomes } = foldWeights()({ ...before, outputs: [{ name: "n" }] });
    expect(outcomes.map(({ applied, reason }) => [applied, reason.split(/[ ,]/).slice(0, 2).join(" ")])).toEqual([
      [true, "its bias"],
      [true, "its scale"],
    ]);
  });

  test("says what it cannot compute", () => {
    const before = withWeight({ nodes: [node("Erf", "h")], constants: { h: filled(4, 4, 3, 3) } });
    expect(foldWeights()(before).outcomes[0]!.reason).toBe(
      "its weight is computed from constants by Erf, which is not done here",
    );
  });
});
