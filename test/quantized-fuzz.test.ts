// Damaged networks of QuantizeLinear and DequantizeLinear through everything that reads or makes such: typed errors, or
// graphs that are valid. A failure names the seed: FILTERBASIS_SEED=N FILTERBASIS_QDQ=1 draws it alone.
import { describe, expect, test } from "vitest";
import { floatForm } from "../src/compress/eight-bits.js";
import { FilterBasisError, isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { int } from "../src/graph/attributes.js";
import { indexOf } from "../src/graph/graph-index.js";
import type { Graph, Node, TensorData } from "../src/graph/types.js";
import { tensorOf } from "../src/graph/values.js";
import { Random } from "../src/linalg/random.js";
import { basis } from "../src/methods/basis.js";
import { findLayers } from "../src/methods/layers.js";
import { inFloats, layerPrecisions, withPrecision } from "../src/methods/precision-record.js";
import { cost } from "../src/ops/cost/cost.js";
import { inferShapes } from "../src/ops/infer.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { int8Weights, roundedToInt8 } from "../src/passes/int8-weights.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { quantizedForTiming } from "../src/passes/quantize/for-timing.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { regionsOf } from "../src/passes/quantize/regions.js";
import { stripQuantization } from "../src/passes/quantize/strip.js";
import { raiseOpset } from "../src/passes/raise-opset.js";
import { sequence } from "../src/passes/sequence.js";
import { openOrtSession } from "../src/runtime/session.js";
import { everyOperator, plainRounding } from "./quantized-graphs.js";

const count = Number(process.env.FILTERBASIS_QDQ ?? 200);
const first = Number(process.env.FILTERBASIS_SEED ?? 1);
/** Sessions take long beside passes: one graph of so many is opened in ONNX Runtime. */
const everySession = 20;

const rangesOf = (graph: Graph) =>
  new Map([...new Set(regionsOf(graph).rounded.values())].map((value) => [value, { low: -1, high: 2 }] as const));

/** Means of fewer channels than some layers have. */
const meansOf = (graph: Graph) => new Map([...rangesOf(graph).keys()].map((value) => [value, [0.5, -0.25, 0.125]]));
const how = { target: "x86-vnni", ...plainRounding };

/** As a file is written: with the record of what was compressed. */
function recorded(graph: Graph): Graph {
  const { graph: form, chains, lost } = floatForm(graph);
  const quantized = quantize({ ranges: rangesOf(form), means: meansOf(form) })(form).graph;
  return withPrecision(quantized, how, form, chains, lost);
}

const float = everyOperator();
const overBases = sequence(
  basis({ splits: 1, basis: 4, only: ["left"] }),
  basis({ splits: 2, basis: 4, only: ["tail"] }),
)(float).graph;
const bases: readonly Graph[] = [
  recorded(overBases),
  lowerBasisConv(overBases),
  quantize({ ranges: rangesOf(float) })(float).graph,
  quantize({ ranges: rangesOf(float), weights: "uint8", activations: "int8" })(float).graph,
  quantize({ ranges: rangesOf(float), float: new Map([["mixed", "asked"]]) })(float).graph,
  int8Weights(float).graph,
  float,
];

type Damage = (graph: Graph, random: Random) => Graph;
const pick = <T>(list: readonly T[], random: Random): T => list[random.int(list.length)]!;

const replaced = (graph: Graph, node: Node, by: readonly Node[]): Graph => ({
  ...graph,
  nodes: graph.nodes.flatMap((one) => (one === node ? by : [one])),
});

const withTensor = (graph: Graph, name: string, tensor: TensorData): Graph => ({
  ...graph,
  initializers: new Map([...graph.initializers, [name, tensor]]),
});

/** A scale, zero point or other small constant. */
function smallConstant(graph: Graph, random: Random): readonly [string, TensorData] {
  return pick(
    [...graph.initializers].filter(([, { dims }]) => dims.length < 2),
    random,
  );
}

const odd = [0, -0, -1, 1e-45, 1e38, Number.NaN, Number.POSITIVE_INFINITY, 1e-30];

const damages: Readonly<Record<string, Damage>> = {
  "a node goes": (graph, random) => replaced(graph, pick(graph.nodes, random), []),
  "a node stands twice": (graph, random) => {
    const node = pick(graph.nodes, random);
    return replaced(graph, node, [node, { ...node, outputs: node.outputs.map((name) => `${name}'`) }]);
  },
  "an input reads something else": (graph, random) => {
    const node = pick(graph.nodes, random);
    const values = [...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs), "x", "", "none"];
    const at = random.int(Math.max(1, node.inputs.length));
    return replaced(graph, node, [
      { ...node, inputs: node.inputs.map((name, i) => (i === at ? pick(values, random) : name)) },
    ]);
  },
  "inputs are cut off": (graph, random) => {
    const node = pick(graph.nodes, random);
    return replaced(graph, node, [{ ...node, inputs: node.inputs.slice(0, random.int(node.inputs.length + 1)) }]);
  },
  "an operator is another": (graph, random) => {
    const node = pick(graph.nodes, random);
    const ops = [
      "QuantizeLinear",
      "DequantizeLinear",
      "Conv",
      "QLinearConv",
      "ConvInteger",
      "Mul",
      "Cast",
      "Relu",
      "Clip",
      "MatMul",
    ];
    return replaced(graph, node, [{ ...node, op: pick(ops, random) }]);
  },
  "an attribute is odd": (graph, random) => {
    const node = pick(graph.nodes, random);
    const name = pick(["axis", "block_size", "to", "group", "transB", "output_dtype", "ceil_mode"], random);
    const value = int(pick([-1, 0, 1, 2, 3, 7, -100, 2 ** 31], random));
    return replaced(graph, node, [{ ...node, attributes: new Map([...node.attributes, [name, value]]) }]);
  },
  "a constant is odd": (graph, random) => {
    const [name, { type, dims }] = smallConstant(graph, random);
    const length = dims.reduce((product, size) => product * size, 1);
    const value = type === "float32" ? pick(odd, random) : random.int(127);
    return withTensor(graph, name, tensorOf(type, dims, new Array<number>(length).fill(value)));
  },
  "a constant has another length": (graph, random) => {
    const [name, { type }] = smallConstant(graph, random);
    const length = random.int(40);
    return withTensor(graph, name, tensorOf(type, [length], new Array<number>(length).fill(1)));
  },
  "a constant has another type": (graph, random) => {
    const [name, { dims }] = pick([...graph.initializers], random);
    const length = dims.reduce((product, size) => product * size, 1);
    const type = pick(["int8", "uint8", "int16", "int32", "int64", "float16", "float64", "bool"] as const, random);
    return withTensor(graph, name, tensorOf(type, dims, new Array<number>(length).fill(1)));
  },
  "a weight has other axes": (graph, random) => {
    const weights = [...graph.initializers].filter(([, { dims }]) => dims.length >= 2);
    const [name, { type, data }] = pick(weights, random);
    const size = type === "float32" ? 4 : 1;
    return withTensor(graph, name, {
      type,
      dims: pick([[data.length / size], [1, data.length / size], [data.length / size, 1, 1, 1]], random),
      data,
    });
  },
  "a constant goes": (graph, random) => {
    const initializers = new Map(graph.initializers);
    initializers.delete(pick([...initializers.keys()], random));
    return { ...graph, initializers };
  },
  "the opset is another": (graph, random) => ({ ...graph, opsets: new Map([["", 7 + random.int(16)]]) }),
  "an inner value is an output": (graph, random) => {
    const name = pick(
      graph.nodes.flatMap(({ outputs }) => outputs),
      random,
    );
    return { ...graph, outputs: [...graph.outputs, { name }] };
  },
};

