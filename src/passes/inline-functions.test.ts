// Local functions: where they are inlined, what of them is renamed, and where they stay.
import { describe, expect, test } from "vitest";
import { float, int, ints, makeNode } from "../graph/attributes.js";
import { printGraph } from "../graph/print.js";
import type { Attribute, Graph, GraphBody, LocalFunction, Node } from "../graph/types.js";
import { inlined } from "../ops/inline.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { inlineFunctions } from "./inline-functions.js";

const local = (name: string, nodes: readonly Node[], more: Partial<LocalFunction> = {}): LocalFunction => ({
  ...{ domain: "local", name, overload: "", inputs: ["a"], outputs: ["b"], attributes: [], defaults: new Map(), nodes },
  opsets: new Map([
    ["", 17],
    ["local", 1],
  ]),
  ...more,
});
const call = (
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Record<string, Attribute> = {},
) => makeNode(name, inputs, outputs, attributes, { domain: "local", name: `call of ${name}` });
const reference = (value: string): Attribute => ({ kind: "reference", value, origin: undefined });
const graphOf = (nodes: readonly Node[], functions: readonly LocalFunction[], opset = 17): Graph => ({
  ...{
    name: "g",
    nodes,
    initializers: new Map(),
    inputs: [{ name: "x" }],
    outputs: [{ name: "y" }],
    values: new Map(),
  },
  opsets: new Map([
    ["", opset],
    ["local", 1],
  ]),
  ...{ irVersion: 8, metadata: new Map(), functions },
});
const inline = (graph: Graph) => {
  const result = inlineFunctions(graph);
  verifyGraph(result.graph);
  return { ...result, nodes: printGraph(result.graph).split("\n").slice(2, -2), reason: result.outcomes[0]?.reason };
};

