import { describe, expect, it } from "vitest";
import { smallGraph } from "../../../test/small-graphs.js";
import { float32Tensor, makeNode } from "../../graph/attributes.js";
import type { Dim, Graph } from "../../graph/types.js";
import { freeSizes } from "./free-sizes.js";

const inputs = (named: Readonly<Record<string, readonly Dim[] | undefined>>): Graph =>
  smallGraph({
    nodes: [makeNode("Identity", [Object.keys(named)[0]!], ["y"])],
    initializers: {},
    inputs: Object.entries(named).map(([name, dims]) => ({ name, tensor: { type: "float32", ...(dims && { dims }) } })),
    outputs: ["y"],
  });

const solved = (graph: Graph, stated: Readonly<Record<string, readonly Dim[]>>) => {
  const { dims, symbols } = freeSizes(graph, new Map(Object.entries(stated)));
  return { ...Object.fromEntries(dims), symbols };
};

describe("freeSizes", () => {
  it("gives a symbol one number in every input", () => {
    const graph = inputs({ x: ["batch", 8, "time"], h0: [1, "batch", 16] });
    expect(solved(graph, {})).toEqual({ x: ["batch", 8, "time"], h0: [1, "batch", 16], symbols: ["batch", "time"] });
    expect(solved(graph, { h0: [1, 3, 16] })).toEqual({ x: [3, 8, "time"], h0: [1, 3, 16], symbols: ["time"] });
  });

  it("solves expressions, whichever side is stated", () => {
    const graph = inputs({ low: [1, 3, "H", "W"], high: [1, 3, "2*H", "2*W"], tail: [1, "floor((H + 1)/2)"] });
    expect(solved(graph, { low: [1, 3, 5, 6] })).toEqual({
      low: [1, 3, 5, 6],
      high: [1, 3, 10, 12],
      tail: [1, 3],
      symbols: [],
    });
    expect(solved(graph, { high: [1, 3, 10, 12] })).toMatchObject({ low: [1, 3, 5, 6], tail: [1, 3] });
    expect(() => solved(graph, { high: [1, 3, 9, 12] })).toThrow(/a size that 2\*H can be, got 9/);
    expect(() => solved(graph, { low: [1, 3, 5, 6], high: [1, 3, 10, 14] })).toThrow(
      /2\*W = 12 by the size of low, got 14/,
    );
  });

  it("refuses two numbers for one symbol, across inputs and within one", () => {
    const graph = inputs({ a: ["batch", 4], b: ["batch", 5] });
    expect(() => solved(graph, { a: [1, 4], b: [2, 5] })).toThrow(
      /"batch" stands for one number.*batch = 1 by the size of a, got 2/,
    );
    const square = inputs({ x: [1, 3, "S", "S"] });
    expect(solved(square, { x: [1, 3, 32, 32] }).symbols).toEqual([]);
    expect(() => solved(square, { x: [1, 3, 32, 64] })).toThrow(/"S" stands for one number/);
  });

  it("takes what exporters call every unknown size for no symbol", () => {
    const open = ["free_0", "free_1", "free_2"] as const;
    expect(solved(inputs({ x: ["None", 3, "None", -1] }), {})).toEqual({
      x: [open[0], 3, open[1], open[2]],
      symbols: open,
    });
    expect(solved(inputs({ x: ["None", 3, "None", -1] }), { x: [1, 3, 8, 9] })).toEqual({
      x: [1, 3, 8, 9],
      symbols: [],
    });
  });

  it("leaves open what null leaves open, and gives unnamed axes names that the file does not have", () => {
    expect(solved(inputs({ x: ["free_0", null, 3] }), { x: [null, 7, 3] })).toEqual({
      x: ["free_0", 7, 3],
      symbols: ["free_0"],
    });
    expect(solved(inputs({ x: ["free_0", null, 3] }), {}).symbols).toEqual(["free_0", "free_1"]);
  });

  it("tells inputs of unknown rank, until they are stated", () => {
    const graph = inputs({ x: undefined, y: [1, 2] });
    expect(freeSizes(graph).unknownRank.map(({ name }) => name)).toEqual(["x"]);
    expect(freeSizes(graph, new Map([["x", [1, 3, 32, 32]]]))).toMatchObject({ unknownRank: [], symbols: [] });
  });

  it("asks for no initializer that is listed as an input", () => {
    const graph = {
      ...inputs({ x: [1, 2], w: ["K"] }),
      initializers: new Map([["w", float32Tensor([2], new Float32Array(2))]]),
    };
    expect([...freeSizes(graph).dims.keys()]).toEqual(["x"]);
    expect(() => solved(graph, { w: [2] })).toThrow(/no such input/);
  });

  it("keeps a rank of 0 and refuses another rank or a fixed size that differs", () => {
    expect(solved(inputs({ x: [] }), {})).toEqual({ x: [], symbols: [] });
    expect(() => solved(inputs({ x: [1, "N"] }), { x: [1] })).toThrow(/does not fit the input/);
    expect(() => solved(inputs({ x: [1, "N"] }), { x: [2, 5] })).toThrow(/does not fit the input/);
  });
});
