// What a network costs: parameters, multiply-accumulates and bytes, counted from the graph.
import { isError } from "../../errors/error.js";
import { elements, nodeName } from "../../graph/attributes.js";
import { bodies } from "../../graph/edit.js";
import type { Dim, Graph, GraphBody, Node, TensorData, ValueType } from "../../graph/types.js";
import { inferShapes } from "../infer.js";
import { inlined } from "../inline.js";
import { concreteInputs } from "../sizes/concrete-inputs.js";
import {
  type Constants,
  findConstants,
  isParameter,
  parametersRead,
  storedBytes,
  under,
  weightsUnder,
} from "./constants.js";
import { biasesOf, isConvolution, layerMacs, weightsOf } from "./layers.js";

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
  readonly parameters: number;
  readonly macs: number;
  /** The shape of the layer's output at the stated input size; empty where it is not known. */
  readonly output: readonly number[];
}

export interface Cost {
  /** Weights of convolutions and fully connected layers: no bias, no normalisation, each initializer once. */
  readonly weights: number;
  /**
   * What PyTorch calls the parameters: every element of the float constants that the network reads (weights, biases,
   * normalisation, slopes), but not running statistics of batch normalisation, scalars, the scales, limits and fill
   * values of Resize, Clip and Pad, and Constant nodes that no layer reads as its weight or bias (exporters write fixed
   * numbers, such as prior boxes, as these).
   */
  readonly parameters: number;
  /**
   * Multiply-accumulates of convolutions and fully connected layers at `inputs`; constant subgraphs, computed once at
   * load, cost none.
   */
  readonly macs: number;
  /** Bytes of all initializers and constants as stored. (The file has some more, for the graph itself.) */
  readonly bytes: number;
  /** One entry for each convolution and fully connected layer, in order. */
  readonly layers: readonly LayerCost[];
  /** The input shapes at which `macs` holds. */
  readonly inputs: ReadonlyMap<string, readonly number[]>;
  /**
   * Layers whose MACs are not in the sum: their shapes cannot be known before running, or they stand in the body of an
   * If, Loop or Scan.
   */
  readonly uncounted: readonly string[];
  /** What is not counted and why, a sentence each: also the reason for a count of nothing. */
  readonly notes: readonly string[];
}

/**
 * Counts a network. A layer is a Conv, ConvTranspose, Gemm or MatMul, or a quantised form of these, whose weight is
 * constant: an initializer, a Constant node, or computed from these alone (a basis repeated for its splits, a filter
 * rebuilt at load), in which case the initializers underneath are counted. A BasisConv counts basis and coefficients,
 * and the work of the layout that it is written in. Local functions are counted where they are called; of layers in
 * bodies of If, Loop and Scan only the weights are, for how often these run is not known.
 *
 * `inputShapes` as for inferShapes; for axes left free a usual size is taken (see concreteInputs), and `inputs` states
 * it.
 */
export function cost(given: Graph, inputShapes: ReadonlyMap<string, readonly Dim[]> = new Map()): Cost {
  const notes: string[] = [];
  const graph = unfolded(given, notes);
  const inputs = concreteInputs(graph, inputShapes);
  const work: Counting = {
    shapes: inferShapes(graph, inputs),
    counted: new Set(),
    layers: [],
    uncounted: [],
    unknown: [],
  };
  const constants = findConstants(graph);
  countNodes(work, graph, constants, undefined);
  const inBodies = countBodies(work, graph, constants);
  const { layers, uncounted } = work;
  const sum = (count: (layer: LayerCost) => number) => layers.reduce((total, layer) => total + count(layer), 0);
  const others = [[graph, constants] as const, ...inBodies].flatMap(([body, own]) =>
    parametersRead(body, own).map((name) => own.tensors.get(name)!),
  );
  return {
    weights: sum((layer) => layer.weights),
    parameters: sum((layer) => layer.parameters) + take(work, others),
    macs: sum((layer) => layer.macs),
    bytes: storedBytes(given),
    layers,
    inputs,
    uncounted,
    notes: [...notes, ...notesOf(graph, work, inBodies.length > 0)],
  };
}

