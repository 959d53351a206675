import { describe, expect, it } from "vitest";
import { int64Tensor, makeNode } from "./attributes.js";
import {
  captures,
  feeds,
  freshName,
  freshNames,
  renameReads,
  replaceNode,
  withMetadata,
  withoutInitializers,
} from "./edit.js";
import { indexOf } from "./graph-index.js";
import { printGraph } from "./print.js";
import type { Graph, GraphBody } from "./types.js";

const one = int64Tensor([1], [1]);
const body: GraphBody = {
  name: "then",
  nodes: [makeNode("Add", ["a", "inner"], ["out"]), makeNode("Relu", ["out"], ["out2"])],
  initializers: new Map([["inner", one]]),
  inputs: [],
  outputs: [{ name: "out2" }],
  values: new Map(),
};
const graph: Graph = {
  name: "g",
  nodes: [
    makeNode("Relu", ["x"], ["a"]),
    { ...makeNode("If", ["flag"], ["b"]), attributes: new Map([["then_branch", { kind: "graph", value: body }]]) },
    makeNode("Add", ["a", "b"], ["y"], {}, { name: "sum" }),
  ],
  initializers: new Map([
    ["flag", one],
    ["x_1", one],
  ]),
  inputs: [{ name: "x" }, { name: "flag" }],
  outputs: [{ name: "y" }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};

describe("editing graphs", () => {
  it("knows who makes and who reads a value, captures of subgraphs included", () => {
    expect(indexOf(graph).producers.get("b")?.op).toBe("If");
    expect(
      indexOf(graph)
        .consumers.get("a")
        ?.map((node) => node.op),
    ).toEqual(["If", "Add"]);
    expect([...captures(body)]).toEqual(["a"]);
  });

  it("does not count initializers among what is fed", () => {
    expect(feeds(graph).map(({ name }) => name)).toEqual(["x"]);
  });

  it("gives names that are free, also inside subgraphs and among node names", () => {
    expect(freshName(graph, "z")).toBe("z");
    expect(freshName(graph, "x")).toBe("x_2");
    expect(freshName(graph, "inner")).toBe("inner_1");
    expect(freshName(graph, "sum")).toBe("sum_1");
    const fresh = freshNames(graph);
    expect([fresh("z"), fresh("z"), fresh("z")]).toEqual(["z", "z_1", "z_2"]);
  });

  it("replaces a node by others and shares the rest", () => {
    const [relu, , sum] = graph.nodes;
    const changed = replaceNode(
      graph,
      relu!,
      [makeNode("Neg", ["x"], ["n"]), makeNode("Abs", ["n"], ["a"])],
      new Map([["c", one]]),
    );
    expect(changed.nodes.map((node) => node.op)).toEqual(["Neg", "Abs", "If", "Add"]);
    expect(changed.nodes[3]).toBe(sum);
    expect(graph.nodes).toHaveLength(3);
    expect(graph.initializers.has("c")).toBe(false);
    expect(() => replaceNode(changed, relu!, [])).toThrow(/not in the graph/);
  });

  it("renames what is read, inside subgraphs too, and leaves untouched nodes the same objects", () => {
    const changed = renameReads(graph, new Map([["a", "c"]]));
    expect(printGraph(changed)).toContain("out = Add(c, inner)");
    expect(printGraph(changed)).toContain("y = Add(c, b)");
    expect(changed.nodes[0]).toBe(graph.nodes[0]);
    expect(() => renameReads(graph, new Map([["y", "z"]]))).toThrow(/output of the graph/);
  });

  it("removes initializers with their entries among the inputs", () => {
    const changed = withoutInitializers(graph, new Set(["flag"]));
    expect([...changed.initializers.keys()]).toEqual(["x_1"]);
    expect(changed.inputs.map(({ name }) => name)).toEqual(["x"]);
  });

  it("sets and removes metadata", () => {
    const changed = withMetadata(graph, { a: "1", b: "2" });
    expect([...withMetadata(changed, { a: undefined }).metadata]).toEqual([["b", "2"]]);
    expect(graph.metadata.size).toBe(0);
  });
});
