// Graphs of one or a few convolutions for tests, and numbers to fill them with.
import { float32Tensor, int, int64Tensor, ints, makeNode } from "../src/graph/attributes.js";
import type { Attribute, Graph, Node, TensorData, Value } from "../src/graph/types.js";
import { Random } from "../src/linalg/random.js";

/** Seeded numbers in -1..1. */
export function randomValues(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => 2 * random.next() - 1);
}

export function randomTensor(dims: readonly number[], seed: number): TensorData {
  return float32Tensor(
    dims,
    randomValues(
      dims.reduce((product, dim) => product * dim, 1),
      seed,
    ),
  );
}

export interface SmallGraph {
  readonly nodes: readonly Node[];
  readonly initializers: Readonly<Record<string, TensorData>>;
  readonly inputs?: readonly Value[];
  readonly outputs: readonly string[];
  readonly opset?: number;
}

/** A graph with float32 inputs (default: `x` [N, C, H, W], all free) and outputs. */
export function smallGraph({ nodes, initializers, inputs, outputs, opset = 17 }: SmallGraph): Graph {
  return {
    name: "small",
    nodes,
    initializers: new Map(Object.entries(initializers)),
    inputs: inputs ?? [{ name: "x", tensor: { type: "float32", dims: ["N", "C", "H", "W"] } }],
    outputs: outputs.map((name) => ({ name, tensor: { type: "float32" as const } })),
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

export interface SmallConv {
  readonly outChannels: number;
  readonly inChannels: number;
  readonly kernel: readonly number[];
  readonly bias?: boolean;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly seed?: number;
  readonly opset?: number;
}

/** x -> conv -> y, with initializers conv.weight and conv.bias. */
export function oneConv({
  outChannels,
  inChannels,
  kernel,
  bias = true,
  attributes = {},
  seed = 1,
  opset = 17,
}: SmallConv): Graph {
  const initializers: Record<string, TensorData> = {
    "conv.weight": randomTensor([outChannels, inChannels, ...kernel], seed),
  };
  if (bias) initializers["conv.bias"] = randomTensor([outChannels], seed + 1);
  const names = ["x", "conv.weight", ...(bias ? ["conv.bias"] : [])];
  return smallGraph({
    nodes: [makeNode("Conv", names, ["y"], attributes, { name: "conv" })],
    initializers,
    inputs: [
      { name: "x", tensor: { type: "float32", dims: ["N", inChannels, ...kernel.map((_, axis) => `D${axis}`)] } },
    ],
    outputs: ["y"],
    opset,
  });
}

/** y = x + x pooled and resized: sides must be multiples of `step`, which only a run tells. */
export function multiplesOf(step: number): Graph {
  const nodes = [
    makeNode("MaxPool", ["x"], ["small"], { kernel_shape: ints([step, step]), strides: ints([step, step]) }),
    makeNode("Cast", ["one"], ["scale"], { to: int(1) }),
    makeNode("Mul", ["scale", "factor"], ["scales"]),
    makeNode("RandomUniformLike", ["scales"], ["noise"]), // what follows is not known before running
    makeNode("Floor", ["noise"], ["nothing"]),
    makeNode("Add", ["scales", "nothing"], ["grown"]),
    makeNode("Resize", ["small", "", "grown"], ["large"]),
    makeNode("Add", ["large", "x"], ["y"]),
  ];
  const constants = {
    one: int64Tensor([4], [1, 1, 1, 1]),
    factor: float32Tensor([4], Float32Array.of(1, 1, step, step)),
  };
  const x: Value = { name: "x", tensor: { type: "float32", dims: ["N", 3, "H", "W"] } };
  return smallGraph({ nodes, initializers: constants, inputs: [x], outputs: ["y"] });
}
