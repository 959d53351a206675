// The interpreter's promises beside the operators': parameters, statistics, memory, errors.
import { describe, expect, test } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { float, float32Tensor, int, int64Tensor, ints, makeNode, string, tensor } from "../graph/attributes.js";
import type { Attribute, Graph, LocalFunction, Node, TensorData } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { backward, noGrad } from "./autograd.js";
import { call } from "./call.js";
import { unloadableReason } from "./native.js";
import { Network } from "./network.js";
import { TensorScope } from "./scope.js";
import { liveTensors, setThreads } from "./settings.js";
import { fromArray } from "./tensor.js";

const reason = unloadableReason();
const engine = describe.skipIf(reason !== undefined);
const because = reason === undefined ? "" : ` (${reason})`;

interface Parts {
  readonly nodes: readonly Node[];
  readonly constants?: Readonly<Record<string, TensorData>>;
  readonly inputs?: Graph["inputs"];
  readonly outputs?: readonly string[];
  readonly functions?: readonly LocalFunction[];
  readonly opset?: number;
}

function graph({ nodes, constants = {}, inputs = [{ name: "x", tensor: { type: "float32" } }], ...rest }: Parts): Graph {
  const { outputs = ["y"], functions, opset = 17 } = rest;
  return {
    name: "test",
    nodes,
    initializers: new Map(Object.entries(constants)),
    inputs,
    outputs: outputs.map((name) => ({ name })),
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
    ...(functions && { functions }),
  };
}

const real = (dims: readonly number[], ...values: number[]): TensorData => float32Tensor(dims, Float32Array.from(values));
const weights = (...dims: number[]): TensorData => {
  const count = dims.reduce((a, b) => a * b, 1);
  return real(dims, ...Array.from({ length: count }, (_, i) => Math.sin(i + 1)));
};
const node = (op: string, inputs: string, outputs: string, attributes: Readonly<Record<string, Attribute>> = {}): Node =>
  makeNode(op, inputs.split(" "), outputs.split(" "), attributes, { name: `the ${op}` });
const feed = (dims: readonly number[], ...values: number[]) => new Map([["x", fromArray(Float32Array.from(values), dims)]]);

