// What the clock is asked for a layer and its candidates.
import { expect, test } from "vitest";
import { findCalibratedLayers } from "../calibrate/layers.js";
import { float32Tensor, int, ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { chainClock, chainQuestions } from "./chain-times.js";

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
