// A layer as it is timed; a convolution between two 1 x 1 depthwise convolutions, which cost next to nothing but keep
// ONNX Runtime's blocked layout, since it keeps its tensors so from convolution to convolution and a reshape costs it
// that.
import { elements, int, ints, makeNode } from "../graph/attributes.js";
import { makeBasisConv } from "../graph/basis-conv.js";
import type { Graph, Node, TensorData, Value } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { Random } from "../linalg/random.js";
import type { TimedLayer } from "../methods/latencies.js";
import { attributesFromJson } from "../methods/record.js";
import { quantizedForTiming } from "../passes/quantize/for-timing.js";

/** The graph, with input "x" of the layer's size, outputs "y" and `done`, and random weights. */
export function layerGraph(layer: TimedLayer): Graph {
  const graph = layer.shape.length === 2 ? matrixGraph(layer) : convolutionGraph(layer);
  return withDone(layer.precision === "int8" ? betweenIntegers(quantizedForTiming(graph)) : graph);
}

/**
 * An output of one number, for runs that are timed: all is computed, and no map is handed over to JavaScript, where
 * copying it takes as long as a layer does and collecting it takes the processor away from the next runs.
 */
export const done = "done";

function withDone(graph: Graph): Graph {
  const one = tensorOf("float32", [1], Float64Array.of(1));
  return {
    ...graph,
    initializers: new Map([...graph.initializers, [done, one]]),
    outputs: [...graph.outputs, { name: done, tensor: { type: "float32", dims: [1] } }],
  };
}

/** Without the rounding of its input and the widening of its output: neighbours in eight bits have neither. */
function betweenIntegers(graph: Graph): Graph {
  const rounding = graph.nodes.find(({ op, inputs }) => op === "QuantizeLinear" && inputs[0] === "x");
  const widening = graph.nodes.find(({ op, outputs }) => op === "DequantizeLinear" && outputs[0] === "y");
  const integers = (value: Value, name: string | undefined): Value =>
    name === undefined ? value : { name, tensor: { ...value.tensor!, type: "uint8" } };
  const [made, read] = [rounding?.outputs[0], widening?.inputs[0]];
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => node !== rounding && node !== widening),
    inputs: graph.inputs.map((value) => integers(value, made)),
    outputs: graph.outputs.map((value) => integers(value, read)),
  };
}

function drawn(random: Random, length: number): Float64Array {
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = random.next() - 0.5;
  return values;
}

/** Fully connected layers: of [N, c] as Gemm, of more axes as MatMul; then the bias and a ReLU. */
function matrixGraph({ input, shape, type, opset, chain }: TimedLayer): Graph {
  const random = new Random(1);
  const initializers = new Map<string, TensorData>();
  const constant = (name: string, size: readonly number[]): string => {
    initializers.set(name, tensorOf(type, size, drawn(random, elements(size))));
    return name;
  };
  const stages = chain ?? [{ shape }];
  const bias = constant("bias", [shape[0]!]);
  const nodes = stages.flatMap(({ shape: [out = 1, width = 1] }, i): readonly Node[] => {
    const [from, to] = [i === 0 ? "x" : `stage.${i}`, i === stages.length - 1 ? "after" : `stage.${i + 1}`];
    const last = i === stages.length - 1;
    if (last && input.length === 2)
      return [makeNode("Gemm", [from, constant(`W.${i}`, [out, width]), bias], [to], { transB: int(1) })];
    const product = last ? "product" : to;
    const made = makeNode("MatMul", [from, constant(`W.${i}`, [width, out])], [product]);
    return last ? [made, makeNode("Add", [product, bias], [to])] : [made];
  });
  return {
    name: "layer",
    nodes: [...nodes, makeNode("Relu", ["after"], ["y"])],
    initializers,
    inputs: [{ name: "x", tensor: { type, dims: input } }],
    outputs: [{ name: "y", tensor: { type, dims: [...input.slice(0, -1), shape[0]!] } }],
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
}

function convolutionGraph({ input, shape, attributes, type, opset, basis, chain }: TimedLayer): Graph {
  const [outChannels, inChannels, ...kernel] = shape as [number, number, ...number[]];
  const random = new Random(1);
  const initializers = new Map<string, TensorData>();
  const constant = (name: string, size: readonly number[]): string => {
    initializers.set(name, tensorOf(type, size, drawn(random, elements(size))));
    return name;
  };
  const ones = kernel.map(() => 1);
  const neighbour = (name: string, channels: number, from: string, to: string): Node =>
    makeNode("Conv", [from, constant(name, [channels, 1, ...ones])], [to], {
      group: int(channels),
      kernel_shape: ints(ones),
    });
  const { splits = 1, basisSize = 1, layout = "dense" as const } = basis ?? {};
  const own = attributesFromJson(attributes);
  const bias = constant("bias", [outChannels]);
  const layer = (): Node => {
    if (basis === undefined) {
      const all = { ...Object.fromEntries(own), kernel_shape: ints(kernel) };
      return makeNode("Conv", ["before", constant("W", shape), bias], ["after"], all);
    }
    return makeBasisConv({
      ...{ name: "layer", input: "before", output: "after", bias, slice: null, attributes: own },
      basisBias: basis.basisBias ? constant("basis.bias", [basisSize]) : "",
      ...{ splits, basisSize, outChannels, inChannels, kernel },
      basis: constant("B", [basisSize, inChannels / splits, ...kernel]),
      coefficients: constant("A", [outChannels, splits * basisSize, ...ones]),
      layout,
      provenance: { method: "basis", error: null, weight: "W" },
    });
  };
  const layers = (): readonly Node[] =>
    chain?.map((stage, i) => {
      const last = i === chain.length - 1;
      const inputs = [i === 0 ? "before" : `stage.${i}`, constant(`W.${i}`, stage.shape), ...(last ? [bias] : [])];
      const all = {
        ...Object.fromEntries(attributesFromJson(stage.attributes)),
        kernel_shape: ints(stage.shape.slice(2)),
      };
      return makeNode("Conv", inputs, [last ? "after" : `stage.${i + 1}`], all);
    }) ?? [layer()];
  const graph: Graph = {
    name: "layer",
    nodes: [],
    initializers,
    inputs: [{ name: "x", tensor: { type, dims: input } }],
    outputs: [{ name: "y", tensor: { type, dims: [null, outChannels, ...kernel.map(() => null)] } }],
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
  const first = neighbour("first", input[1] ?? inChannels, "x", "before");
  // Without any convolution the neighbours are left, whose own time that is.
  const between = chain?.length === 0 ? "before" : "after";
  const last = [makeNode("Relu", [between], ["active"]), neighbour("last", outChannels, "active", "y")];
  return { ...graph, nodes: [first, ...layers(), ...last] };
}
