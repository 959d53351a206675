// What holds of every network in eight bits, on drawn ones: free maps, and corrected biases.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { int, makeNode } from "../src/graph/attributes.js";
import { indexOf } from "../src/graph/graph-index.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { floats, numbers, tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { equalise, freeMaps } from "../src/passes/quantize/equalise.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { rotate } from "../src/passes/quantize/rotate.js";
import { stripQuantization } from "../src/passes/quantize/strip.js";
import { openSession } from "../src/runtime/open.js";
import { inputsFor, NetworkDraft } from "./quantized-graphs.js";

async function outputOf(graph: Graph, x: TensorData): Promise<Float32Array> {
  const session = await openSession(graph, { threads: 1 });
  try {
    return Float32Array.from(floats((await session.run({ x })).y!));
  } finally {
    await session.release();
  }
}

const rms = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value ** 2, 0) / values.length);

describe("free maps", () => {
  const runs = Array.from({ length: 12 }, (_, seed) => [seed] as const);
  test.each(runs)("scaled to any sizes leave the float function as it is (%i)", async (seed) => {
    const random = new Random(seed);
    const net = new NetworkDraft(seed);
    const [a, b] = [2 * (1 + random.int(4)), 2 * (1 + random.int(4))];
    net.conv("x", "a", a, 4, pick([1, 3], random), pick([1, 2], random));
    net.conv("a", "b", b, a, pick([1, 3], random), pick([1, 2], random));
    net.conv("b", "y", 4, b, 1);
    const graph = net.graph([1, 4, 6, 6], "y");
    const sizes = [0, 1e-30, 1e-4, 0.3, 1, 7, 1e4];
    const peaks = new Map([
      ["a", Array.from({ length: a }, () => pick(sizes, random))],
      ["b", Array.from({ length: b }, () => pick(sizes, random))],
    ]);
    expect(freeMaps(graph).map(({ value }) => value)).toEqual(["a", "b"]);
    const scaled = equalise(peaks)(graph).graph;
    const x = inputsFor([4, 6, 6], 1)[0]!;
    const [before, after] = [await outputOf(graph, x), await outputOf(scaled, x)];
    expect(rms(after.map((value, i) => value - before[i]!))).toBeLessThan(1e-5 * rms(before));
    const turned = rotate(graph);
    expect(turned.outcomes.every(({ applied }) => applied)).toBe(true);
    const other = await outputOf(turned.graph, x);
    expect(rms(other.map((value, i) => value - before[i]!))).toBeLessThan(1e-5 * rms(before));
  });

  test("turned stay within the groups of both layers", async () => {
    for (const [first, second] of [
      [2, 1],
      [1, 2],
      [4, 2],
    ] as const) {
      const net = new NetworkDraft(first + 10 * second);
      net.conv("x", "a", 8, 4, 3, first);
      net.conv("a", "y", 6, 8, 1, second);
      const graph = net.graph([1, 4, 6, 6], "y");
      const made = rotate(graph).graph;
      const x = inputsFor([4, 6, 6], 1)[0]!;
      const [before, after] = [await outputOf(graph, x), await outputOf(made, x)];
      expect(rms(after.map((value, i) => value - before[i]!))).toBeLessThan(1e-5 * rms(before));
    }
  });
});

const pick = <T>(list: readonly T[], random: Random): T => list[random.int(list.length)]!;

describe("corrected biases", () => {
  const float = fc.float({ noNaN: true, noDefaultInfinity: true, min: -4, max: 4 });
  const list = (length: number) => fc.array(float, { minLength: length, maxLength: length });
  /** y = W2 W1 x, of 1 x 1 convolutions; W1 has no bias of its own. */
  const chain = (first: readonly number[], second: readonly number[], group: number): Graph => {
    const net = new NetworkDraft(1);
    net.initializers.set("w1", tensorOf("float32", [4, 4 / group, 1, 1], first.slice(0, 16 / group)));
    net.initializers.set("w2", tensorOf("float32", [3, 4, 1, 1], second));
    net.nodes.push(makeNode("Conv", ["x", "w1"], ["h"], { group: int(group) }, { name: "h" }));
    net.nodes.push(makeNode("Conv", ["h", "w2"], ["y"], {}, { name: "y" }));
    return net.graph([1, 4, 1, 1], "y");
  };
  /** What a network of such convolutions makes of an input, by its stored numbers alone. */
  const computed = (graph: Graph, x: readonly number[]): number[] => {
    const { constant } = indexOf(graph);
    let value = [...x];
    for (const { op, inputs } of graph.nodes) {
      if (op !== "Conv") continue;
      const tensor = constant(inputs[1]!)!;
      const [out, width] = tensor.dims as [number, number];
      const [weight, bias] = [numbers(tensor), inputs[2] ? numbers(constant(inputs[2])!) : undefined];
      const perGroup = (out * width) / value.length;
      value = Array.from({ length: out }, (_, o) => {
        const from = Math.floor(o / perGroup) * width;
        let sum = bias?.[o] ?? 0;
        for (let i = 0; i < width; i++) sum += weight[o * width + i]! * value[from + i]!;
        return sum;
      });
    }
    return value;
  };

  test("never make the mean error larger, also where a chain of factors has one bias at its end", () => {
    fc.assert(
      fc.property(list(16), list(12), list(4), fc.constantFrom(1, 2), (first, second, x, group) => {
        const graph = chain(first, second, group);
        const hidden = computed({ ...graph, nodes: graph.nodes.slice(0, 1) }, x);
        const exact = computed(graph, x);
        const span = (values: readonly number[]) => ({ low: Math.min(0, ...values), high: Math.max(0, ...values) });
        const ranges = new Map([
          ["x", span(x)],
          ["h", span(hidden)],
          ["y", span(exact)],
        ]);
        const made = (means: ReadonlyMap<string, readonly number[]> | undefined) =>
          stripQuantization(quantize({ ranges, ...(means && { means }) })(graph).graph).graph;
        const plain = made(undefined);
        const corrected = made(
          new Map([
            ["x", x],
            ["h", hidden],
          ]),
        );
        // The chain keeps its form: only its end has a bias.
        expect(corrected.nodes.filter(({ op }) => op === "Conv")[0]!.inputs).toHaveLength(2);
        const error = (one: Graph) => computed(unclipped(one), x).map((value, o) => Math.abs(value - exact[o]!));
        const [before, after] = [error(plain), error(corrected)];
        const scale = Math.max(1, ...exact.map(Math.abs));
        for (const o of exact.keys()) expect(after[o]!).toBeLessThanOrEqual(before[o]! + 1e-4 * scale);
      }),
      { numRuns: 200 },
    );
  });
  /** Rounding that only cuts at 0 is beside the point here. */
  const unclipped = (graph: Graph): Graph => ({ ...graph, nodes: graph.nodes.filter(({ op }) => op === "Conv") });
});
