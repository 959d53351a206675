// A small residual network and smooth images for it: what calibration, refit and block steps are tried on.
import type { CalibrationImages, Engine, Values } from "../src/calibrate/engine.js";
import { float32Tensor, ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";

const drawWeight = (random: Random, dims: readonly number[]): TensorData => {
  const size = dims.reduce((product, dim) => product * dim, 1);
  const fan = size / dims[0]!;
  return float32Tensor(
    dims,
    Float32Array.from({ length: size }, () => random.normal() / Math.sqrt(fan)),
  );
};

const conv = (x: string, w: string, y: string, stride = 1) => {
  const attributes = { pads: ints([1, 1, 1, 1]), strides: ints([stride, stride]) };
  return makeNode("Conv", [x, w, `${w}.bias`], [y], attributes, { name: y });
};
const relu = (x: string, y: string) => makeNode("Relu", [x], [y]);
const one = (op: string, inputs: readonly string[], y: string): Node => makeNode(op, inputs, [y]);

/** Two residual blocks; the second one halves the size, with a convolution in its shortcut. */
export function residual(): Graph {
  const random = new Random("refit");
  const weight = (...dims: number[]) => drawWeight(random, dims);
  const nodes = [
    conv("x", "w0", "c0"),
    relu("c0", "r0"),
    conv("r0", "w1", "c1"),
    relu("c1", "r1"),
    conv("r1", "w2", "c2"),
    one("Add", ["c2", "r0"], "a2"),
    relu("a2", "r2"),
    conv("r2", "w3", "c3", 2),
    relu("c3", "r3"),
    conv("r3", "w4", "c4"),
    conv("r2", "w5", "c5", 2),
    one("Add", ["c4", "c5"], "a5"),
    relu("a5", "r5"),
    one("GlobalAveragePool", ["r5"], "pooled"),
    makeNode("Flatten", ["pooled"], ["flat"]),
    makeNode("Gemm", ["flat", "w6", "w6.bias"], ["y"], {}, { name: "y" }),
  ];
  const weights: Record<string, TensorData> = {
    w0: weight(8, 3, 3, 3),
    w1: weight(8, 8, 3, 3),
    w2: weight(8, 8, 3, 3),
    w3: weight(12, 8, 3, 3),
    w4: weight(12, 12, 3, 3),
    w5: weight(12, 8, 3, 3),
    w6: weight(12, 5),
  };
  for (const [name, { dims }] of Object.entries(weights))
    weights[`${name}.bias`] = weight(name === "w6" ? 5 : dims[0]!);
  return {
    name: "residual",
    nodes,
    initializers: new Map(Object.entries(weights)),
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 12, 12] } }],
    outputs: [{ name: "y", tensor: { type: "float32", dims: ["N", 5] } }],
    values: new Map(),
    opsets: new Map([["", 17]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

/** Smooth images: sums of waves. */
export function smoothImages(count: number, size = 12, seed = 1): CalibrationImages {
  const draw = new Random(seed);
  const data = new Float32Array(count * 3 * size * size);
  for (let n = 0, at = 0; n < count; n++)
    for (let c = 0; c < 3; c++) {
      const [fy, fx, phase] = [draw.normal() * 0.5, draw.normal() * 0.5, draw.normal() * 3];
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++, at++) data[at] = Math.cos(fy * y + fx * x + phase) + 0.1 * draw.normal();
    }
  const each = 3 * size * size;
  return {
    count,
    feeds: (first, number): Values => ({
      x: float32Tensor([number, 3, size, size], data.slice(first * each, (first + number) * each)),
    }),
  };
}

export async function outputOf(graph: Graph, images: CalibrationImages, engine: Engine): Promise<Float32Array> {
  const session = await engine.open(graph);
  const values = await session.run(await images.feeds(0, images.count));
  await session.close();
  return floats(values[graph.outputs[0]!.name]!);
}

export const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / b.reduce((sum, value) => sum + value ** 2, 0));

export const families = { candidates: { families: ["one-split", "low-rank"] as const } };
