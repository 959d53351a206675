// What outputs depend on: random operators wherever they are, steps, functions bounded by 1.
import { describe, expect, test } from "vitest";
import { smallGraph } from "../../test/small-graphs.js";
import { float32Tensor, int, int64Tensor, makeNode } from "../graph/attributes.js";
import type { Graph, GraphBody, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { dependenceOf } from "./dependence.js";
import { heldStill } from "./hold-still.js";

const graphOf = (
  nodes: readonly Node[],
  outputs: readonly string[],
  initializers: Record<string, TensorData> = {},
): Graph => smallGraph({ nodes, initializers, outputs });

const body = (nodes: readonly Node[], outputs: readonly string[]): GraphBody => ({
  name: "body",
  nodes,
  initializers: new Map(),
  inputs: [],
  outputs: outputs.map((name) => ({ name })),
  values: new Map(),
});

describe("random operators", () => {
  test("are named, and so are the outputs that depend on them, and no others", () => {
    const nodes = [
      makeNode("RandomNormalLike", ["x"], ["n"], {}, { name: "noise" }),
      makeNode("Add", ["x", "n"], ["noisy"]),
      makeNode("Relu", ["x"], ["clean"]),
    ];
    const { random, randomOutputs } = dependenceOf(graphOf(nodes, ["noisy", "clean"]));
    expect(random).toEqual(["noise (RandomNormalLike)"]);
    expect([...randomOutputs]).toEqual([["noisy", "noise (RandomNormalLike)"]]);
  });

  test("make nothing random by the shape of what they draw", () => {
    const nodes = [
      makeNode("RandomUniformLike", ["x"], ["n"]),
      makeNode("Shape", ["n"], ["s"]),
      makeNode("Relu", ["x"], ["y"]),
    ];
    expect(dependenceOf(graphOf(nodes, ["s", "y"])).randomOutputs.size).toBe(0);
  });

  test("are found in bodies of If and in functions of the model", () => {
    const draw = makeNode("RandomNormal", [], ["r"], { shape: { kind: "ints", value: [1n] } }, { name: "draw" });
    const flag = { flag: tensorOf("bool", [], [1]) };
    const branch = (nodes: readonly Node[]) => ({ kind: "graph", value: body(nodes, ["r"]) }) as const;
    const still = makeNode("Identity", ["x"], ["r"]);
    const one = makeNode("If", ["flag"], ["y"], { then_branch: branch([still]), else_branch: branch([draw]) });
    expect(dependenceOf(graphOf([one], ["y"], flag)).randomOutputs.get("y")).toBe("draw (RandomNormal)");
    const calling = graphOf([makeNode("Shaken", ["x"], ["y"], {}, { domain: "own" })], ["y"]);
    const shaken = {
      domain: "own",
      name: "Shaken",
      overload: "",
      inputs: ["a"],
      outputs: ["b"],
      attributes: [],
      defaults: new Map(),
      nodes: [makeNode("Bernoulli", ["a"], ["b"], {}, { name: "coin" })],
      opsets: new Map([["", 17]]),
    };
    expect(dependenceOf({ ...calling, functions: [shaken] }).randomOutputs.get("y")).toBe("coin (Bernoulli)");
    expect(dependenceOf(calling).randomOutputs.size).toBe(0);
  });

  test.each([
    ["without a flag does not", undefined, 0],
    ["with a false flag does not", tensorOf("bool", [], [0]), 0],
    ["with a true flag does", tensorOf("bool", [], [1]), 1],
  ])("Dropout %s drop anything", (_, training, count) => {
    const inputs = training === undefined ? ["x"] : ["x", "", "training"];
    const graph = graphOf([makeNode("Dropout", inputs, ["y"])], ["y"], training === undefined ? {} : { training });
    expect(dependenceOf(graph).randomOutputs.size).toBe(count);
  });
});

describe("held still", () => {
  test.each([
    makeNode("RandomNormalLike", ["x"], ["y"]),
    makeNode("RandomUniformLike", ["x"], ["y"], {
      low: { kind: "float", value: 2 },
      high: { kind: "float", value: 3 },
    }),
    makeNode("RandomNormal", [], ["y"], { shape: { kind: "ints", value: [2n, 2n] } }),
    makeNode("RandomUniform", [], ["y"], { shape: { kind: "ints", value: [3n] } }),
    makeNode("Bernoulli", ["x"], ["y"]),
    makeNode("Multinomial", ["x"], ["y"], { sample_size: int(2) }),
  ])("$op draws nothing", (node) => {
    expect(dependenceOf(heldStill(graphOf([node], ["y"]))!).randomOutputs.size).toBe(0);
  });

  test("a graph of an opset without the operators for that is left alone", () => {
    expect(
      heldStill({ ...graphOf([makeNode("Relu", ["x"], ["y"])], ["y"]), opsets: new Map([["", 8]]) }),
    ).toBeUndefined();
  });
});

describe("steps", () => {
  test.each([
    ["ArgMax", makeNode("ArgMax", ["x"], ["y"])],
    ["a Cast to integers", makeNode("Cast", ["x"], ["y"], { to: int(7) })],
    ["a comparison", makeNode("Greater", ["x", "zero"], ["y"])],
    ["QuantizeLinear", makeNode("QuantizeLinear", ["x", "zero"], ["y"])],
  ])("%s makes its output stepwise", (_, node) => {
    const graph = graphOf([node, makeNode("Identity", ["y"], ["z"]), makeNode("Relu", ["x"], ["w"])], ["z", "w"], {
      zero: float32Tensor([], new Float32Array(1)),
    });
    expect([...dependenceOf(graph).stepwise]).toEqual(["z"]);
  });

  test("sizes and whole numbers that are compared are no steps", () => {
    const nodes = [
      makeNode("Shape", ["x"], ["s"]),
      makeNode("Equal", ["s", "one"], ["same"]),
      makeNode("Where", ["same", "s", "one"], ["target"]),
      makeNode("Expand", ["x", "target"], ["y"]),
      makeNode("Equal", ["rate", "one"], ["fast"]),
      makeNode("Cast", ["fast"], ["z"], { to: int(1) }),
    ];
    const graph: Graph = {
      ...graphOf(nodes, ["y", "z"], { one: int64Tensor([1], [1]) }),
      inputs: [
        { name: "x", tensor: { type: "float32", dims: [1, 3] } },
        { name: "rate", tensor: { type: "int64", dims: [1] } },
      ],
    };
    expect(dependenceOf(graph).stepwise.size).toBe(0);
  });
});

test("outputs of functions bounded by 1 are known as such, also behind what only moves them", () => {
  const nodes = [
    makeNode("Sigmoid", ["x"], ["p"]),
    makeNode("Transpose", ["p"], ["moved"]),
    makeNode("Mul", ["p", "moved"], ["both"]),
    makeNode("Mul", ["p", "x"], ["scaled"]),
    makeNode("Concat", ["p", "x"], ["mixed"], { axis: int(1) }),
  ];
  expect([...dependenceOf(graphOf(nodes, ["p", "moved", "both", "scaled", "mixed"])).bounded]).toEqual([
    "p",
    "moved",
    "both",
  ]);
});
