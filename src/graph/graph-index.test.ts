import { describe, expect, it } from "vitest";
import { int, int64Tensor, makeNode, tensor } from "./attributes.js";
import { indexOf } from "./graph-index.js";
import type { Graph } from "./types.js";
import { tensorOf } from "./values.js";

const half = tensorOf("float16", [2], [1, 2]);
const one = int64Tensor([1], [1]);
const graph: Graph = {
  name: "g",
  nodes: [
    makeNode("Identity", ["stored"], ["same"]),
    makeNode("Cast", ["same"], ["wide"], { to: int(1) }),
    makeNode("Constant", [], ["made"], { value: tensor(one) }),
    makeNode("Relu", ["x"], ["a"]),
    makeNode("Add", ["a", "wide"], ["y"]),
    makeNode("Neg", ["a"], ["z"]),
    makeNode("Identity", ["loop"], ["loop"]),
  ],
  initializers: new Map([["stored", half]]),
  inputs: [{ name: "x" }],
  outputs: [{ name: "y" }, { name: "wide" }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};

describe("the index of a graph", () => {
  it("is made once for a graph", () => {
    expect(indexOf(graph)).toBe(indexOf(graph));
    expect(indexOf({ ...graph })).not.toBe(indexOf(graph));
  });

  it("finds the constant behind Identity, and behind Cast with the type in which it is read", () => {
    const { constant, stored, root } = indexOf(graph);
    expect(constant("same")).toBe(half);
    expect(constant("made")).toBe(one);
    expect([constant("wide"), constant("a"), constant("")]).toEqual([undefined, undefined, undefined]);
    expect(stored("wide")).toEqual({ root: "stored", tensor: half, type: "float32" });
    expect(stored("same")).toEqual({ root: "stored", tensor: half, type: "float16" });
    expect([stored("a"), root("wide"), root("a")]).toEqual([undefined, "stored", "a"]);
  });

  it("ends at a circle", () => {
    expect([indexOf(graph).constant("loop"), indexOf(graph).stored("loop")]).toEqual([undefined, undefined]);
  });

  it("knows the one reader of a value that is no output", () => {
    const { soleReader } = indexOf(graph);
    expect(soleReader("x")?.op).toBe("Relu");
    expect([soleReader("a"), soleReader("wide"), soleReader("y")]).toEqual([undefined, undefined, undefined]);
  });
});
