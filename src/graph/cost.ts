// What a network costs: parameters, multiply-accumulates and bytes, counted from the graph.
import { elementBytes, elements, readInt, siteName } from "./attributes.js";
import { substitute, symbolsOf } from "./dims.js";
import { feeds, reads } from "./edit.js";
import { inferShapes } from "./shapes/infer.js";
import type { Dim, Graph, Node, TensorData, ValueType } from "./types.js";
import { isFloat } from "./values.js";

export interface LayerCost {
  /** The node's name, or its first output where it has none. */
  readonly node: string;
  readonly op: string;
  /** Weights that this layer brings: a weight that several layers read belongs to the first. */
  readonly weights: number;
  /** All parameters that this layer brings (weights, bias), each once. */
  readonly all: number;
  readonly macs: number;
  /** The shape of the layer's output at the stated input size; empty where it is not known. */
  readonly output: readonly number[];
}

export interface Cost {
  /** Weights of convolutions and fully connected layers: no bias, no normalisation, each initializer once. */
  readonly weights: number;
  /** Every element of every float initializer that the network reads: weights, biases, normalisation (statistics too), slopes, other constants. */
  readonly all: number;
  /** Multiply-accumulates of convolutions and fully connected layers at `inputs`; constant subgraphs, computed once at load, cost none. */
  readonly macs: number;
  /** Bytes of all initializers and constants as stored. (The file has some more, for the graph itself.) */
  readonly bytes: number;
  /** One entry for each convolution and fully connected layer, in order. */
  readonly layers: readonly LayerCost[];
  /** The input shapes at which `macs` holds. */
  readonly inputs: ReadonlyMap<string, readonly number[]>;
  /** Layers whose MACs are not in the sum because their shapes cannot be known before running. */
  readonly uncounted: readonly string[];
}

/** Sizes that stand in for free axes when the caller states none: batch 1, and this many pixels along each other axis. */
export const defaultPixels = 64;

/**
 * Counts a network. A layer is a Conv, ConvTranspose, Gemm or MatMul of the main graph whose weight is constant: an initializer, a Constant
 * node, or computed from these alone (a basis repeated for its splits, a filter rebuilt at load), in which case the initializers
 * underneath are counted. A basis convolution that runs for s splits counts all of them.
 *
 * `inputShapes` as for inferShapes; axes left free count as 1 (the first) or `defaultPixels`, and `inputs` states what was taken.
 */
export function cost(graph: Graph, inputShapes: ReadonlyMap<string, readonly Dim[]> = new Map()): Cost {
  const inputs = concreteInputs(graph, inputShapes);
  const shapes = inferShapes(graph, inputs);
  const constants = constantSources(graph);
  const counted = new Set<string>();
  const take = (names: Iterable<string>): number => {
    let sum = 0;
    for (const name of names) {
      const tensor = constants.tensors.get(name);
      if (tensor === undefined || counted.has(name) || !isParameter(tensor)) continue;
      counted.add(name);
      sum += elements(tensor.dims);
    }
    return sum;
  };
  const layers: LayerCost[] = [];
  const uncounted: string[] = [];
  for (const node of graph.nodes) {
    const weight = weightOf(node, constants.sources);
    if (weight === undefined || constants.sources.has(node.outputs[0]!)) continue;
    const macs = layerMacs(node, weight, shapes);
    if (macs === undefined) uncounted.push(siteName(node));
    const weights = take(constants.sources.get(weight)!);
    const bias = take(node.inputs.flatMap((name) => [...(constants.sources.get(name) ?? [])]));
    const output = shapes.get(node.outputs[0]!)?.dims ?? [];
    layers.push({
      node: siteName(node),
      op: node.op,
      weights,
      all: weights + bias,
      macs: macs ?? 0,
      output: output.every((dim) => typeof dim === "number") ? (output as number[]) : [],
    });
  }
  const used = usedConstants(graph, constants.tensors);
  const sum = (count: (layer: LayerCost) => number) => layers.reduce((total, layer) => total + count(layer), 0);
  return {
    weights: sum((layer) => layer.weights),
    all: sum((layer) => layer.all) + take(used),
    macs: sum((layer) => layer.macs),
    bytes: [...constants.tensors.values()].reduce((total, tensor) => total + storedBytes(tensor), 0),
    layers,
    inputs,
    uncounted,
  };
}

