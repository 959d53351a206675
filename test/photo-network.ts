// A small classifier whose filters are like trained ones, and images for it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { ints, makeNode } from "../src/graph/attributes.js";
import type { Graph, TensorData } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { smallGraph } from "./small-graphs.js";

/** Filters [n, c, 3, 3] of few directions, and a little of all: as trained ones are. */
function filters(n: number, c: number, seed: number): TensorData {
  const random = new Random(seed);
  const draw = (count: number) => Float64Array.from({ length: count }, () => 2 * random.next() - 1);
  const [rank, width] = [6, c * 9];
  const [a, b, rest] = [draw(n * rank), draw(rank * width), draw(n * width)];
  const values = rest.map((value, at) => {
    const [o, i] = [Math.floor(at / width), at % width];
    let sum = 0.05 * value;
    for (let r = 0; r < rank; r++) sum += (a[o * rank + r]! * b[r * width + i]!) / Math.sqrt(width);
    return sum;
  });
  return tensorOf("float32", [n, c, 3, 3], values);
}

/** Three convolutions and a fully connected layer: images [N, 3, 32, 32] to 10 scores. */
export function photoNetwork(first = 32, second = 64): Graph {
  const pads = { pads: ints([1, 1, 1, 1]) };
  return smallGraph({
    nodes: [
      makeNode("Conv", ["x", "w1"], ["a"], pads, { name: "first" }),
      makeNode("Relu", ["a"], ["b"]),
      makeNode("Conv", ["b", "w2", "b2"], ["c"], { ...pads, strides: ints([2, 2]) }, { name: "second" }),
      makeNode("Relu", ["c"], ["d"]),
      makeNode("Conv", ["d", "w3"], ["e"], pads, { name: "third" }),
      makeNode("Add", ["e", "d"], ["f"]),
      makeNode("Relu", ["f"], ["g"]),
      makeNode("GlobalAveragePool", ["g"], ["h"]),
      makeNode("Flatten", ["h"], ["i"]),
      makeNode("Gemm", ["i", "w4"], ["y"], {}, { name: "last" }),
    ],
    initializers: {
      w1: filters(first, 3, 1),
      w2: filters(second, first, 2),
      b2: tensorOf("float32", [second], new Float64Array(second).fill(0.1)),
      w3: filters(second, second, 3),
      w4: tensorOf(
        "float32",
        [second, 10],
        Float64Array.from({ length: 10 * second }, (_, i) => Math.sin(i * 1.7)),
      ),
    },
    inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3, 32, 32] } }],
    outputs: ["y"],
  });
}

/** Waves of two colours, 36 x 32; `kinds` of them, over and over. */
export async function writePhotos(folder: string, count: number, kinds = count): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const random = new Random(`photo ${i % kinds}`);
    const [fx, fy, phase] = [random.next(), random.next(), 6 * random.next()];
    const pixels = Uint8Array.from({ length: 3 * 36 * 32 }, (_, at) => {
      const [x, y, c] = [Math.floor(at / 3) % 36, Math.floor(at / 108), at % 3];
      return 127 + 90 * Math.sin(fx * x + fy * y + phase + c) + 30 * (random.next() - 0.5);
    });
    await sharp(pixels, { raw: { width: 36, height: 32, channels: 3 } })
      .png()
      .toFile(join(folder, `${i}.png`));
  }
}