/** The error that a function throws. */
function thrown(run: () => unknown): FilterBasisError {
  try {
    run();
  } catch (error) {
    if (error instanceof FilterBasisError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

engine(`what a network refuses${because}`, () => {
  setThreads(1);

  test("an operator that is not there is refused by the constructor, by node and operator", () => {
    const error = thrown(() => new Network(graph({ nodes: [node("Relu", "x", "a"), node("Loop", "a", "y")] })));
    expect(error).toMatchObject({ code: "unsupported", place: { node: "the Loop", op: "Loop" } });
  });

  test("an operator of a foreign domain is refused even where its name is known", () => {
    const foreign = makeNode("Relu", ["x"], ["y"], {}, { domain: "com.example" });
    expect(thrown(() => new Network(graph({ nodes: [foreign] })))).toMatchObject({ code: "unsupported", place: { op: "Relu" } });
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
      { nodes: [node("Tile", "x s", "y")], constants: huge, inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 1, 1] } }] },
      { nodes: [node("ConstantOfShape", "s", "c"), node("Add", "c x", "y")], constants: huge },
      { nodes: [node("Pad", "x p", "y")], constants: { p: int64Tensor([6], [0, 0, 0, 1e9, 1e9, 1e3]) } },
      { nodes: [node("Upsample", "x", "y", { scales: { kind: "floats", value: [1, 1, 1e12] } })], opset: 7 },
      { nodes: [node("Range", "a b d", "r"), node("Add", "r x", "y")], constants: { a: int64Tensor([], [0]), b: int64Tensor([], [2 ** 50]), d: int64Tensor([], [1]) } },
      { nodes: [node("Conv", "x w", "y", { pads: ints([2 ** 40, 2 ** 40]) })], constants: { w: weights(1, 1, 1) } },
      { nodes: [node("MaxPool", "x", "y", { kernel_shape: ints([2]), pads: ints([2 ** 40, 2 ** 40]) })] },
      { nodes: [node("ConvTranspose", "x w", "y", { strides: ints([2 ** 40]), output_padding: ints([2 ** 39]) })], constants: { w: weights(1, 1, 1) } },
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
  }); // biome-ignore format: a table

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

engine(`the parameters of a network${because}`, () => {
  test("are weights and biases in the order of their use; a shared one is there once, under its own name", () => {
    const nodes = [
      node("Identity", "w", "alias"),
      node("Conv", "x w b", "a"),
      node("Conv", "a alias", "c"),
      node("Mul", "c half", "y"),
    ];
    const constants = { w: weights(2, 2, 1), b: weights(2), half: real([], 0.5) };
    using network = new Network(graph({ nodes, constants }));
    expect([...network.parameters.keys()]).toEqual(["w", "b"]);
    expect(network.buffers.size).toBe(0);
  });

  test("are found behind the arithmetic that a weight is made with, factors aside", () => {
    const nodes = [
      node("Reshape", "f shape", "r"),
      node("MatMul", "a r", "m"),
      node("Mul", "m half", "w"),
      node("MatMul", "x w", "y"),
    ];
    const constants = { f: weights(4), a: weights(2, 2), shape: int64Tensor([2], [2, 2]), half: real([1], 0.5) };
    using network = new Network(graph({ nodes, constants }));
    expect(new Set(network.parameters.keys())).toEqual(new Set(["f", "a"]));
  });

  test("include weights in Constant nodes, and statistics are buffers", () => {
    const constant = makeNode("Constant", [], ["w"], { value: tensor(weights(2, 3, 1)) });
    const nodes = [constant, node("Conv", "x w", "a"), node("BatchNormalization", "a s b m v", "y")];
    const constants = { s: real([2], 1, 1), b: real([2], 0, 0), m: real([2], 0, 0), v: real([2], 1, 1) };
    using network = new Network(graph({ nodes, constants }));
    expect([...network.parameters.keys()]).toEqual(["w", "s", "b"]);
    expect([...network.buffers.keys()]).toEqual(["m", "v"]);
  });

  test("are those that `trainable` picks, constants that do not usually learn included", () => {
    const constants = { w: weights(2, 2, 1), factor: real([], 0.5) };
    const nodes = [node("Conv", "x w", "c"), node("Mul", "c factor", "y")];
    using network = new Network(graph({ nodes, constants }), { trainable: (name, usual) => !usual && name === "factor" });
    expect([...network.parameters.keys()]).toEqual(["factor"]);
    expect(network.parameters.get("factor")!.requiresGrad).toBe(true);
  });

  test("collect the gradients of all their uses", () => {
    const nodes = [node("MatMul", "x w", "a"), node("MatMul", "a w", "y")];
    using network = new Network(graph({ nodes, constants: { w: real([1, 1], 3) } }));
    using _scope = new TensorScope();
    backward(call("sum", network.forward(feed([1, 1], 2)).get("y")!));
    expect(network.parameters.get("w")!.grad!.item()).toBe(2 * 2 * 3); // d(2 w w) / dw
  });

  test("are written back by toGraph in the type in which they came, and nothing else is touched", () => {
    const half = tensorOf("float16", [1, 1], [0.5]);
    const constant = makeNode("Constant", [], ["c"], { value_floats: { kind: "floats", value: [1, 2] } });
    const before = graph({ nodes: [constant, node("MatMul", "x w", "a"), node("Add", "a c", "y")], constants: { w: half } });
    using network = new Network(before, { trainable: () => true });
    noGrad(() => {
      for (const parameter of network.parameters.values()) call("add_.Scalar", parameter, 1);
    });
    const after = network.toGraph();
    expect(after.initializers.get("w")).toMatchObject({ type: "float16", dims: [1, 1] });
    expect([...floats(after.initializers.get("w")!)]).toEqual([1.5]);
    const value = after.nodes[0]!.attributes.get("value");
    expect(value?.kind === "tensor" && [...floats(value.value)]).toEqual([2, 3]);
    expect(after.nodes[1]).toBe(before.nodes[1]);
    using again = new Network(after);
    expect([...again.parameters.keys()]).toEqual(["w"]);
  });
});

engine(`a forward pass${because}`, () => {
  const statistics = { s: real([1], 2), b: real([1], 1), m: real([1], 0.5), v: real([1], 4) };
  const normalized = graph({
    nodes: [node("BatchNormalization", "x s b m v", "y", { epsilon: float(0) })],
    constants: statistics,
  });

  test("normalises by the running statistics in inference and leaves them", () => {
    using network = new Network(normalized);
    using _scope = new TensorScope();
    expect([
      ...network
        .forward(feed([2, 1], 0.5, 4.5))
        .get("y")!
        .floats(),
    ]).toEqual([1, 5]);
    expect(network.buffers.get("m")!.item()).toBe(0.5);
  });

  test("normalises by the batch in training and moves the running statistics as PyTorch does", () => {
    using network = new Network(normalized);
    using _scope = new TensorScope();
    const y = network
      .forward(feed([4, 1], 1, 3, 5, 7), { training: true })
      .get("y")!
      .floats();
    const deviation = Math.sqrt(5); // biased variance of 1, 3, 5, 7
    expect(y[0]).toBeCloseTo(1 + (2 * (1 - 4)) / deviation, 5);
    expect(network.buffers.get("m")!.item()).toBeCloseTo(0.9 * 0.5 + 0.1 * 4, 6);
    expect(network.buffers.get("v")!.item()).toBeCloseTo(0.9 * 4 + (0.1 * 20) / 3, 6); // unbiased: 20 / 3
  });

  test("refuses batch statistics of a single number", () => {
    using network = new Network(normalized);
    using _scope = new TensorScope();
    expect(thrown(() => network.forward(feed([1, 1], 1), { training: true }))).toMatchObject({
      place: { op: "BatchNormalization" },
    });
  });

  const chain = graph({
    nodes: [
      node("Conv", "x w", "a"),
      node("Relu", "a", "b"),
      node("Add", "b x", "c"),
      node("Add", "c b", "d"),
      node("Relu", "d", "y"),
    ],
    constants: { w: real([1, 1, 1], -1) },
  });

  test("works in place only where nobody notices: kept values and feeds are what they were", () => {
    using network = new Network(chain);
    using _scope = new TensorScope();
    const feeds = feed([1, 1, 3], -3, 2, -1);
    const values = noGrad(() => network.forward(feeds, { keep: ["a", "b", "c", "d", "x", "w"] }));
    const read = (name: string) => [...values.get(name)!.floats()].map((v) => v + 0);
    expect(read("a")).toEqual([3, -2, 1]);
    expect(read("b")).toEqual([3, 0, 1]);
    expect(read("c")).toEqual([0, 2, 0]);
    expect(read("d")).toEqual([3, 2, 1]);
    expect(read("x")).toEqual([-3, 2, -1]);
    expect(read("y")).toEqual([3, 2, 1]);
    const bare = noGrad(() => network.forward(feeds).get("y")!.floats());
    expect([...bare]).toEqual([3, 2, 1]);
    expect([...feeds.get("x")!.floats()]).toEqual([-3, 2, -1]);
  });

  test("gives the same gradients in place as with every value kept", () => {
    const gradient = (keep: readonly string[]): number => {
      using network = new Network(chain);
      using _scope = new TensorScope();
      backward(call("sum", network.forward(feed([1, 1, 3], -3, 2, -1), { keep }).get("y")!));
      return network.parameters.get("w")!.grad!.item();
    };
    expect(gradient([])).toBe(gradient(["a", "b", "c", "d"]));
  });

  test("leaves nothing behind but its outputs, and disposing the network leaves nothing at all", () => {
    const before = liveTensors();
    const network = new Network(chain);
    const held = liveTensors();
    {
      using scope = new TensorScope();
      const x = fromArray(new Float32Array(3), [1, 1, 3]);
      const alive = liveTensors();
      noGrad(() => network.forward(new Map([["x", x]])));
      expect(liveTensors()).toBe(alive + 1);
      expect(scope).toBeDefined();
    }
    expect(liveTensors()).toBe(held);
    network[Symbol.dispose]();
    expect(liveTensors()).toBe(before);
  });

  test("outlives the scope in which the network was made", () => {
    let network: Network;
    {
      using _scope = new TensorScope();
      network = new Network(chain);
    }
    using _scope = new TensorScope();
    expect([
      ...noGrad(() => network.forward(feed([1, 1, 1], 2)))
        .get("y")!
        .floats(),
    ]).toEqual([2]);
    network[Symbol.dispose]();
  });

  test("hands out feeds and constants as tensors of their own", () => {
    const passing = graph({
      nodes: [node("Identity", "x", "y"), node("Identity", "k", "z")],
      constants: { k: int64Tensor([1], [7]) },
      outputs: ["y", "z"],
    });
    using network = new Network(passing);
    using _scope = new TensorScope();
    const feeds = feed([1], 5);
    const outputs = network.forward(feeds);
    for (const output of outputs.values()) output.dispose();
    expect(feeds.get("x")!.item()).toBe(5);
    expect(network.forward(feeds).get("z")!.item()).toBe(7);
  });

  test("follows shape arithmetic, whatever the input's size", () => {
    const nodes = [
      node("Shape", "x", "s"),
      node("Gather", "s zero", "n"),
      node("Unsqueeze", "n axis", "n1"),
      node("Concat", "n1 rest", "shape", { axis: int(0) }),
      node("Reshape", "x shape", "y"),
    ];
    const constants = { zero: int64Tensor([], [0]), axis: int64Tensor([1], [0]), rest: int64Tensor([1], [-1]) };
    using network = new Network(graph({ nodes, constants }));
    using _scope = new TensorScope();
    expect(network.forward(feed([1, 2, 2], 1, 2, 3, 4)).get("y")!.shape).toEqual([1, 4]);
    expect(network.forward(feed([2, 1, 3], 1, 2, 3, 4, 5, 6)).get("y")!.shape).toEqual([2, 3]);
  });

  test("computes float16 models in float32 and rounds where a Cast says so", () => {
    const inputs = [{ name: "x", tensor: { type: "float16" as const } }];
    const nodes = [node("Mul", "x k", "m"), node("Cast", "m", "y", { to: int(10) })];
    using network = new Network(graph({ nodes, inputs, constants: { k: tensorOf("float16", [], [1 / 3]) } }));
    using _scope = new TensorScope();
    const x = call("to.dtype", fromArray(Float32Array.of(3), [1]), "float16");
    const y = network.forward(new Map([["x", x]])).get("y")!;
    expect(y.dtype).toBe("float32");
    expect(y.item()).toBe(1);
  });

  test("drops only in training, and scales what stays", () => {
    using network = new Network(graph({ nodes: [node("Dropout", "x", "y", { ratio: float(0.5) })], opset: 10 }));
    using _scope = new TensorScope();
    const ones = feed([1000], ...new Array<number>(1000).fill(1));
    expect(new Set(network.forward(ones).get("y")!.floats())).toEqual(new Set([1]));
    expect(new Set(network.forward(ones, { training: true }).get("y")!.floats())).toEqual(new Set([0, 2]));
  });
});

engine(`local functions${because}`, () => {
  const scaled: LocalFunction = {
    domain: "local",
    name: "Scaled",
    overload: "",
    inputs: ["a", "w"],
    outputs: ["out", "a"],
    attributes: [],
    defaults: new Map([["slope", float(0.5)]]),
    nodes: [
      makeNode("MatMul", ["a", "w"], ["t"]),
      {
        ...makeNode("LeakyRelu", ["t"], ["out"]),
        attributes: new Map([["alpha", { kind: "reference", value: "slope", origin: undefined }]]),
      },
    ],
    opsets: new Map([["", 17]]),
  };
  const calls = (attributes: Readonly<Record<string, Attribute>>) =>
    makeNode("Scaled", ["x", "w"], ["y", "z"], attributes, { domain: "local" });

  test("are unfolded: attributes given or by default, weights learn under their own names", () => {
    for (const [attributes, slope] of [[{}, 0.5], [{ slope: float(0.25) }, 0.25]] as const) {
      const whole = graph({ nodes: [calls(attributes)], constants: { w: real([1, 1], -2) }, outputs: ["y", "z"], functions: [scaled] });
      using network = new Network(whole);
      using _scope = new TensorScope();
      const outputs = network.forward(feed([1, 1], 3));
      expect(outputs.get("y")!.item()).toBe(-6 * slope);
      expect(outputs.get("z")!.item()).toBe(3);
      expect([...network.parameters.keys()]).toEqual(["w"]);
    }
  }); // biome-ignore format: rows

  test("that call themselves are a typed error", () => {
    const endless: LocalFunction = { ...scaled, nodes: [makeNode("Scaled", ["a", "w"], ["out", "u"], {}, { domain: "local" })] };
    const whole = graph({ nodes: [calls({})], constants: { w: real([1, 1], 1) }, outputs: ["y"], functions: [endless] });
    expect(thrown(() => new Network(whole)).code).toBe("invalid-graph");
  });
});
