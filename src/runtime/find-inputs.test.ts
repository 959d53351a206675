import { describe, expect, it } from "vitest";
import { multiplesOf, randomTensor, smallGraph } from "../../test/small-graphs.js";
import { int, ints, makeNode } from "../graph/attributes.js";
import type { DataType, Dim, Graph, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { findInputs } from "./find-inputs.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import type { Session } from "./session.js";

type Inputs = Readonly<Record<string, readonly [DataType, readonly Dim[] | undefined]>>;

const graphOf = (
  inputs: Inputs,
  nodes: readonly Node[],
  initializers: Readonly<Record<string, TensorData>> = {},
): Graph =>
  smallGraph({
    nodes,
    initializers,
    inputs: Object.entries(inputs).map(([name, [type, dims]]) => ({ name, tensor: { type, ...(dims && { dims }) } })),
    outputs: ["y"],
  });

/** Runs at what was found, and gives the shapes as text. */
async function runs(graph: Graph, options: Parameters<typeof findInputs>[1] = {}) {
  const found = await findInputs(graph, options);
  const session = await openSession(graph, { threads: 1 });
  await session.run(sampleFeeds(session.inputs, found));
  await session.release();
  return Object.fromEntries([...found.shapes].map(([name, dims]) => [name, dims.join("x")]));
}

describe("findInputs", () => {
  it("finds by trying what shapes do not tell: multiples of 32, 64, 96", async () => {
    expect(await runs(multiplesOf(32))).toEqual({ x: "1x3x224x224" });
    const found = await findInputs(multiplesOf(64));
    expect(found.chosen).toEqual([{ input: "x", dims: [1, 3, 64, 64], why: "free in the model, 1x3x224x224 refused" }]);
    expect(await runs(multiplesOf(96))).toEqual({ x: "1x3x192x192" });
  });

  it("finds equal sizes for two inputs that must be equal without sharing a symbol", async () => {
    const nodes = [
      makeNode("ReduceMean", ["b"], ["m"], { axes: ints([1]), keepdims: int(0) }),
      makeNode("Reshape", ["m", "like"], ["c"]), // of a shape that is not known before running
      makeNode("Add", ["a", "c"], ["y"]),
    ];
    const graph = graphOf({ a: ["float32", ["N", "T"]], b: ["float32", ["M", 80, "U"]], like: ["int64", [2]] }, nodes);
    const like = tensorOf("int64", [2], [1, -1]);
    const { a, b } = await runs(graph, { values: new Map([["like", like]]) });
    expect(b!.split("x")[2]).toBe(a!.split("x")[1]);
  });

  it("tries what is stated, and says what would run instead", async () => {
    const stated = (side: number) => findInputs(multiplesOf(64), { shapes: new Map([["x", [1, 3, side, side]]]) });
    expect((await stated(128)).guessed).toBe(false);
    await expect(stated(100)).rejects.toMatchObject({
      code: "shape-mismatch",
      message: expect.stringMatching(/does not run the model at x=1x3x100x100: state sizes with --input/),
      cures: ["state other sizes of its inputs, as --input x=1x3x64x64"],
    });
  });

  it("asks for the shape of an input of unknown rank before anything is opened", async () => {
    const graph = graphOf({ x: ["float32", undefined] }, [makeNode("Conv", ["x", "w"], ["y"])], {
      w: randomTensor([4, 3, 3, 3], 1),
    });
    await expect(findInputs(graph)).rejects.toMatchObject({
      message: expect.stringMatching(/--input/),
      cures: ["state its shape, as --input x=1x3x224x224"],
    });
    expect(await runs(graph, { shapes: new Map([["x", [1, 3, 8, 8]]]) })).toEqual({ x: "1x3x8x8" });
  });

  it("gives scalars, flags and inputs that nothing reads something valid", async () => {
    const nodes = [makeNode("Where", ["flag", "x", "scale"], ["z"]), makeNode("Gather", ["z", "which"], ["y"])];
    const inputs: Inputs = {
      x: ["float32", ["N", "T"]],
      flag: ["bool", []],
      scale: ["float32", []],
      which: ["int64", ["M"]],
      unused: ["int32", ["K", "L"]],
    };
    const found = await findInputs(graphOf(inputs, nodes));
    expect(found.assumed).toEqual([
      { input: "flag", value: "false" },
      { input: "which", value: "0 or 1" },
      { input: "unused", value: "0 or 1" },
    ]);
    const feeds = sampleFeeds([{ name: "flag", type: "bool", dims: [] }], found);
    expect([...feeds.flag!.data]).toEqual([0]);
  });

  it("finds one number for integers where drawn ones are refused", async () => {
    const nodes = [makeNode("Reshape", ["x", "to"], ["y"], { allowzero: int(1) })];
    const graph = graphOf({ x: ["float32", [1, 1]], to: ["int64", [6]] }, nodes);
    const found = await findInputs(graph);
    expect(found.assumed).toEqual([{ input: "to", value: "1" }]);
    expect(found.values.get("to")).toEqual(tensorOf("int64", [6], [1, 1, 1, 1, 1, 1]));
  });

  it("names --value where only other numbers would do, and takes what is stated", async () => {
    const graph = graphOf({ x: ["float32", [1, 12]], to: ["int64", [2]] }, [
      makeNode("Reshape", ["x", "to"], ["y"], { allowzero: int(1) }),
    ]);
    await expect(findInputs(graph)).rejects.toMatchObject({
      code: "runtime",
      message: expect.stringMatching(/state values with --value/),
      cures: ["state the values of its inputs, as --value to=1"],
    });
    expect(await runs(graph, { values: new Map([["to", tensorOf("int64", [2], [3, 4])]]) })).toEqual({
      x: "1x12",
      to: "2",
    });
  });

  it("runs as seldom as it can: never where the file fixes all, once where the first sizes do", async () => {
    const counting = (graph: Graph) => {
      let count = 0;
      const session: Pick<Session, "inputs" | "run"> = {
        inputs: graph.inputs.map(({ name, tensor }) => ({ name, type: tensor!.type, dims: tensor!.dims! })),
        run: async () => {
          count++;
          return {};
        },
      };
      return findInputs(graph, { session }).then(() => count);
    };
    const identity = [makeNode("Identity", ["x"], ["y"])];
    expect(await counting(graphOf({ x: ["float32", [1, 3, 8, 8]] }, identity))).toBe(0);
    expect(await counting(graphOf({ x: ["float32", ["N", 3, "H", "W"]] }, identity))).toBe(1);
  });

  it("stops after its budget of time, and when it is told to", async () => {
    let clock = 0;
    const graph = multiplesOf(96);
    const opened = await openSession(graph, { threads: 1 });
    const slow: Pick<Session, "inputs" | "run"> = {
      inputs: opened.inputs,
      run(feeds) {
        clock += 600;
        return opened.run(feeds);
      },
    };
    await expect(findInputs(graph, { session: slow, budget: 1000, now: () => clock })).rejects.toThrow(
      /at none of the sizes tried: state sizes with --input/,
    );
    expect(clock).toBe(1200);
    await expect(findInputs(graph, { session: slow, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "interrupted",
    });
    await opened.release();
  });
});