/** Counting in progress. */
interface Counting {
  readonly shapes: ReadonlyMap<string, ValueType>;
  /** Tensors that are counted already: a weight that several layers read is counted once. */
  readonly counted: Set<TensorData>;
  readonly layers: LayerCost[];
  readonly uncounted: string[];
  /** Nodes that may hold weights and are not understood. */
  readonly unknown: Node[];
}

/** The graph with the functions' nodes in the place of their calls. */
function unfolded(graph: Graph, notes: string[]): Graph {
  if ((graph.functions ?? []).length === 0) return graph;
  try {
    return { ...graph, nodes: inlined(graph).map(({ node }) => node) };
  } catch (error) {
    if (!isError(error)) throw error;
    notes.push(`layers in local functions are not counted: ${error.problem}`);
    return graph;
  }
}

function take({ counted }: Counting, tensors: Iterable<TensorData>): number {
  let sum = 0;
  for (const tensor of tensors) {
    if (counted.has(tensor)) continue;
    counted.add(tensor);
    sum += elements(tensor.dims);
  }
  return sum;
}

/** Counts the layers among the nodes of the main graph, or of a body, which `owner` names. */
function countNodes(work: Counting, { nodes }: GraphBody, constants: Constants, owner: string | undefined): void {
  const tensors = (names: readonly string[]) => names.map((name) => constants.tensors.get(name)!);
  for (const node of nodes) {
    const own = weightsOf(node, constants.values);
    const [weight] = own;
    if (weight === undefined && (isConvolution(node) || (node.domain !== "" && /conv|gemm|matmul/i.test(node.op))))
      work.unknown.push(node);
    if (weight === undefined || constants.values.has(node.outputs[0]!)) continue;
    const macs = owner === undefined ? layerMacs(node, weight, work.shapes) : undefined;
    if (macs === undefined) work.uncounted.push(owner === undefined ? nodeName(node) : `${nodeName(node)} in ${owner}`);
    const weights = take(work, tensors(own.flatMap((name) => weightsUnder(name, constants))));
    const rest = [...biasesOf(node), weight].flatMap((name) => [...under(name, constants)]);
    const bias = take(work, tensors(rest.filter((name) => isParameter(constants, name))));
    const output = owner === undefined ? (work.shapes.get(node.outputs[0]!)?.dims ?? []) : [];
    work.layers.push({
      node: nodeName(node),
      op: node.op,
      value: node.outputs[0]!,
      weights,
      parameters: weights + bias,
      macs: macs ?? 0,
      output: output.every((dim) => typeof dim === "number") ? (output as number[]) : [],
    });
  }
}

/**
 * Counts the layers in the bodies of a graph's nodes, and the bodies in these; returns the bodies with what is constant
 * in them.
 */
function countBodies(work: Counting, graph: GraphBody, outer: Constants): (readonly [GraphBody, Constants])[] {
  return graph.nodes.flatMap((node) =>
    bodies(node).flatMap((body) => {
      const constants = findConstants(body, outer);
      countNodes(work, body, constants, `the body of ${nodeName(node)} (${node.op})`);
      return [[body, constants] as const, ...countBodies(work, body, constants)];
    }),
  );
}

function notesOf(graph: Graph, { layers, unknown, uncounted }: Counting, inBodies: boolean): readonly string[] {
  const notes: string[] = [];
  const several = (names: readonly string[]) =>
    names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
  const dynamic = unknown.filter(isConvolution);
  if (dynamic.length > 0)
    notes.push(`not counted: ${several(dynamic.map(nodeName))}, whose weights are computed while the model runs`);
  const foreign = unknown.filter((node) => node.domain !== "");
  if (foreign.length > 0) {
    const operators = [...new Set(foreign.map(({ op, domain }) => `${domain}::${op}`))];
    notes.push(`not counted: ${several(foreign.map(nodeName))}, for ${several(operators)} is not known here`);
  }
  const inside = uncounted.filter((name) => / in the body of /.test(name));
  if (inBodies && inside.length > 0)
    notes.push(`the MACs of ${several(inside)} are not counted: how often a body runs is not known`);
  if (layers.length === 0 && unknown.length === 0)
    notes.push(
      graph.nodes.length === 0 ? "the model has no nodes" : "the model has no convolution and no fully connected layer",
    );
  return notes;
}
