import { describe, expect, it } from "vitest";
import { smallGraph } from "../../test/small-graphs.js";
import { float32Tensor, makeNode } from "../graph/attributes.js";
import type { DataType, Dim, Graph } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { readInputShapes } from "./input-shapes.js";
import { readInputValues, readStatedInputs } from "./input-values.js";
import { inputLines } from "./model-inputs.js";

const graphOf = (inputs: Readonly<Record<string, readonly [DataType, (readonly Dim[])?]>>): Graph =>
  smallGraph({
    nodes: [makeNode("Identity", [Object.keys(inputs)[0]!], ["y"])],
    initializers: {},
    inputs: Object.entries(inputs).map(([name, [type, dims]]) => ({ name, tensor: { type, ...(dims && { dims }) } })),
    outputs: ["y"],
  });

const model = graphOf({
  x: ["float32", ["batch", "T"]],
  sr: ["int64", []],
  pair: ["int32", [1, 2]],
  lengths: ["int64", ["batch"]],
  flag: ["bool", [1]],
  level: ["float16", [1]],
  byte: ["uint8", []],
  big: ["int64", [1]],
  any: ["float32"],
  word: ["string", [1]],
  "odd=name": ["int64", [1]],
});

const read = (...texts: string[]) =>
  Object.fromEntries(
    [...readInputValues(model, texts, new Map())].map(([name, tensor]) => [
      name,
      [tensor.type, tensor.dims, [...numbers(tensor)]],
    ]),
  );

describe("--value", () => {
  it("reads scalars and lists in the shape that the model gives", () => {
    expect(read("sr=16000", "pair=3,-4", "flag=true", "level=0.5", "byte=255", "odd=name=7")).toEqual({
      sr: ["int64", [], [16000]],
      pair: ["int32", [1, 2], [3, -4]],
      flag: ["bool", [1], [1]],
      level: ["float16", [1], [0.5]],
      byte: ["uint8", [], [255]],
      "odd=name": ["int64", [1], [7]],
    });
    expect(read("any=1.5")).toEqual({ any: ["float32", [], [1.5]] });
    expect(read("any=1.5,2")).toEqual({ any: ["float32", [2], [1.5, 2]] });
  });

  it("keeps every digit of 64-bit integers", () => {
    const [tensor] = readInputValues(model, ["big=9223372036854775807"], new Map()).values();
    expect(new BigInt64Array(Uint8Array.from(tensor!.data).buffer)[0]).toBe(9223372036854775807n);
  });

  it("lets the count of numbers decide an axis that is free, and --input where that is not enough", () => {
    expect(read("lengths=5,6,7")).toEqual({ lengths: ["int64", [3], [5, 6, 7]] });
    expect(read("x=1,2,3")).toEqual({ x: ["float32", [1, 3], [1, 2, 3]] });
    const values = readInputValues(model, ["x=1,2,3,4"], new Map([["x", [2, 2]]]));
    expect(values.get("x")!.dims).toEqual([2, 2]);
    const options: Readonly<Record<string, readonly string[]>> = { input: ["x=2x9"], value: ["lengths=9,8"] };
    expect(readStatedInputs(model, (option) => options[option] ?? [])).toMatchObject({
      shapes: new Map([["x", [2, 9]]]),
    });
  });

  const refused = (text: string, code: string, message: RegExp) =>
    it(`refuses ${text}`, () => {
      expect(() => read(text)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    });
  refused("rate=16000", "usage", /must name one of the model's inputs.*sr=V or pair=V/);
  refused("16000", "usage", /must name one/);
  refused("sr=", "usage", /no number/);
  refused("sr=1.5", "usage", /int64: a whole number/);
  refused("sr=fast", "usage", /no number/);
  refused("byte=256", "usage", /uint8: a whole number from 0 to 255/);
  refused("byte=-1", "usage", /from 0 to 255/);
  refused("pair=2147483648,0", "usage", /int32/);
  refused("big=9223372036854775808", "usage", /int64/);
  refused("flag=2", "usage", /true or false/);
  refused("level=70000", "usage", /float16: a number of at most 65504/);
  refused("level=NaN", "usage", /float16/);
  refused("sr=1,2", "shape-mismatch", /another count.*expected 1 for \[\], got 2/);
  refused("pair=1", "shape-mismatch", /expected 2 for \[1, 2\], got 1/);
  refused("word=a", "unsupported", /type string/);

  it("refuses two values for one input, and a count that gives one symbol two sizes", () => {
    expect(() => read("sr=1", "sr=2")).toThrow(/two values/);
    expect(() => readInputValues(model, ["lengths=1,2,3"], new Map([["x", [2, 9]]]))).toThrow(/another count/);
  });

  it("does not take an initializer for an input", () => {
    const graph = {
      ...graphOf({ x: ["float32", [1]], w: ["float32", [1]] }),
      initializers: new Map([["w", float32Tensor([1], new Float32Array(1))]]),
    };
    expect(() => readInputValues(graph, ["w=1"], new Map())).toThrow(/expected x=V/);
  });
});

describe("--input", () => {
  it("gives a symbol one size, over all inputs", () => {
    const graph = graphOf({ a: ["float32", ["n", 3]], b: ["float32", [1, "n"]] });
    expect(readInputShapes(graph, ["a=2x3", "b=1x2"]).size).toBe(2);
    expect(() => readInputShapes(graph, ["a=2x3", "b=1x4"])).toThrow(
      /"n" stands for one number.*by the size of a, got 4/,
    );
    expect(() => readInputShapes(graph, ["a=2x3", "a=4x3"])).toThrow(/two shapes/);
    expect(readInputShapes(graph, ["a=2x3", "a=2x3"]).size).toBe(1);
  });

  it("states inputs of unknown rank, and axes that the file calls -1", () => {
    expect(readInputShapes(graphOf({ x: ["float32"] }), ["x=1x3x32x32"]).get("x")).toEqual([1, 3, 32, 32]);
    expect(readInputShapes(graphOf({ x: ["float32", [-1, 3]] }), ["5x3"]).get("x")).toEqual([5, 3]);
  });
});

it("tells what was chosen in a line", () => {
  const chosen = [{ input: "x", dims: [1, 3, 224, 224], why: "free in the model" }];
  expect(inputLines({ chosen, assumed: [] })).toEqual([
    "sizes: x = 1x3x224x224 (free in the model; state others with --input)",
  ]);
  expect(inputLines({ chosen: [], assumed: [{ input: "sr", value: "0 or 1" }] })).toEqual([
    "values: sr = 0 or 1 (state others with --value)",
  ]);
  expect(inputLines({ chosen: [], assumed: [] })).toEqual([]);
});
