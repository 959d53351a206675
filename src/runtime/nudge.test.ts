// Weights moved by one rounding, in every precision in which weights are stored.
import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { int, ints, makeNode } from "../graph/attributes.js";
import type { DataType, Graph, TensorData } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { compareWithOriginal } from "./agreement.js";
import { nudgedWeights } from "./nudge.js";
import { prepareReference } from "./reference.js";

const pads = ints([1, 1, 1, 1]);

/** The difference of two convolutions whose filters are nearly the same: what rounding does to them is most of it. */
const difference = (type: DataType, first: TensorData, second: TensorData): Graph => ({
  ...smallGraph({
    nodes: [
      makeNode("Conv", ["x", "first"], ["a"], { pads }),
      makeNode("Conv", ["x", "second"], ["b"], { pads }),
      makeNode("Sub", ["a", "b"], ["y"]),
    ],
    initializers: { first, second },
    inputs: [{ name: "x", tensor: { type, dims: [1, 3, 12, 12] } }],
    outputs: [],
  }),
  outputs: [{ name: "y", tensor: { type, dims: [1, 8, 12, 12] } }],
});

const drawn = floats(randomTensor([8, 3, 3, 3], 1));
const filters = (type: DataType, value: (at: number) => number): TensorData =>
  tensorOf(
    type,
    [8, 3, 3, 3],
    drawn.map((one, at) => one * value(at)),
  );
const nearly = (at: number): number => 1 + Math.sin(at) / 48;

test.each(["float32", "float16", "bfloat16"] as const)("every weight of %s becomes a neighbouring number", (type) => {
  const distance = { float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 }[type];
  const graph = difference(
    type,
    filters(type, () => 1),
    filters(type, nearly),
  );
  const moved = nudgedWeights(graph).initializers;
  for (const [name, tensor] of graph.initializers) {
    const [before, after] = [floats(tensor), floats(moved.get(name)!)];
    const size = Math.sqrt(before.reduce((sum, value) => sum + value * value, 0) / before.length);
    for (const [at, value] of before.entries()) {
      expect(after[at]).not.toBe(value);
      expect(Math.abs(after[at]! - value)).toBeLessThan(2 * distance * Math.max(size, Math.abs(value)));
    }
  }
});

test("weights of half precision that are read as wider numbers stay", () => {
  const stored = filters("float16", nearly);
  const graph = smallGraph({
    nodes: [makeNode("Cast", ["stored"], ["W"], { to: int(1) }), makeNode("Conv", ["x", "W"], ["y"], { pads })],
    initializers: { stored },
    inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 12, 12] } }],
    outputs: ["y"],
  });
  expect(nudgedWeights(graph).initializers.get("stored")).toBe(stored);
});

test("a network of half precision that makes much of roundings may have its weights rounded anew", async () => {
  const build = (value: (at: number) => number): Graph =>
    difference(
      "float16",
      filters("float16", () => 1),
      filters("float16", value),
    );
  const reference = await prepareReference(build(nearly), { threads: 1 });
  const agrees = async (graph: Graph) => (await compareWithOriginal(graph, reference, { kind: "exact" })).agrees;
  expect(await agrees(build((at) => nearly(at) * (1 + 2 ** -11 * Math.cos(7 * at))))).toBe(true);
  expect(await agrees(build((at) => 1.02 * nearly(at)))).toBe(false);
});
