// Images with their mirror images, and which networks take them.
import { describe, expect, test } from "vitest";
import { float32Tensor, int, makeNode } from "../graph/attributes.js";
import type { Graph, Node } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { CalibrationImages } from "./engine.js";
import { takesMirrored, withMirrored } from "./mirrored.js";
import { ortEngine } from "./ort-engine.js";

const random = new Random("mirrored");
const [count, size] = [6, 2 * 3 * 4];
const all = Float32Array.from({ length: count * size }, () => random.normal());
const images: CalibrationImages = {
  count,
  key: "k",
  feeds: (first, number) => ({
    x: float32Tensor([number, 2, 3, 4], all.slice(first * size, (first + number) * size)),
    s: float32Tensor([number, 1], new Float32Array(number).fill(7)),
  }),
};

test("each image stands before its mirror image, in whatever runs they are asked for", async () => {
  const pairs = withMirrored(images);
  expect(pairs.count).toBe(2 * count);
  const whole = floats((await pairs.feeds(0, 2 * count)).x!);
  expect([...whole.subarray(0, size)]).toEqual([...all.subarray(0, size)]);
  expect([...whole.subarray(size, size + 4)]).toEqual([...all.subarray(0, 4)].reverse());
  for (const [first, number] of [
    [1, 4],
    [3, 1],
    [2, 5],
  ] as const) {
    const { x, s } = await pairs.feeds(first, number);
    expect(x!.dims).toEqual([number, 2, 3, 4]);
    expect([...floats(x!)]).toEqual([...whole.subarray(first * size, (first + number) * size)]);
    expect([...floats(s!)]).toEqual(new Array(number).fill(7));
  }
});

describe("mirror images are taken", () => {
  const graph = (nodes: readonly Node[], weight: readonly number[]): Graph => ({
    name: "small",
    nodes,
    initializers: new Map([["w", float32Tensor([1, 2, 1, weight.length], Float32Array.from([...weight, ...weight]))]]),
    inputs: [
      { name: "x", tensor: { type: "float32", dims: ["N", 2, 3, 4] } },
      { name: "s", tensor: { type: "float32", dims: ["N", 1] } },
    ],
    outputs: [{ name: "y", tensor: { type: "float32" } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  });
  const conv = (to: string) => makeNode("Conv", ["x", "w"], [to]);
  const engine = ortEngine({ threads: 1 });

  test("where maps are mirrored with them, not where filters have a direction", async () => {
    expect(await takesMirrored(graph([conv("y")], [1, 2, 1]), images, engine)).toBe(true);
    expect(await takesMirrored(graph([conv("y")], [1, 0, -1]), images, engine)).toBe(false);
  });

  test("where most classes stay, not where the place decides", async () => {
    const pooled = [
      conv("p"),
      makeNode("GlobalAveragePool", ["p"], ["q"]),
      makeNode("Flatten", ["q"], ["r"]),
      makeNode("Concat", ["r", "s"], ["y"], { axis: int(1) }),
    ];
    const flat = [conv("p"), makeNode("Flatten", ["p"], ["y"])];
    expect(await takesMirrored(graph(pooled, [1, 2, 1]), images, engine)).toBe(true);
    expect(await takesMirrored(graph(flat, [1, 2, 1]), images, engine)).toBe(false);
  });
});