/** Runs a step; its result must be valid where what went in was. */
function step(what: string, seed: number, run: () => Graph): Graph | undefined {
  let made: Graph;
  try {
    made = run();
  } catch (error) {
    if (error instanceof FilterBasisError && error.code !== "internal") return undefined;
    throw new Error(`seed ${seed}: ${what} throws ${String(error)}`, { cause: error });
  }
  try {
    verifyGraph(made);
    readModel(writeModel(made));
  } catch (error) {
    throw new Error(`seed ${seed}: ${what} makes an invalid graph: ${String(error)}`, { cause: error });
  }
  return made;
}

function everything(graph: Graph, seed: number): void {
  const read = (what: string, run: () => unknown) =>
    step(what, seed, () => {
      run();
      return graph;
    });
  const { stored } = indexOf(graph);
  read("stored", () => graph.nodes.map(({ inputs }) => inputs.map((value) => stored(value))));
  read("findLayers", () => findLayers(graph));
  read("cost", () => cost(graph));
  read("inferShapes", () => inferShapes(graph));
  step("int8Weights", seed, () => int8Weights(graph).graph);
  step("roundedToInt8", seed, () => roundedToInt8(graph));
  step("raiseOpset", seed, () => raiseOpset(graph).graph);
  step("stripQuantization", seed, () => stripQuantization(graph).graph);
  read("layerPrecisions", () => layerPrecisions(graph));
  step("inFloats", seed, () => inFloats(graph));
  const again = step("recorded", seed, () => recorded(graph));
  if (again !== undefined) step("inFloats of what is recorded", seed, () => inFloats(again));
  step("quantizedForTiming", seed, () => quantizedForTiming(graph));
  step("quantize", seed, () => quantize({ ranges: rangesOf(graph) })(graph).graph);
  const form = step("floatForm", seed, () => floatForm(graph).graph);
  if (form !== undefined)
    step("quantize of the float form", seed, () => quantize({ ranges: rangesOf(form) })(form).graph);
}

describe("damaged networks in eight bits", () => {
  test(`${count} of them end in typed errors or valid graphs`, { timeout: 600_000 }, async () => {
    const names = Object.keys(damages);
    let valid = 0;
    for (let seed = first; seed < first + count; seed++) {
      const random = new Random(`damaged ${seed}`);
      let graph = pick(bases, random);
      for (let left = 1 + random.int(2); left > 0; left--) graph = damages[pick(names, random)]!(graph, random);
      try {
        verifyGraph(graph);
      } catch (error) {
        if (isError(error)) continue;
        throw error;
      }
      valid++;
      everything(graph, seed);
      if (seed % everySession !== 0) continue;
      const session = await openOrtSession(writeModel(graph), { threads: 1 }).catch((error: unknown) => {
        if (isError(error)) return undefined;
        throw error;
      });
      await session?.release();
    }
    if (count >= 100) expect(valid).toBeGreaterThan(0.3 * count);
  });
});
