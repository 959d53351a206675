import { describe, expect, test } from "vitest";
import { float, int, ints, makeNode } from "../graph/attributes.js";
import type { Graph, Node } from "../graph/types.js";
import { ints as intsOf } from "../graph/values.js";
import { raiseOpset } from "./raise-opset.js";

const graphOf = (nodes: readonly Node[], opset: number): Graph => ({
  name: "g",
  nodes,
  initializers: new Map(),
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 2, 4, 4] } }],
  outputs: [{ name: nodes.at(-1)!.outputs[0]! }],
  values: new Map(),
  opsets: new Map([["", opset]]),
  irVersion: 3,
  metadata: new Map(),
});

describe("raising a model to opset 13", () => {
  test("attributes that became inputs are stored, and everything else stays", () => {
    const nodes = [
      makeNode("Relu", ["x"], ["a"]),
      makeNode("Clip", ["a"], ["b"], { min: float(0), max: float(6) }),
      makeNode("Slice", ["b"], ["c"], { starts: ints([0]), ends: ints([2n ** 63n - 1n]), axes: ints([1]) }),
      makeNode("Unsqueeze", ["c"], ["y"], { axes: ints([0]) }),
    ];
    const { graph, outcomes } = raiseOpset(graphOf(nodes, 9));
    expect(outcomes).toEqual([{ pass: "raise-opset", layer: "model", applied: true, reason: "opset 9 became 13" }]);
    expect(graph.opsets.get("")).toBe(13);
    expect(graph.irVersion).toBe(7);
    expect(graph.nodes.map(({ op, inputs, attributes }) => [op, inputs.length, attributes.size])).toEqual([
      ["Relu", 1, 0],
      ["Clip", 3, 0],
      ["Slice", 4, 0],
      ["Unsqueeze", 2, 0],
    ]);
    expect(intsOf(graph.initializers.get(graph.nodes[2]!.inputs[2]!)!)[0]).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("a Softmax over several axes keeps the model where it is, with the reason", () => {
    const before = graphOf([makeNode("Softmax", ["x"], ["y"], { axis: int(1) })], 11);
    const { graph, outcomes } = raiseOpset(before);
    expect(graph).toBe(before);
    expect(outcomes).toMatchObject([
      { layer: "y", applied: false, reason: "Softmax of opset 11: it goes over several axes at once" },
    ]);
    expect(raiseOpset(graphOf([makeNode("Softmax", ["x"], ["y"], { axis: int(3) })], 11)).graph.opsets.get("")).toBe(
      13,
    );
  });

  test("a model of opset 13 or later is the very same", () => {
    const before = graphOf([makeNode("Relu", ["x"], ["y"])], 17);
    expect(raiseOpset(before)).toEqual({ graph: before, outcomes: [] });
  });
});
