// Nodes out of order: what moves, what stays, and what cannot be ordered.
import { describe, expect, test } from "vitest";
import { makeNode } from "./attributes.js";
import { orderGraph, orderNodes } from "./order.js";
import type { Attribute, Graph, GraphBody, LocalFunction, Node } from "./types.js";

const node = (
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Record<string, Attribute> = {},
): Node => makeNode(op, inputs, [output], attributes, { name: output });
const order = (nodes: readonly Node[]): string =>
  orderNodes(nodes)
    .nodes.map(({ name }) => name)
    .join(" ");
const body = (nodes: readonly Node[], output: string): GraphBody => ({
  name: "body",
  nodes,
  initializers: new Map(),
  inputs: [],
  outputs: [{ name: output }],
  values: new Map(),
});
const branch = (inner: GraphBody): Record<string, Attribute> => ({ then_branch: { kind: "graph", value: inner } });
const graph = (nodes: readonly Node[], functions?: readonly LocalFunction[]): Graph => ({
  ...body(nodes, "y"),
  inputs: [{ name: "x" }],
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
  ...(functions && { functions }),
});

describe("orderNodes", () => {
  test("hands back the very same list where it is in order", () => {
    const nodes = [node("Relu", ["x"], "a"), node("Relu", ["a"], "b")];
    expect(orderNodes(nodes)).toEqual({ nodes, moved: [] });
    expect(orderNodes(nodes).nodes).toBe(nodes);
  });

  test("moves what is made too late up to its first reader, and leaves everything else where it was", () => {
    const nodes = [
      node("A", ["x"], "a"),
      node("B", ["a", "late"], "b"),
      node("C", ["x"], "c"),
      node("D", ["x"], "late"),
    ];
    expect(order(nodes)).toBe("a late b c");
    expect(orderNodes(nodes).moved.map(({ name }) => name)).toEqual(["late"]);
  });

  test("moves a chain up in its own order", () => {
    expect(order([node("C", ["b"], "c"), node("B", ["a"], "b"), node("A", ["x"], "a")])).toBe("a b c");
  });

  test("names the nodes of a circle and leaves them as they are", () => {
    const nodes = [node("A", ["c"], "a"), node("B", ["a"], "b"), node("C", ["b"], "c"), node("D", ["x"], "d")];
    expect(orderNodes(nodes)).toEqual({ nodes, moved: [], cycle: ["a", "b", "c", "a"] });
    expect(orderNodes([node("A", ["a"], "a")]).cycle).toEqual(["a", "a"]);
  });

  test("counts what a body captures as read", () => {
    const reader = node("If", ["x"], "if", branch(body([node("Relu", ["late"], "inner")], "inner")));
    expect(order([reader, node("Relu", ["x"], "late")])).toBe("late if");
  });

  test("orders a hundred thousand nodes given backwards", { timeout: 5000 }, () => {
    const count = 100_000;
    const nodes = Array.from({ length: count }, (_, at) => node("Relu", [at === 0 ? "x" : `v${at - 1}`], `v${at}`));
    expect(orderNodes(nodes.toReversed()).nodes).toEqual(nodes);
  });
});

describe("orderGraph", () => {
  test("orders bodies and functions too, and says where", () => {
    const unordered = [node("Relu", ["late"], "out"), node("Relu", ["x"], "late")];
    const local: LocalFunction = {
      ...{
        domain: "local",
        name: "f",
        overload: "",
        inputs: ["x"],
        outputs: ["out"],
        attributes: [],
        defaults: new Map(),
      },
      ...{ nodes: unordered, opsets: new Map([["", 17]]) },
    };
    const told: string[] = [];
    const ordered = orderGraph(
      graph([node("If", ["x"], "y", branch(body(unordered, "out")))], [local]),
      (moved, where) => told.push(`${where}: ${moved.map(({ name }) => name).join(" ")}`),
    );
    expect(told).toEqual(["the body of y: late", "function f: late"]);
    const inner = ordered.nodes[0]!.attributes.get("then_branch");
    expect(inner?.kind === "graph" && inner.value.nodes.map(({ name }) => name)).toEqual(["late", "out"]);
    expect(ordered.functions![0]!.nodes.map(({ name }) => name)).toEqual(["late", "out"]);
  });

  test("orders what a body makes late before it looks at what the body captures", () => {
    const inner = body([node("Relu", ["own"], "out"), node("Relu", ["x"], "own")], "out");
    const nodes = [node("If", ["x"], "if", branch(inner)), node("Relu", ["if"], "own")];
    expect(orderGraph(graph(nodes)).nodes.map(({ name }) => name)).toEqual(["if", "own"]);
  });

  test("hands back the very same graph where all is in order", () => {
    const ordered = graph([node("If", ["x"], "y", branch(body([node("Relu", ["x"], "out")], "out")))]);
    expect(orderGraph(ordered)).toBe(ordered);
  });
});
