// Weights rounded in order by what their layers read.
import { describe, expect, test } from "vitest";
import { float32Tensor, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { floats, numbers, tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import { quantizeWeight, weightFormats } from "../passes/quantize/steps.js";
import type { CalibrationImages } from "./engine.js";
import { momentSource } from "./moment-source.js";
import { orderedWeights, placesForOrder } from "./ordered-weights.js";
import { ortEngine } from "./ort-engine.js";

const random = new Random(8);
const normals = (count: number) => Array.from({ length: count }, () => random.normal());
const ints = (...value: number[]) => ({ kind: "ints", value: value.map(BigInt) }) as const;
const pads = { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1) };

/** A convolution, a ReLU, and a convolution in two groups. */
const network: Graph = {
  name: "convolutions",
  nodes: [
    makeNode("Conv", ["x", "w"], ["a"], pads, { name: "first" }),
    makeNode("Relu", ["a"], ["r"]),
    makeNode("Conv", ["r", "v"], ["y"], { ...pads, group: { kind: "int", value: 2n } }, { name: "grouped" }),
  ],
  initializers: new Map([
    ["w", tensorOf("float32", [8, 4, 3, 3], normals(8 * 36))],
    ["v", tensorOf("float32", [4, 4, 3, 3], normals(4 * 36))],
  ]),
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 4, 8, 8] } }],
  outputs: [{ name: "y", tensor: { type: "float32", dims: ["N", 4, 8, 8] } }],
  values: new Map(),
  opsets: new Map([["", 13]]),
  irVersion: 8,
  metadata: new Map(),
};

/** Smooth planes, all alike but for a little. */
const pixels = Float32Array.from({ length: 24 * 4 * 64 }, (_, at) => {
  const [row, column, image] = [Math.floor(at / 8) % 8, at % 8, Math.floor(at / 256)];
  return Math.sin(row / 3 + image) + Math.cos(column / 4 - image) + 0.1 * random.normal();
});
const images: CalibrationImages = {
  count: 24,
  feeds: (first, count) => ({
    x: float32Tensor([count, 4, 8, 8], pixels.slice(first * 256, (first + count) * 256)),
  }),
};

const engine = ortEngine({ optimisation: "disabled" });

/** What the first layer makes with these weights. */
async function made(weights: ArrayLike<number>): Promise<Float32Array> {
  const initializers = new Map([...network.initializers, ["w", tensorOf("float32", [8, 4, 3, 3], weights)]]);
  const outputs = [{ name: "a", tensor: { type: "float32", dims: ["N", 8, 8, 8] } }] as const;
  const session = await engine.open({ ...network, nodes: network.nodes.slice(0, 1), initializers, outputs });
  try {
    return floats((await session.run(await images.feeds(0, images.count))).a!);
  } finally {
    await session.close();
  }
}

describe("weights of a network in order", () => {
  test("a convolution's outputs are nearer than by rounding to nearest; a grouped one is left out", async () => {
    const format = weightFormats.int7;
    const moments = momentSource(network, images, engine, placesForOrder(images));
    const rows = await orderedWeights(network, format, false, moments, engine.algebra);
    expect([...rows.keys()]).toEqual(["w"]);
    const exact = numbers(network.initializers.get("w")!);
    const reference = await made(exact);
    const errorBy = async (given?: typeof rows): Promise<number> => {
      const { values } = quantizeWeight(exact, [8, 4, 3, 3], 0, format, undefined, given?.get("w"));
      return (await made(values)).reduce((sum, value, i) => sum + (value - reference[i]!) ** 2, 0);
    };
    expect(await errorBy(rows)).toBeLessThan(0.5 * (await errorBy()));
  });
});
