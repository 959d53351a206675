// Graphs made by programs, not read from files: what only they can get wrong.
import { describe, expect, test } from "vitest";
import { float, float32Tensor, int, makeNode } from "../../graph/attributes.js";
import type { Graph, GraphBody } from "../../graph/types.js";
import { verifyGraph } from "./verify.js";

const tensor = { type: "float32", dims: ["N", 2] } as const;
const graph: Graph = {
  name: "g",
  nodes: [makeNode("Add", ["x", "w"], ["h"]), makeNode("LeakyRelu", ["h"], ["y"], { alpha: float(0.1) })],
  initializers: new Map([["w", float32Tensor([2], new Float32Array(2))]]),
  inputs: [{ name: "x", tensor }],
  outputs: [{ name: "y", tensor }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};
const refused = (change: Partial<Graph>): string => {
  try {
    verifyGraph({ ...graph, ...change });
    return "valid";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("verifyGraph", () => {
  test("takes a graph that keeps the rules", () => {
    expect(refused({})).toBe("valid");
  });

  test("names the node and the tensor where a pass forgot to rename a reader", () => {
    const nodes = [makeNode("Add", ["x", "w"], ["renamed"]), graph.nodes[1]!];
    expect(refused({ nodes })).toMatch(/node "y", op "LeakyRelu", tensor "h".*nothing makes/);
  });

  test("finds a constant whose bytes do not fit its shape", () => {
    expect(refused({ initializers: new Map([["w", float32Tensor([3], new Float32Array(2))]]) })).toMatch(
      /"w".*expected 12 bytes, got 8/,
    );
  });

  test("finds a constant and a node's output of one name", () => {
    expect(refused({ nodes: [...graph.nodes, makeNode("Relu", ["x"], ["w"])] })).toMatch(/"w".*made once/);
  });

  test("finds sizes that are no sizes", () => {
    for (const size of [-1, 1.5, Number.NaN, 2 ** 60]) {
      expect(refused({ inputs: [{ name: "x", tensor: { type: "float32", dims: [size] } }] })).toMatch(/"x".*cannot be/);
      expect(refused({ initializers: new Map([["w", float32Tensor([size], new Float32Array(1))]]) })).toMatch(
        /"w".*cannot be/,
      );
    }
  });

  test("finds an attribute of the wrong type in a body inside a body", () => {
    const inner: GraphBody = {
      ...graph,
      nodes: [makeNode("LeakyRelu", ["x"], ["deep"], { alpha: int(1) })],
      inputs: [],
      outputs: [{ name: "deep" }],
      initializers: new Map(),
    };
    const outer = (body: GraphBody, output: string): GraphBody => ({
      ...inner,
      nodes: [makeNode("If", ["x"], [output], { then_branch: { kind: "graph", value: body } })],
      outputs: [{ name: output }],
    });
    const nodes = [...graph.nodes, ...outer(outer(inner, "middle"), "top").nodes];
    expect(refused({ nodes })).toMatch(/node "deep".*field "alpha".*expected float, got int/);
  });

  test("refuses bodies nested without end instead of running out of stack", () => {
    let body: GraphBody = {
      ...graph,
      inputs: [],
      initializers: new Map(),
      nodes: [makeNode("Relu", ["x"], ["v0"])],
      outputs: [{ name: "v0" }],
    };
    for (let depth = 1; depth < 5000; depth++) {
      const node = makeNode("If", ["x"], [`v${depth}`], { then_branch: { kind: "graph", value: body } });
      body = { ...body, nodes: [node], outputs: [{ name: `v${depth}` }] };
    }
    expect(refused({ nodes: [...graph.nodes, ...body.nodes] })).toMatch(/nested more than 100 deep/);
  });

  test("takes a chain of ten thousand functions, none calling itself, without recursion", () => {
    const functions = Array.from({ length: 10_000 }, (_, at) => ({
      domain: "f",
      name: `f${at}`,
      overload: "",
      inputs: ["a"],
      outputs: ["b"],
      attributes: [],
      defaults: new Map(),
      nodes: [makeNode(at === 9999 ? "Relu" : `f${at + 1}`, ["a"], ["b"], {}, { domain: at === 9999 ? "" : "f" })],
      opsets: new Map([
        ["", 17],
        ["f", 1],
      ]),
    }));
    expect(refused({ functions })).toBe("valid");
  });
});
