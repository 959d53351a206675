// What the clock is asked for a layer and its candidates.
import { expect, test } from "vitest";
import { findCalibratedLayers } from "../calibrate/layers.js";
import { float32Tensor, int, ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import type { TimedLayer } from "../methods/latencies.js";
import { chainClock, chainQuestions } from "./chain-times.js";
import { formsInPrecision } from "./planned-precision.js";

const graph: Graph = {
  name: "small",
  nodes: [
    makeNode("Conv", ["x", "w"], ["y"], { pads: ints([1, 1, 1, 1]) }, { name: "conv" }),
    makeNode("Flatten", ["y"], ["flat"]),
    makeNode("Gemm", ["flat", "v"], ["z"], { transB: int(1) }, { name: "last" }),
  ],
  initializers: new Map([
    ["w", float32Tensor([4, 3, 3, 3], new Float32Array(108).fill(0.1))],
    ["v", float32Tensor([10, 64], new Float32Array(640).fill(0.1))],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: [1, 3, 4, 4] } }],
  outputs: [{ name: "z", tensor: { type: "float32" } }],
  values: new Map(),
  opsets: new Map([["", 17]]),
  irVersion: 8,
  metadata: new Map(),
};
const [conv, last] = findCalibratedLayers(graph).layers as [never, never];
const sizes = ({ name }: { readonly name: string }) => [name === "conv" ? [1, 3, 4, 4] : [1, 64]];

test("names fully connected layers by matrices, convolutions by windows", () => {
  const lowRank = { family: "low-rank", ranks: [5] } as const;
  expect(chainQuestions(last, lowRank, sizes, 17)).toEqual([
    {
      ...{ input: [1, 64], shape: [10, 64], attributes: {}, type: "float32", opset: 17 },
      chain: [
        { shape: [5, 64], attributes: {} },
        { shape: [10, 5], attributes: {} },
      ],
    },
  ]);
  const separable = chainQuestions(conv, { family: "separable", ranks: [2] }, sizes, 17);
  expect(separable?.[0]?.chain?.map(({ shape }) => shape)).toEqual([
    [2, 3, 3, 1],
    [4, 2, 1, 3],
  ]);
  expect(chainQuestions(last, lowRank, () => undefined, 17)).toBeUndefined();
});

test("answers for fully connected layers too, so that a plan by time may replace them", () => {
  const clock = chainClock(({ chain }) => (chain === undefined ? 4 : 1), sizes, 17);
  expect(clock.dense(last)).toBe(4);
  expect(clock.exact(last, { family: "low-rank", ranks: [5] })).toBe(1);
});

test("where the precision is free a candidate is as fast as in the faster one, and the original is one in floats", () => {
  const lowRank = { family: "low-rank", ranks: [5] } as const;
  const times = (question: { readonly chain?: unknown; readonly precision?: "int8" }) =>
    question.precision === "int8" ? (question.chain === undefined ? 3 : 2) : question.chain === undefined ? 4 : 1;
  const [auto, eight] = [
    chainClock(times, sizes, 11, { precision: "auto" }),
    chainClock(times, sizes, 11, { precision: "int8" }),
  ];
  const dense = { family: "dense", ranks: [] } as const;
  expect([auto.exact(last, dense), auto.precision(last, dense), auto.dense(last)]).toEqual([3, "int8", 4]);
  expect([auto.exact(last, lowRank), auto.precision(last, lowRank)]).toEqual([1, "fp32"]);
  expect([eight.exact(last, lowRank), eight.precision(last, lowRank)]).toEqual([2, "int8"]);
  // Nothing is known before both were timed.
  const half = chainClock((question) => (question.precision ? undefined : times(question)), sizes, 11, {
    precision: "auto",
  });
  expect(half.exact(last, lowRank)).toBeUndefined();
});

test("a planned network is timed in floats and with each layer in the precision that it was timed faster in", () => {
  const times = ({ chain, shape, precision }: TimedLayer) =>
    chain?.length === 0 ? 0 : (shape.length === 4) === (precision === "int8") ? 1 : 2;
  const chosen = [conv, last].map((layer) => ({
    ...{ layer, candidate: { family: "dense", ranks: [] } as const },
    ...{ error: 0, weights: 0, macs: 0, price: 0, loss: 0 },
  }));
  const clock = chainClock(times, sizes, 17, { precision: "auto" });
  const [floats, mixed] = formsInPrecision(graph, chosen, clock, "auto");
  expect(floats).toBe(graph);
  const reads = (op: string) => mixed!.nodes.find((node) => node.op === op)!.inputs[1]!;
  const widened = new Set(mixed!.nodes.flatMap(({ op, outputs }) => (op === "DequantizeLinear" ? outputs : [])));
  expect([widened.has(reads("Conv")), widened.has(reads("Gemm"))]).toEqual([true, false]);
  expect(formsInPrecision(graph, chosen, chainClock(times, sizes, 17), "fp32")).toEqual([graph]);
  const old = { ...graph, opsets: new Map([["", 6]]) };
  expect(formsInPrecision(old, chosen, clock, "auto")).toEqual([old]);
});
