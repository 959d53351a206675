import { describe, expect, test } from "vitest";
import { makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { halfWeights, roundedToHalf } from "./half-weights.js";

const graphOf = (count: number): Graph => ({
  name: "g",
  nodes: [makeNode("MatMul", ["x", "w"], ["y"])],
  initializers: new Map([
    [
      "w",
      tensorOf(
        "float32",
        [1, count],
        Float64Array.from({ length: count }, (_, i) => 1 / (i + 3)),
      ),
    ],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 1] } }],
  outputs: [{ name: "y", tensor: { type: "float32" } }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
});

describe("weights in half precision", () => {
  test("a weight becomes float16 behind a Cast", () => {
    const { graph, outcomes } = halfWeights(graphOf(100));
    expect(outcomes).toMatchObject([{ layer: "w", applied: true }]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Cast", "MatMul"]);
    expect(graph.initializers.get("w")?.type).toBe("float16");
  });

  test("a weight that is smaller than its Cast stays as it is, in the rounded graph too", () => {
    const small = graphOf(8);
    const { graph, outcomes } = halfWeights(small);
    expect(graph).toBe(small);
    expect(outcomes).toMatchObject([{ layer: "w", applied: false, reason: expect.stringMatching(/so small/) }]);
    expect(roundedToHalf(small).initializers.get("w")).toEqual(small.initializers.get("w"));
  });
});
