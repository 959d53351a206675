// What the interpreter refuses, and that it refuses by name and in time.
import { expect, test } from "vitest";
import { engine, feed, graph, node, type Parts, real, skipNote, thrown, weights } from "../../test/network-graphs.js";
import { FilterBasisError } from "../errors/error.js";
import { int, int64Tensor, ints, makeNode, string } from "../graph/attributes.js";
import type { Node } from "../graph/types.js";
import { TensorScope } from "../torch/scope.js";
import { setThreads } from "../torch/settings.js";
import { fromArray } from "../torch/tensor.js";
import { Network } from "./network.js";

engine(`what a network refuses${skipNote}`, () => {
  setThreads(1);

  test("an operator that is not there is refused by the constructor, by node and operator", () => {
    const error = thrown(() => new Network(graph({ nodes: [node("Relu", "x", "a"), node("Loop", "a", "y")] })));
    expect(error).toMatchObject({ code: "unsupported", place: { node: "the Loop", op: "Loop" } });
  });

  test("an operator of a foreign domain is refused even where its name is known", () => {
    const foreign = makeNode("Relu", ["x"], ["y"], {}, { domain: "com.example" });
    expect(thrown(() => new Network(graph({ nodes: [foreign] })))).toMatchObject({
      code: "unsupported",
      place: { op: "Relu" },
    });
  });

  test("names of Object's own are no operators", () => {
    for (const op of ["constructor", "__proto__", "toString"]) {
      expect(thrown(() => new Network(graph({ nodes: [node(op, "x", "y")] }))).code).toBe("unsupported");
    }
  });

  test("attributes that cannot be run are refused by the constructor", () => {
    const pad = node("Pad", "x p", "y", { mode: string("sideways") });
    const error = thrown(() => new Network(graph({ nodes: [pad], constants: { p: int64Tensor([2], [1, 1]) } })));
    expect(error).toMatchObject({ code: "unsupported", place: { node: "the Pad", op: "Pad" } });
  });

  test("inputs of types that libtorch lacks are refused by name", () => {
    const inputs = [{ name: "x", tensor: { type: "uint64" as const } }];
    expect(thrown(() => new Network(graph({ nodes: [node("Relu", "x", "y")], inputs })))).toMatchObject({
      code: "unsupported",
      place: { tensor: "x" },
    });
  });

  test("an error of libtorch names the node and its operator", () => {
    using network = new Network(graph({ nodes: [node("MatMul", "x w", "y")], constants: { w: weights(3, 2) } }));
    using _scope = new TensorScope();
    const error = thrown(() => network.forward(feed([2, 2], 1, 2, 3, 4)));
    expect(error).toMatchObject({ code: "engine", place: { node: "the MatMul", op: "MatMul" } });
  });

  test("missing and unknown feeds and values to keep are errors by name", () => {
    using network = new Network(graph({ nodes: [node("Relu", "x", "y")] }));
    using _scope = new TensorScope();
    expect(thrown(() => network.forward(new Map()))).toMatchObject({ code: "usage", place: { tensor: "x" } });
    const two = new Map([...feed([1], 1), ["z", fromArray(new Float32Array(1), [1])] as const]);
    expect(thrown(() => network.forward(two))).toMatchObject({ code: "usage", place: { tensor: "z" } });
    expect(thrown(() => network.forward(feed([1], 1), { keep: ["q"] }))).toMatchObject({
      code: "not-found",
      place: { tensor: "q" },
    });
  });

  test("a small graph that asks for an enormous value ends in a typed error at once", () => {
    const huge = { s: int64Tensor([3], [1_000_000, 1_000_000, 1_000]) };
    const cases: Parts[] = [
      { nodes: [node("Expand", "x s", "y")], constants: huge },
      {
        nodes: [node("Tile", "x s", "y")],
        constants: huge,
        inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 1, 1] } }],
      },
      { nodes: [node("ConstantOfShape", "s", "c"), node("Add", "c x", "y")], constants: huge },
      { nodes: [node("Pad", "x p", "y")], constants: { p: int64Tensor([6], [0, 0, 0, 1e9, 1e9, 1e3]) } },
      { nodes: [node("Upsample", "x", "y", { scales: { kind: "floats", value: [1, 1, 1e12] } })], opset: 7 },
      {
        nodes: [node("Range", "a b d", "r"), node("Add", "r x", "y")],
        constants: { a: int64Tensor([], [0]), b: int64Tensor([], [2 ** 50]), d: int64Tensor([], [1]) },
      },
      { nodes: [node("Conv", "x w", "y", { pads: ints([2 ** 40, 2 ** 40]) })], constants: { w: weights(1, 1, 1) } },
      { nodes: [node("MaxPool", "x", "y", { kernel_shape: ints([2]), pads: ints([2 ** 40, 2 ** 40]) })] },
      {
        nodes: [node("ConvTranspose", "x w", "y", { strides: ints([2 ** 40]), output_padding: ints([2 ** 39]) })],
        constants: { w: weights(1, 1, 1) },
      },
    ];
    for (const parts of cases) {
      const error = thrown(() => {
        using network = new Network(graph(parts));
        using _scope = new TensorScope();
        return network.forward(feed([1, 1, 1], 1));
      });
      expect(error.code, parts.nodes[0]!.op).toBe("too-large");
      expect(error.place.node, parts.nodes[0]!.op).toBe(`the ${parts.nodes[0]!.op}`);
    }
  });

  test("axes of size zero pass through or end in a typed error", () => {
    const ops: Node[] = [
      node("Relu", "x", "y"),
      node("GlobalAveragePool", "x", "y"),
      node("MaxPool", "x", "y", { kernel_shape: ints([2]) }),
      node("Softmax", "x", "y"),
      node("ReduceMax", "x", "y"),
      node("Flatten", "x", "y"),
      node("Transpose", "x", "y"),
      node("Resize", "x n s", "y", { mode: string("linear") }),
      node("BatchNormalization", "x v v v v", "y"),
      node("ArgMax", "x", "y"),
      node("DepthToSpace", "x", "y", { blocksize: int(0) }),
    ];
    const constants = { n: real([0]), s: real([3], 1, 1, 2), v: real([2], 1, 1) };
    for (const op of ops) {
      for (const dims of [
        [0, 2, 4],
        [1, 2, 0],
      ]) {
        using network = new Network(graph({ nodes: [op], constants }));
        using _scope = new TensorScope();
        try {
          expect(network.forward(feed(dims)).get("y")!.disposed).toBe(false);
        } catch (error) {
          expect(error, op.op).toBeInstanceOf(FilterBasisError);
        }
      }
    }
  });
});
