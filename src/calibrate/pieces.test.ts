// A network run piece by piece gives what it gives at once, with skip connections, whatever the pieces hold.
import { describe, expect, test } from "vitest";
import { float32Tensor, ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { Engine } from "./engine.js";
import { ortEngine } from "./ort-engine.js";
import { openPieces, type Stop } from "./pieces.js";
import { openTap, typesOf } from "./segment.js";
import { torchEngine } from "./torch-engine.js";

const random = new Random("pieces");
const weight = (...dims: number[]) =>
  float32Tensor(
    dims,
    Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, () => random.normal() / 4),
  );
const conv = (input: string, name: string, output: string) =>
  makeNode("Conv", [input, name], [output], { pads: ints([1, 1, 1, 1]) });

/** Two skips over each other: what is read later was made long before. */
const graph: Graph = {
  name: "skips",
  nodes: [
    conv("x", "a", "p"),
    makeNode("Relu", ["p"], ["r"]),
    conv("r", "b", "q"),
    makeNode("Concat", ["q", "r"], ["s"], { axis: { kind: "int", value: 1n } }),
    conv("s", "c", "t"),
    makeNode("Add", ["t", "p"], ["u"]),
    conv("u", "d", "y"),
  ],
  initializers: new Map([
    ["a", weight(4, 3, 3, 3)],
    ["b", weight(4, 4, 3, 3)],
    ["c", weight(4, 8, 3, 3)],
    ["d", weight(2, 4, 3, 3)],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 6, 5] } }],
  outputs: [{ name: "y", tensor: { type: "float32" } }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};
const stops: readonly Stop[] = graph.nodes
  .filter(({ op }) => op === "Conv")
  .map((node) => ({ node, value: node.inputs[0]!, bytes: 100 }));
const fed = {
  x: float32Tensor(
    [2, 3, 6, 5],
    Float32Array.from({ length: 180 }, () => random.normal()),
  ),
};

describe("a network in pieces", () => {
  const engines: readonly Engine[] = [torchEngine(), ortEngine()];
  for (const engine of engines) {
    test(`gives what it gives at once, by ${engine.name}`, async () => {
      const names = stops.map(({ value }) => value);
      const types = typesOf(graph);
      const tap = await openTap(engine, graph, new Set(), names, types);
      const expected = await tap.run(fed, {});
      await tap.close();
      for (const most of [1, 150, 1e9]) {
        const pieces = await openPieces(engine, graph, stops, types, most);
        const seen: string[] = [];
        const runs: number[] = [];
        await pieces.run(fed, (values, own) => {
          runs.push(own.length);
          for (const { value } of own) {
            seen.push(value);
            const [made, wanted] = [floats(values[value]!), floats(expected[value]!)];
            expect(Math.max(...made.map((one, i) => Math.abs(one - wanted[i]!)))).toBeLessThan(1e-5);
          }
        });
        await pieces.close();
        expect(seen).toEqual(names);
        expect(runs.length).toBe(most === 1e9 ? 1 : 4);
      }
    });
  }
});
