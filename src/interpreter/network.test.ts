// The interpreter's promises beside the operators': parameters, statistics, memory.
import { expect, test } from "vitest";
import { liveTensorsAfterCollection } from "../../test/engine.js";
import { engine, feed, graph, node, real, skipNote, thrown, weights } from "../../test/network-graphs.js";
import { float, int, int64Tensor, makeNode, tensor } from "../graph/attributes.js";
import { floats, tensorOf } from "../graph/values.js";
import { backward, noGrad } from "../torch/autograd.js";
import { call } from "../torch/call.js";
import { TensorScope } from "../torch/scope.js";
import { liveTensors } from "../torch/settings.js";
import { fromArray } from "../torch/tensor.js";
import { Network } from "./network.js";

engine(`the parameters of a network${skipNote}`, () => {
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

  test("are those that `trainable` picks, constants that are not usually trained included", () => {
    const constants = { w: weights(2, 2, 1), factor: real([], 0.5) };
    const nodes = [node("Conv", "x w", "c"), node("Mul", "c factor", "y")];
    using network = new Network(graph({ nodes, constants }), {
      trainable: (name, usual) => !usual && name === "factor",
    });
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
    const before = graph({
      nodes: [constant, node("MatMul", "x w", "a"), node("Add", "a c", "y")],
      constants: { w: half },
    });
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

engine(`a forward pass${skipNote}`, () => {
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
    const before = liveTensorsAfterCollection();
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

  test("frees what operators make on their way with each of them, not with the scope around the network", () => {
    const nodes = [
      node("QuantizeLinear", "x scale zero", "q"),
      node("DequantizeLinear", "q scale zero", "d"),
      node("HardSwish", "d", "y"),
    ];
    const constants = { scale: real([], 0.1), zero: tensorOf("uint8", [], [128]) };
    using network = new Network(graph({ nodes, constants }));
    using _scope = new TensorScope();
    const feeds = feed([4], -1, 0, 0.26, 1);
    const { y } = Object.fromEntries(noGrad(() => network.forward(feeds)));
    y!.dispose(); // constants are on the device now
    const before = liveTensors();
    expect(noGrad(() => network.forward(feeds)).size).toBe(1);
    expect(liveTensors()).toBe(before + 1);
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
