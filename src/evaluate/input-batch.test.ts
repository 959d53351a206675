import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { int, int64Tensor, makeNode } from "../graph/attributes.js";
import type { Dim } from "../graph/types.js";
import { inputBatch } from "./input-batch.js";

const pooled = [makeNode("Conv", ["x", "w"], ["a"]), makeNode("GlobalAveragePool", ["a"], ["p"])];
const w = randomTensor([4, 3, 3, 3], 1);
const port = (name: string, dims: readonly Dim[]) => ({ name, tensor: { type: "float32" as const, dims } });
const shapes = new Map([["x", [1, 3, 8, 8]]]);

const reshaped = (batch: Dim, to: readonly number[]) =>
  smallGraph({
    nodes: [...pooled, makeNode("Reshape", ["p", "to"], ["y"])],
    initializers: { w, to: int64Tensor([2], to) },
    inputs: [port("x", [batch, 3, 8, 8])],
    outputs: ["y"],
  });

test("inputs go in together where the batch is free, and as the file fixes it", () => {
  expect(inputBatch(reshaped("N", [0, 4]), "x", shapes).fixed).toBeUndefined();
  expect(inputBatch(reshaped(1, [0, 4]), "x", shapes).fixed).toBe(1);
  expect(inputBatch(reshaped(8, [0, 4]), "x", shapes).fixed).toBe(8);
});

test("they go in one by one where a free batch is meant for one", () => {
  expect(inputBatch(reshaped("N", [1, 4]), "x", shapes).fixed).toBe(1);
  expect(inputBatch(reshaped("N", [1, -1]), "x", shapes).fixed).toBe(1);
});

test.each([["N"], ["M"], [1]] as const)(
  "another input whose first axis is %s goes along where the shapes ask for it",
  (axis) => {
    const graph = smallGraph({
      nodes: [...pooled, makeNode("Flatten", ["p"], ["f"]), makeNode("Concat", ["f", "s"], ["y"], { axis: int(1) })],
      initializers: { w },
      inputs: [port("x", ["N", 3, 8, 8]), port("s", [axis, 2])],
      outputs: ["y"],
    });
    expect(inputBatch(graph, "x", new Map([...shapes, ["s", [1, 2]]]))).toEqual(
      axis === 1 ? { fixed: 1, along: [] } : { fixed: undefined, along: ["s"] },
    );
  },
);

test("they go in one by one where an output is of all of them together, and an output of none of them does not matter", () => {
  const over = (from: string) =>
    smallGraph({
      nodes: [
        ...pooled,
        makeNode("Flatten", ["p"], ["y"]),
        makeNode("ReduceMean", [from], ["m"], { keepdims: int(0) }),
      ],
      initializers: { w },
      inputs: [port("x", ["N", 3, 8, 8])],
      outputs: ["y", "m"],
    });
  expect(inputBatch(over("p"), "x", shapes).fixed).toBe(1);
  expect(inputBatch(over("w"), "x", shapes).fixed).toBeUndefined();
});
