// The search over roundings on a small network whose inputs move together.
import { describe, expect, test } from "vitest";
import type { CalibrationImages } from "../calibrate/engine.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { float32Tensor, int, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { searchPrecision } from "./precision-search.js";

const [width, outputs] = [48, 16];
const random = new Random(3);

/** y = W x, x of two numbers that every entry is a mixture of, and a little of its own. */
const network: Graph = {
  name: "mixed",
  nodes: [makeNode("Gemm", ["x", "w", "b"], ["y"], { transB: int(1) }, { name: "mix" })],
  initializers: new Map([
    [
      "w",
      tensorOf(
        "float32",
        [outputs, width],
        Array.from({ length: outputs * width }, () => random.normal()),
      ),
    ],
    ["b", tensorOf("float32", [outputs], new Array<number>(outputs).fill(0.1))],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", width] } }],
  outputs: [{ name: "y", tensor: { type: "float32", dims: ["N", outputs] } }],
  values: new Map(),
  opsets: new Map([["", 13]]),
  irVersion: 8,
  metadata: new Map(),
};

const mixtures = Array.from({ length: width }, () => [random.normal(), random.normal()] as const);
const count = 128;
const rows = Float32Array.from({ length: count }, () => 0).map(() => random.normal());
const samples = Float32Array.from({ length: count * width }, (_, at) => {
  const [a, b] = mixtures[at % width]!;
  const row = Math.floor(at / width);
  return a * rows[row]! + b * rows[(row + 1) % count]! + 0.02 * random.normal();
});
const images: CalibrationImages = {
  count,
  feeds: (first, number) => ({
    x: float32Tensor([number, width], samples.slice(first * width, (first + number) * width)),
  }),
};

const engine = ortEngine({ optimisation: "disabled" });

async function outputsOf(graph: Graph): Promise<Float32Array> {
  const session = await engine.open(graph);
  try {
    return floats((await session.run(await images.feeds(0, count))).y!);
  } finally {
    await session.close();
  }
}

async function searched(limit: number) {
  const exact = await outputsOf(network);
  const losses: number[] = [];
  const lossOf = async (candidate: Graph): Promise<number> => {
    const made = await outputsOf(candidate);
    const loss = exact.reduce((sum, value, i) => sum + (made[i]! - value) ** 2, 0);
    losses.push(loss);
    return loss;
  };
  const { trials } = await searchPrecision(network, images, engine, lossOf, { weights: ["int7"], limit: () => limit });
  return { trials, losses };
}

describe("the search over roundings", () => {
  test("weights are rounded in order where nearest loses too much, and that is kept where it loses less", async () => {
    const { trials, losses } = await searched(0);
    expect(trials[0]!.rounding.ordered).toBe(true);
    expect(trials[0]!.loss).toBeLessThan(0.8 * Math.min(...losses.slice(0, 4)));
  });

  test("nothing is rounded in order where rounding to nearest is good enough", async () => {
    const { trials, losses } = await searched(Number.POSITIVE_INFINITY);
    expect(trials.map(({ rounding }) => rounding.ordered)).toEqual([false]);
    expect(losses).toHaveLength(4);
  });
});
