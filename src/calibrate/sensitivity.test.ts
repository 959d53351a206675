// How much layers count at the output, on networks where it is known.
import { describe, expect, test } from "vitest";
import { float32Tensor, ints, makeNode } from "../graph/attributes.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { Random } from "../linalg/random.js";
import { type Calibration, calibrate } from "./calibrated.js";
import type { CalibrationImages, Values } from "./engine.js";
import { ortEngine } from "./ort-engine.js";
import { sensitivitiesOf } from "./sensitivity.js";

const random = new Random("sensitivity");
const numbers = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const filters = numbers(6 * 4 * 9);
const conv = (x: string, w: string, y: string): Node =>
  makeNode("Conv", [x, w], [y], { pads: ints([1, 1, 1, 1]) }, { name: y });

/** `x` [N, 4, 6, 6] through the nodes; weights of the names that are given, all with the same filters 4 -> 4. */
function network(nodes: readonly Node[], weights: readonly string[], output: string, gain = 1): Graph {
  const square = float32Tensor([4, 4, 3, 3], filters.slice(0, 144));
  return {
    name: "small",
    nodes,
    initializers: new Map<string, TensorData>([
      ...weights.map((name) => [name, square] as const),
      ["gain", float32Tensor([1], Float32Array.of(gain))],
    ]),
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 4, 6, 6] } }],
    outputs: [{ name: output, tensor: { type: "float32", dims: ["N", 4, 6, 6] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

const pixels = numbers(8 * 144);
const images: CalibrationImages = {
  count: 8,
  feeds: (first, count): Values => ({
    x: float32Tensor([count, 4, 6, 6], pixels.slice(first * 144, (first + count) * 144)),
  }),
};
const engine = ortEngine();
const calibrated = (graph: Graph): Promise<Calibration> =>
  calibrate(graph, images, engine, { candidates: { families: ["one-split"] } });

async function found(graph: Graph, options: { most?: number; batch?: number } = {}): Promise<Record<string, number>> {
  const output = graph.outputs[0]!.name;
  const made = await sensitivitiesOf(await calibrated(graph), images, engine, { output, ...options });
  return Object.fromEntries([...made].map(([{ name }, value]) => [name, value]));
}

const branches = (gain: number) =>
  network(
    [
      conv("x", "a", "left"),
      conv("x", "b", "right"),
      makeNode("Mul", ["right", "gain"], ["scaled"]),
      makeNode("Add", ["left", "scaled"], ["y"]),
    ],
    ["a", "b"],
    "y",
    gain,
  );

describe("how much layers count", () => {
  test("is about one for a layer that makes the output", async () => {
    const { y } = await found(network([conv("x", "a", "y")], ["a"], "y"));
    expect(y).toBeGreaterThan(0.9);
    expect(y).toBeLessThan(1.1);
  });

  test("is the square of what a layer's output is multiplied by", async () => {
    const { left, right } = await found(branches(0.1));
    expect(right! / left!).toBeCloseTo(0.01, 4);
  });

  test("is nothing where the output does not depend on the layer", async () => {
    const { left, right } = await found(branches(0));
    expect(left).toBeGreaterThan(0);
    expect(right).toBe(0);
  });

  test("is the same whatever the batch, from values before a layer as from the start", async () => {
    const chain = network(
      [
        conv("x", "a", "first"),
        makeNode("Relu", ["first"], ["r"]),
        conv("r", "b", "second"),
        makeNode("Add", ["second", "r"], ["s"]),
        conv("s", "c", "y"),
      ],
      ["a", "b", "c"],
      "y",
    );
    const all = await found(chain);
    const single = await found(chain, { batch: 3 });
    expect(Object.keys(all)).toEqual(["first", "second", "y"]);
    for (const [name, value] of Object.entries(single)) expect(value / all[name]!).toBeCloseTo(1, 3);
    expect(all.y).toBeGreaterThan(0.9);
  });

  test("is shared by neighbours where all runs may take less", async () => {
    const nodes = ["a", "b", "c", "d"].map((name, i) => conv(i === 0 ? "x" : `y${i - 1}`, name, `y${i}`));
    const graph = network(nodes, ["a", "b", "c", "d"], "y3");
    const { macs } = (await calibrated(graph)).extents;
    const values = Object.values(await found(graph, { most: macs }));
    expect(values).toHaveLength(4);
    expect(new Set(values).size).toBe(2);
    expect(new Set(Object.values(await found(graph))).size).toBe(4);
  });

  test("is not measured where too many layers would share a number", async () => {
    const names = Array.from({ length: 9 }, (_, i) => `w${i}`);
    const nodes = names.map((name, i) => conv(i === 0 ? "x" : `y${i - 1}`, name, `y${i}`));
    const graph = network(nodes, names, "y8");
    expect(Object.keys(await found(graph, { most: 1 }))).toEqual([]);
    expect(Object.keys(await found(network(nodes.slice(0, 8), names.slice(0, 8), "y7"), { most: 1 }))).toHaveLength(8);
  });

  test("is not asked further once it is stopped", async () => {
    const calibration = await calibrated(branches(1));
    const stopped = sensitivitiesOf(calibration, images, engine, { output: "y", signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "interrupted" });
  });
});
