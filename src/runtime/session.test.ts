// Sessions in both runtimes, verification against a reference, and alternated timing, on models made here.
import { describe, expect, test } from "vitest";
import { writeModel } from "../formats/onnx/index.js";
import { elements, float32Tensor, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { compareOutputs } from "./compare.js";
import { alternate, median } from "./latency.js";
import { openSession } from "./open.js";
import { sampleFeeds, sampleShape } from "./samples.js";
import type { RuntimeName } from "./session.js";
import { referenceOf, verifyModel } from "./verify.js";

/** y = x * factor, for any [N, 2]. */
function scaling(factor: number): Graph {
  const tensor = { type: "float32", dims: ["N", 2] } as const;
  return {
    name: "scaling",
    nodes: [makeNode("Mul", ["x", "factor"], ["y"])],
    initializers: new Map([["factor", float32Tensor([1], Float32Array.of(factor))]]),
    inputs: [{ name: "x", tensor }],
    outputs: [{ name: "y", tensor }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

describe.each(["node", "web"] as const)("onnxruntime-%s", (runtime: RuntimeName) => {
  test("runs a graph and tells its ports", async () => {
    const session = await openSession(scaling(3), { runtime, threads: 1 });
    expect(session.inputs).toEqual([{ name: "x", type: "float32", dims: ["N", 2] }]);
    const { y } = await session.run({ x: float32Tensor([2, 2], Float32Array.of(1, 2, 3, 4)) });
    expect(y!.dims).toEqual([2, 2]);
    expect([...floats(y!)]).toEqual([3, 6, 9, 12]);
    await session.release();
    await expect(session.run({})).rejects.toMatchObject({ code: "usage" });
  });

  test("inputs that are missing, unknown or of a wrong shape are typed errors", async () => {
    const session = await openSession(scaling(3), { runtime, threads: 1 });
    const two = float32Tensor([1, 2], Float32Array.of(1, 2));
    await expect(session.run({})).rejects.toMatchObject({ code: "usage", expected: "x" });
    await expect(session.run({ x: two, z: two })).rejects.toMatchObject({ code: "usage" });
    await expect(session.run({ x: float32Tensor([2, 1], Float32Array.of(1, 2)) })).rejects.toMatchObject({
      code: "runtime",
    });
    await session.release();
  });

  test("a model that computes something else is not verified", async () => {
    const feeds = [sampleFeeds([{ name: "x", type: "float32", dims: ["N", 2] }], { batch: 3, range: [-1, 1] })];
    const references = await referenceOf(scaling(3), feeds, { runtime, threads: 1 });
    const same = await verifyModel(writeModel(scaling(3)), references, 1e-6, { runtime, threads: 1 });
    expect(same.maxDifference).toBeLessThanOrEqual(1e-6);
    await expect(verifyModel(scaling(3.01), references, 1e-4, { runtime, threads: 1 })).rejects.toMatchObject({
      code: "verification-failed",
      place: { tensor: "y" },
    });
  });
});

test("bytes that are no model never reach the native code", async () => {
  await expect(openSession(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "malformed" });
  await expect(openSession("/no/such/model.onnx")).rejects.toMatchObject({ code: "not-found" });
});

test("an operator that ONNX Runtime has not is a typed error that names it and its domain", async () => {
  const graph = scaling(1);
  const odd = {
    ...graph,
    nodes: [makeNode("NoSuchOperator", ["x"], ["y"], {}, { domain: "elsewhere" })],
    opsets: new Map([...graph.opsets, ["elsewhere", 1]]),
  };
  await expect(openSession(odd)).rejects.toMatchObject({
    code: "unsupported",
    problem: "ONNX Runtime has no operator NoSuchOperator of domain elsewhere",
    place: { op: "NoSuchOperator" },
  });
});

describe("compareOutputs", () => {
  const of = (...values: number[]) => ({ y: float32Tensor([values.length], Float32Array.from(values)) });

  test("measures against the largest value of the reference", () => {
    expect(compareOutputs(of(1, 2, 3.5), of(1, 2, 4))).toEqual({ relative: 0.125, absolute: 0.5, output: "y" });
    expect(compareOutputs(of(0, 0), of(0, 0)).relative).toBe(0);
  });

  test("refuses NaN on one side, other shapes and missing outputs", () => {
    expect(() => compareOutputs(of(1, Number.NaN), of(1, 2))).toThrow(/not finite/);
    expect(() => compareOutputs(of(1), of(1, 2))).toThrow(/another shape/);
    expect(() => compareOutputs({}, of(1))).toThrow(/missing/);
    expect(compareOutputs(of(1, Number.NaN), of(1, Number.NaN)).relative).toBe(0);
  });
});

test("samples keep fixed sizes, fill free ones, and obey given shapes", () => {
  const port = { name: "x", type: "float32", dims: ["N", 3, null, 32] } as const;
  expect(sampleShape(port, { batch: 2, side: 20 })).toEqual([2, 3, 20, 32]);
  expect(sampleShape(port, { shapes: new Map([["x", [1, 3, 8, 32]]]) })).toEqual([1, 3, 8, 32]);
  expect(() => sampleShape(port, { shapes: new Map([["x", [1, 4, 8, 32]]]) })).toThrow(/does not fit/);
  const feeds = sampleFeeds([port], { seed: 4, range: [5, 6] });
  const values = floats(feeds.x!);
  expect(values.length).toBe(elements(feeds.x!.dims));
  expect(values.every((value) => value >= 5 && value <= 6)).toBe(true);
  expect(sampleFeeds([port], { seed: 4, range: [5, 6] })).toEqual(feeds);
});

test("samples have the usual sizes by themselves, none that shapes leave open, and the values that are given", () => {
  const port = { name: "x", type: "float32", dims: ["batch", 3, null, null] } as const;
  expect(sampleShape(port)).toEqual([1, 3, 224, 224]);
  expect(() => sampleShape(port, { shapes: new Map() })).toThrow(/free size/);
  expect(sampleShape({ name: "x", type: "float32", dims: [] }, { shapes: new Map([["x", [2, 3]]]) })).toEqual([2, 3]); // unknown rank
  const rate = tensorOf("int64", [], [16000]);
  const flags = { name: "flags", type: "bool", dims: [5] } as const;
  const words = { name: "words", type: "string", dims: [2] } as const;
  const feeds = sampleFeeds([{ name: "sr", type: "int64", dims: [] }, flags, words], {
    values: new Map([["sr", rate]]),
  });
  expect(feeds.sr).toBe(rate);
  expect([...feeds.flags!.data]).toEqual([0, 0, 0, 0, 0]);
  expect(feeds.words!.strings).toHaveLength(2);
});

describe("alternate", () => {
  test("runs the candidates in turns and gives their medians", async () => {
    const turns: string[] = [];
    let clock = 0;
    const candidate = (name: string, takes: number) => async () => {
      turns.push(name);
      clock += takes;
    };
    const { medians, samples } = await alternate([candidate("a", 2), candidate("b", 3)], {
      rounds: 4,
      warmup: 1,
      settle: 0,
      burst: 0,
      now: () => clock,
    });
    expect(medians).toEqual([2, 3]);
    expect(samples.map(({ length }) => length)).toEqual([4, 4]);
    expect(turns.join("")).toBe("ab" + "aabb" + "baa" + "abb" + "baa");
  });

  test("a turn runs untimed until others' threads sleep, and gives the mean of a burst", async () => {
    let clock = 0;
    let turn = { name: "", since: 0 };
    // Slow as long as the threads of another session spin on.
    const candidate = (name: string, takes: number) => async () => {
      if (turn.name !== name) turn = { name, since: clock };
      clock += clock - turn.since < 20 ? 3 * takes : takes;
    };
    const options = { rounds: 2, warmup: 0, settle: 30, burst: 5, now: () => clock };
    expect((await alternate([candidate("a", 1), candidate("b", 2)], options)).samples).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test("stops at its budget, after five rounds at least", async () => {
    let clock = 0;
    const slow = async () => {
      clock += 100;
    };
    expect((await alternate([slow], { rounds: 50, budget: 10, now: () => clock })).samples[0]).toHaveLength(5);
    expect((await alternate([slow], { rounds: 50, budget: 800, now: () => clock })).samples[0]).toHaveLength(8);
  });

  test("the median of an even count is the mean of the middle two", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([5, 1, 3])).toBe(3);
  });
});
