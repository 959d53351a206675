// Small networks for eight bits, what ONNX Runtime makes of one when it loads it, and images for it.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import type { Rounding } from "../src/compress/precision-search.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { int, ints, makeNode } from "../src/graph/attributes.js";
import type { Attribute, Graph, Node, TensorData } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";

/** Collects nodes and seeded weights. */
export class NetworkDraft {
  readonly nodes: Node[] = [];
  readonly initializers = new Map<string, TensorData>();
  readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  constant(name: string, dims: readonly number[], scale = 1): string {
    const count = dims.reduce((product, size) => product * size, 1);
    const values = Float64Array.from({ length: count }, () => scale * (2 * this.random.next() - 1));
    this.initializers.set(name, tensorOf("float32", dims, values));
    return name;
  }

  list(name: string, values: readonly number[]): string {
    this.initializers.set(name, tensorOf("int64", [values.length], values));
    return name;
  }

  node(op: string, inputs: readonly string[], output: string, attributes: Record<string, Attribute> = {}): string {
    this.nodes.push(makeNode(op, inputs, [output], attributes, { name: output }));
    return output;
  }

  conv(x: string, output: string, n: number, c: number, kernel = 3, group = 1): string {
    const pad = kernel >> 1;
    const weight = this.constant(
      `${output}.w`,
      [n, c / group, kernel, kernel],
      1.5 / Math.sqrt((c / group) * kernel ** 2),
    );
    const bias = this.constant(`${output}.b`, [n], 0.2);
    const attributes = { kernel_shape: ints([kernel, kernel]), pads: ints([pad, pad, pad, pad]), group: int(group) };
    return this.node("Conv", [x, weight, bias], output, attributes);
  }

  graph(dims: readonly (number | string)[], output: string, opset = 17): Graph {
    return {
      name: "network",
      nodes: this.nodes,
      initializers: this.initializers,
      inputs: [{ name: "x", tensor: { type: "float32", dims } }],
      outputs: [{ name: output, tensor: { type: "float32" } }],
      values: new Map(),
      opsets: new Map([["", opset]]),
      irVersion: 8,
      metadata: new Map(),
    };
  }
}

/** Every operator that is to run in integers, once, with what is between them. */
export function everyOperator(): Graph {
  const net = new NetworkDraft(5);
  const head = net.node("Relu", [net.conv("x", "head", 16, 3)], "r0");
  const pooled = net.node("MaxPool", [head], "pool", { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const left = net.node("Clip", [net.conv(pooled, "left", 16, 16), "zero", "six"], "r1");
  net.initializers.set("zero", tensorOf("float32", [], [0]));
  net.initializers.set("six", tensorOf("float32", [], [6]));
  const right = net.conv(left, "right", 16, 16, 3, 16);
  const sum = net.node("Relu", [net.node("Add", [right, pooled], "sum")], "r2");
  const both = net.node("Concat", [sum, left], "both", { axis: int(1) });
  const mixed = net.node("LeakyRelu", [net.conv(both, "mixed", 16, 32, 1)], "r3", {
    alpha: { kind: "float", value: 0.1 },
  });
  net.initializers.set("scales", tensorOf("float32", [4], [1, 1, 2, 2]));
  const large = net.node("Resize", [mixed, "", "scales"], "large", {
    mode: { kind: "string", value: new TextEncoder().encode("nearest") },
  });
  const averaged = net.node("AveragePool", [net.conv(large, "tail", 16, 16)], "mean", { kernel_shape: ints([8, 8]) });
  const flat = net.node("Flatten", [averaged], "flat", { axis: int(1) });
  const hidden = net.node(
    "Gemm",
    [flat, net.constant("fc.w", [12, 16], 0.3), net.constant("fc.b", [12], 0.1)],
    "hidden",
    {
      transB: int(1),
    },
  );
  const last = net.node("MatMul", [net.node("Relu", [hidden], "r4"), net.constant("out.w", [12, 10], 0.3)], "y");
  return net.graph(["N", 3, 8, 8], last);
}

/** How many nodes of each operator ONNX Runtime runs: its own graph, read back. */
export async function optimisedOperators(graph: Graph): Promise<Readonly<Record<string, number>>> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-optimised-"));
  try {
    const path = join(folder, "optimised.onnx");
    const session = await ort.InferenceSession.create(writeModel(graph), {
      optimizedModelFilePath: path,
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    await session.release();
    const { nodes } = readModel(new Uint8Array(await readFile(path)), { verify: false });
    const counts: Record<string, number> = {};
    for (const { op } of nodes) counts[op] = (counts[op] ?? 0) + 1;
    return counts;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Seeded inputs of one image each, smooth enough to be told apart. */
export function inputsFor(dims: readonly number[], count: number): readonly TensorData[] {
  const random = new Random(11);
  const size = dims.reduce((product, one) => product * one, 1);
  return Array.from({ length: count }, () => {
    const [a, b] = [random.next() * 6, random.next() * 6];
    return tensorOf(
      "float32",
      [1, ...dims],
      Float64Array.from({ length: size }, (_, i) => 0.5 + 0.5 * Math.sin(a + i * 0.37) * Math.cos(b + i * 0.011)),
    );
  });
}

/** How a network is rounded in the simplest way. */
export const plainRounding: Rounding = {
  ...{ ranges: "all", weights: "int8", corrected: true },
  ...{ equalised: false, rotated: false, ordered: false },
};