describe("inlineFunctions", () => {
  test("puts the function's nodes in the place of a call, with names of their own", () => {
    const f = local("F", [makeNode("Relu", ["a"], ["t"]), makeNode("Neg", ["t"], ["b"])]);
    const { graph, nodes, reason } = inline(graphOf([call("F", ["x"], ["m"]), call("F", ["m"], ["y"])], [f]));
    expect(nodes).toEqual([
      "call of F/t = Relu(x)",
      "m = Neg(call of F/t)",
      "call of F/t_1 = Relu(m)",
      "y = Neg(call of F/t_1)",
    ]);
    expect(graph.functions).toBeUndefined();
    expect(reason).toBe("the nodes of local::F stand in its place");
  });

  test("fills in what the caller gave, what it left out, and what has no default", () => {
    const attributes = new Map([
      ["alpha", reference("slope")],
      ["gone", reference("nothing")],
    ]);
    const f = local("F", [{ ...makeNode("LeakyRelu", ["a"], ["b"]), attributes }], {
      attributes: ["nothing"],
      defaults: new Map([["slope", float(0.5)]]),
    });
    expect(inline(graphOf([call("F", ["x"], ["y"])], [f])).nodes).toEqual(["y = LeakyRelu(x) {alpha: 0.5}"]);
    const given = call("F", ["x"], ["y"], { slope: float(0.25) });
    expect(inline(graphOf([given], [f])).nodes).toEqual(["y = LeakyRelu(x) {alpha: 0.25}"]);
  });

  test("inlines functions that call functions, and an input that is handed straight back", () => {
    const inner = local("Inner", [makeNode("Abs", ["a"], ["b"])], { outputs: ["b", "a"] });
    const outer = local("Outer", [call("Inner", ["a"], ["p", "q"]), makeNode("Add", ["p", "q"], ["b"])]);
    expect(inline(graphOf([call("Outer", ["x"], ["y"])], [outer, inner])).nodes).toEqual([
      "call of Outer/p = Abs(x)",
      "call of Outer/q = Identity(x)",
      "y = Add(call of Outer/p, call of Outer/q)",
    ]);
  });

  test("renames what bodies capture and what they make, and fills in their references", () => {
    const body: GraphBody = {
      ...{ name: "body", initializers: new Map(), inputs: [], outputs: [{ name: "x" }], values: new Map() },
      nodes: [{ ...makeNode("LeakyRelu", ["a"], ["x"]), attributes: new Map([["alpha", reference("slope")]]) }],
    };
    const branches = {
      then_branch: { kind: "graph", value: body },
      else_branch: { kind: "graph", value: body },
    } as const;
    const f = local("F", [makeNode("If", ["c"], ["b"], branches)], {
      inputs: ["a", "c"],
      defaults: new Map([["slope", float(0.5)]]),
    });
    const { graph } = inline(graphOf([call("F", ["x", "x"], ["y"])], [f]));
    const made = graph.nodes[0]!.attributes.get("then_branch");
    expect(made?.kind === "graph" && made.value.nodes[0]).toMatchObject({ inputs: ["x"], outputs: ["call of F/x"] });
    expect(made?.kind === "graph" && made.value.nodes[0]!.attributes.get("alpha")).toEqual(float(0.5));
  });

  test("inlines calls in the bodies of nodes", () => {
    const body: GraphBody = {
      ...{ name: "body", initializers: new Map(), inputs: [], outputs: [{ name: "z" }], values: new Map() },
      nodes: [call("F", ["x"], ["z"])],
    };
    const branches = {
      then_branch: { kind: "graph", value: body },
      else_branch: { kind: "graph", value: body },
    } as const;
    const f = local("F", [makeNode("Relu", ["a"], ["b"])]);
    const { graph } = inline(graphOf([makeNode("If", ["x"], ["y"], branches)], [f]));
    const made = graph.nodes[0]!.attributes.get("else_branch");
    expect(made?.kind === "graph" && made.value.nodes.map(({ op }) => op)).toEqual(["Relu"]);
    expect(graph.functions).toBeUndefined();
  });

  test("leaves a function alone whose operators may mean something else in the model's opset, with the reason", () => {
    const softmax = local("F", [makeNode("Softmax", ["a"], ["b"])], { opsets: new Map([["", 12]]) });
    const { graph, reason } = inline(graphOf([call("F", ["x"], ["y"])], [softmax]));
    expect(reason).toBe("local::F is written for opset 12, the model for 17: Softmax may differ");
    expect(graph.functions).toHaveLength(1);
    const relu = local("F", [makeNode("Relu", ["a"], ["b"])], { opsets: new Map([["", 12]]) });
    expect(inline(graphOf([call("F", ["x"], ["y"])], [relu])).nodes).toEqual(["y = Relu(x)"]);
  });

  test("takes over imports that only the function has, and leaves one alone that needs another version of them", () => {
    const nodes = [makeNode("Gelu", ["a"], ["b"], {}, { domain: "com.microsoft" })];
    const opsets = new Map([
      ["", 17],
      ["com.microsoft", 1],
    ]);
    const f = local("F", nodes, { opsets });
    expect(inline(graphOf([call("F", ["x"], ["y"])], [f])).graph.opsets.get("com.microsoft")).toBe(1);
    const other = {
      ...graphOf([call("F", ["x"], ["y"])], [f]),
      opsets: new Map([...opsets, ["com.microsoft", 2], ["local", 1]]),
    };
    expect(inline(other).reason).toMatch(/^local::F is written for version 1 of "com.microsoft", the model for 2/);
  });

  test("leaves functions alone that ONNX Runtime would not call", () => {
    const relu = local("Relu", [makeNode("Neg", ["a"], ["b"])], { domain: "", opsets: new Map([["", 17]]) });
    const graph = graphOf([makeNode("Relu", ["x"], ["y"])], [relu]);
    expect(inlineFunctions(graph)).toEqual({ graph, outcomes: [] });
  });

  test("says why functions that call each other without end stay", () => {
    const nodes = [call("F", ["a"], ["b"])];
    const { outcomes } = inlineFunctions(graphOf([call("F", ["x"], ["y"])], [local("F", nodes)]));
    expect(outcomes).toMatchObject([
      { applied: false, reason: "the model's functions call each other more than 100 deep" },
    ]);
  });

  test("tells overloads apart", () => {
    const functions = [
      local("F", [makeNode("Relu", ["a"], ["b"])]),
      local("F", [makeNode("Neg", ["a"], ["b"])], { overload: "2" }),
    ];
    const nodes = [call("F", ["x"], ["m"]), { ...call("F", ["m"], ["y"]), overload: "2" }];
    expect(inline(graphOf(nodes, functions)).nodes).toEqual(["m = Relu(x)", "y = Neg(m)"]);
    expect(inlined(graphOf(nodes, functions)).map(({ node }) => node.op)).toEqual(["Relu", "Neg"]);
  });

  test("keeps the version that a function's nodes were written for, where it is asked for", () => {
    const f = local("F", [makeNode("Conv", ["a", "a"], ["b"], { group: int(1), pads: ints([0, 0]) })], {
      opsets: new Map([["", 11]]),
    });
    expect(inlined(graphOf([call("F", ["x"], ["y"])], [f])).map(({ opset }) => opset)).toEqual([11]);
  });
});