/** The inputs' shapes with every axis a number: stated, or the default. */
export function concreteInputs(
  graph: Graph,
  inputShapes: ReadonlyMap<string, readonly Dim[]>,
): ReadonlyMap<string, readonly number[]> {
  const symbols = new Map<string, Dim>();
  const result = new Map<string, readonly number[]>();
  for (const [name, given] of inputShapes) {
    const own = feeds(graph).find((input) => input.name === name)?.tensor?.dims;
    given.forEach((dim, axis) => {
      const symbol = own?.[axis];
      if (typeof dim === "number" && typeof symbol === "string") symbols.set(symbol, dim);
    });
  }
  for (const { name, tensor } of feeds(graph)) {
    const given = inputShapes.get(name);
    const dims = tensor?.dims ?? given;
    if (dims === undefined) continue;
    const concrete = dims.map((dim, axis) => {
      const stated = substitute(given?.[axis] ?? dim, symbols);
      const size = typeof stated === "number" && stated >= 0 ? stated : axis === 0 ? 1 : defaultPixels;
      if (typeof dim === "string" && symbolsOf(dim).has(dim)) symbols.set(dim, size);
      return size;
    });
    result.set(name, concrete);
  }
  for (const [name, given] of inputShapes) if (!result.has(name)) result.set(name, given as readonly number[]); // refused by inferShapes
  return result;
}

/** For every constant value: the initializers and Constant nodes that it is computed from. And these tensors themselves. */
function constantSources(graph: Graph): {
  readonly sources: ReadonlyMap<string, ReadonlySet<string>>;
  readonly tensors: ReadonlyMap<string, TensorData>;
} {
  const sources = new Map<string, ReadonlySet<string>>();
  const tensors = new Map<string, TensorData>(graph.initializers);
  for (const name of graph.initializers.keys()) sources.set(name, new Set([name]));
  for (const node of graph.nodes) {
    const value = node.attributes.get("value");
    if (node.op === "Constant" && node.domain === "") {
      if (value?.kind === "tensor") tensors.set(node.outputs[0]!, value.value);
      sources.set(node.outputs[0]!, new Set(value?.kind === "tensor" ? [node.outputs[0]!] : []));
      continue;
    }
    const names = [...reads(node)];
    if (names.length === 0 || !names.every((name) => sources.has(name))) continue;
    const under = new Set(names.flatMap((name) => [...sources.get(name)!]));
    for (const output of node.outputs) sources.set(output, under);
  }
  return { sources, tensors };
}

/** The constant weight that a layer multiplies by; undefined for nodes that are not layers. */
function weightOf(node: Node, constant: ReadonlyMap<string, ReadonlySet<string>>): string | undefined {
  if (node.domain !== "") return undefined;
  if (node.op === "Conv" || node.op === "ConvTranspose") return constant.has(node.inputs[1] ?? "") ? node.inputs[1] : undefined;
  if (node.op === "MatMul" || node.op === "Gemm")
    return [1, 0].map((index) => node.inputs[index] ?? "").find((name) => constant.has(name));
  return undefined;
}

function layerMacs(node: Node, weight: string, shapes: ReadonlyMap<string, ValueType>): number | undefined {
  const count = (name: string, from = 0): number | undefined => {
    const dims = shapes.get(name)?.dims?.slice(from);
    return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : undefined;
  };
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  if (node.op === "Conv") return times(count(output), count(weight, 1));
  if (node.op === "ConvTranspose") return times(count(input), count(weight, 1));
  const data = weight === input ? node.inputs[1]! : input;
  const dims = shapes.get(data)?.dims;
  const transposed = node.op === "Gemm" && readInt(node, weight === input ? "transB" : "transA", 0) !== 0;
  // the axis that is summed over: the data's last where it stands left, else its last but one
  const inner = dims?.at(dims.length > 1 && transposed !== (weight === input) ? -2 : -1);
  return typeof inner === "number" ? times(count(output), inner) : undefined;
}

const times = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a * b;

const isParameter = (tensor: TensorData): boolean => isFloat(tensor.type);

/** The constants that some node or output reads, in order. */
function usedConstants(graph: Graph, tensors: ReadonlyMap<string, TensorData>): readonly string[] {
  const read = new Set(graph.outputs.map((output) => output.name));
  for (const node of graph.nodes) for (const name of reads(node)) read.add(name);
  return [...tensors.keys()].filter((name) => read.has(name));
}

const storedBytes = ({ type, dims, strings }: TensorData): number =>
  strings === undefined ? Math.ceil(elements(dims) * elementBytes[type]) : strings.reduce((sum, one) => sum + one.byteLength, 0);
