// What a network costs: parameters, multiply-accumulates and bytes, counted from the graph.
import { elementBytes, elements, readInt, siteName } from "./attributes.js";
import { concreteInputs } from "./concrete-inputs.js";
import { constantValues } from "./constants.js";
import { reads } from "./edit.js";
import { inferShapes } from "./shapes/infer.js";
import type { Dim, Graph, Node, TensorData, ValueType } from "./types.js";
import { isFloat } from "./values.js";

export { concreteInputs };

export interface LayerCost {
  /** The node's name, or its first output where it has none. */
  readonly node: string;
  readonly op: string;
  /** The value that it makes: unlike names, unique. */
  readonly value: string;
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
  /**
   * What PyTorch calls the parameters: every element of the float constants that the network reads (weights, biases, normalisation, slopes),
   * but not running statistics of batch normalisation, scalars, the scales, limits and fill values of Resize, Clip and Pad, and Constant nodes
   * that no layer reads as its weight or bias (exporters write fixed numbers, such as prior boxes, as these).
   */
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

/**
 * Counts a network. A layer is a Conv, ConvTranspose, Gemm or MatMul of the main graph whose weight is constant: an initializer, a Constant
 * node, or computed from these alone (a basis repeated for its splits, a filter rebuilt at load), in which case the initializers
 * underneath are counted. A basis convolution that runs for s splits counts all of them.
 *
 * `inputShapes` as for inferShapes; for axes left free a usual size is taken (see concreteInputs), and `inputs` states it.
 */
export function cost(graph: Graph, inputShapes: ReadonlyMap<string, readonly Dim[]> = new Map()): Cost {
  const inputs = concreteInputs(graph, inputShapes);
  const shapes = inferShapes(graph, inputs);
  const constants = findConstants(graph);
  const counted = new Set<string>();
  const take = (names: Iterable<string>): number => {
    let sum = 0;
    for (const name of names) {
      const tensor = constants.tensors.get(name);
      if (tensor === undefined || counted.has(name)) continue;
      counted.add(name);
      sum += elements(tensor.dims);
    }
    return sum;
  };
  const layers: LayerCost[] = [];
  const uncounted: string[] = [];
  for (const node of graph.nodes) {
    const weight = weightOf(node, constants.values);
    if (weight === undefined || constants.values.has(node.outputs[0]!)) continue;
    const macs = layerMacs(node, weight, shapes);
    if (macs === undefined) uncounted.push(siteName(node));
    const weights = take(weightsUnder(weight, constants));
    const bias = take(
      [...node.inputs.slice(2), weight]
        .flatMap((name) => [...under(name, constants)])
        .filter((name) => isParameter(constants, name)),
    );
    const output = shapes.get(node.outputs[0]!)?.dims ?? [];
    layers.push({
      node: siteName(node),
      op: node.op,
      value: node.outputs[0]!,
      weights,
      all: weights + bias,
      macs: macs ?? 0,
      output: output.every((dim) => typeof dim === "number") ? (output as number[]) : [],
    });
  }
  const used = parametersRead(graph, constants);
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

interface Constants {
  /** Initializers and the tensors of Constant nodes. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** These, and everything computed from them alone, with the node that computes it. */
  readonly values: ReadonlyMap<string, Node | undefined>;
}

function findConstants(graph: Graph): Constants {
  const tensors = new Map<string, TensorData>(graph.initializers);
  for (const [name, sparse] of graph.sparseInitializers ?? []) tensors.set(name, sparse.values); // what is stored is what counts
  for (const node of graph.nodes) {
    const value = node.op === "Constant" && node.domain === "" ? node.attributes.get("value") : undefined;
    if (value?.kind === "tensor") tensors.set(node.outputs[0]!, value.value);
  }
  return { tensors, values: constantValues(graph) };
}

/** The stored tensors that a constant value is computed from. */
function under(name: string, { tensors, values }: Constants): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next) || !values.has(next)) continue;
    seen.add(next);
    if (tensors.has(next)) found.add(next);
    const node = values.get(next);
    if (node !== undefined) open.push(...reads(node));
  }
  return found;
}

/** The weights underneath: the tensor itself, or the matrices and filters it is computed from (not scales, zero points, shapes). */
function weightsUnder(name: string, constants: Constants): readonly string[] {
  if (constants.tensors.has(name)) return [name];
  return [...under(name, constants)].filter((source) => {
    const { type, dims } = constants.tensors.get(source)!;
    return dims.length >= 2 && type !== "int64" && type !== "int32";
  });
}

const isParameter = ({ tensors }: Constants, name: string): boolean =>
  isFloat(tensors.get(name)!.type) && tensors.get(name)!.dims.length > 0;

/** Inputs that hold statistics or settings, not parameters. */
const settings: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  Resize: [1, 2, 3],
  Upsample: [1],
  Clip: [1, 2],
  Pad: [1, 2],
};

/** Operators whose constant inputs are parameters however they are stored. */
const parameterised = new Set([
  "BatchNormalization",
  "InstanceNormalization",
  "GroupNormalization",
  "LayerNormalization",
  "PRelu",
]);

/** The float constants that some node or output reads as parameters. */
function parametersRead(graph: Graph, constants: Constants): readonly string[] {
  const read = new Set(graph.outputs.map((output) => output.name));
  for (const node of graph.nodes) {
    const set = node.domain === "" ? settings[node.op] : undefined;
    const names = set === undefined ? reads(node) : node.inputs.filter((_, index) => !set.includes(index));
    for (const name of names) if (constants.values.get(name) === undefined || parameterised.has(node.op)) read.add(name);
  }
  return [...constants.tensors.keys()].filter((name) => read.has(name) && isParameter(constants, name));
}

/** The constant weight that a layer multiplies by; undefined for nodes that are not layers. */
function weightOf(node: Node, constant: ReadonlyMap<string, unknown>): string | undefined {
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

const storedBytes = ({ type, dims, strings }: TensorData): number =>
  strings === undefined ? Math.ceil(elements(dims) * elementBytes[type]) : strings.reduce((sum, one) => sum + one.byteLength, 0);
