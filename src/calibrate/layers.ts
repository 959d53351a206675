// The layers that calibration looks at: convolutions of one group, and fully connected layers with constant weights,
// each weight once with all nodes that read it. What has a weight and is not among them is skipped, with the reason.
import type { LayerShape, Pair } from "../basis/factors.js";
import { isError } from "../errors/error.js";
import { nodeName, readFloat, readInt, readInts, readString } from "../graph/attributes.js";
import { indexOf, type Stored } from "../graph/graph-index.js";
import type { DataType, Graph, Node, TensorData } from "../graph/types.js";
import { isFloat, numbers } from "../graph/values.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import { compressedNodes } from "../methods/compressed-layers.js";
import { findLayers, type Layer } from "../methods/layers.js";
import type { Geometry } from "./geometry.js";

export interface LayerNode {
  readonly node: Node;
  readonly name: string;
  /** The value whose patches the filters are multiplied with. */
  readonly input: string;
  readonly output: string;
  /** As stored; absent where the node adds none. */
  readonly bias?: Float64Array;
}

export interface CalibratedLayer {
  /** The name of the first node that reads the weight. */
  readonly name: string;
  readonly kind: "conv" | "gemm" | "matmul";
  readonly shape: LayerShape;
  readonly geometry: Geometry;
  readonly nodes: readonly LayerNode[];
  /** W [n x c kh kw], each row [c, kh, kw]. */
  readonly weight: Matrix;
  /** The value at the root of the weight. */
  readonly weightName: string;
  /** The type that the nodes compute in. */
  readonly type: DataType;
}

export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

export interface CalibratedLayers {
  /** In the order of the graph, by their first nodes. */
  readonly layers: readonly CalibratedLayer[];
  readonly skipped: readonly Skipped[];
}

/** Batch norms should be folded before. */
export function findCalibratedLayers(graph: Graph): CalibratedLayers {
  const constant = indexOf(graph).stored;
  const found = convolutions(graph);
  const skipped: Skipped[] = found.skipped.flatMap(({ name, reason }) =>
    isMatrix(graph, name) ? [] : [{ name, reason: reason }],
  );
  const read = found.layers.map((layer) => readConvolution(layer, constant));
  read.push(...matrices(graph, constant));
  for (const one of read) if ("reason" in one) skipped.push(one);
  const place = new Map(graph.nodes.map((node, at) => [node, at]));
  const layers = read.filter((one) => !("reason" in one)) as CalibratedLayer[];
  layers.sort((a, b) => place.get(a.nodes[0]!.node)! - place.get(b.nodes[0]!.node)!);
  return { layers, skipped };
}

function convolutions(graph: Graph): ReturnType<typeof findLayers> {
  try {
    return findLayers(graph);
  } catch (error) {
    if (isError(error, "not-found")) return { layers: [], skipped: [] }; // it has no convolution
    throw error;
  }
}

const isMatrix = (graph: Graph, name: string): boolean =>
  graph.nodes.some(
    (node) => nodeName(node) === name && node.domain === "" && (node.op === "Gemm" || node.op === "MatMul"),
  );

type ConstantOf = (name: string) => Stored | undefined;

function readConvolution(layer: Layer, constant: ConstantOf): CalibratedLayer | Skipped {
  const { name, kernel, outChannels: n, inChannels: c, weight, weightName, type } = layer;
  if (kernel.length > 2) return { name, reason: `its kernel has ${kernel.length} axes` };
  const geometries = layer.nodes.map(({ node }) => readGeometry(node, kernel));
  const [geometry] = geometries as [Geometry, ...Geometry[]];
  if (geometry.kind !== "window") return { name, reason: "it is no convolution" };
  if (geometries.some((other) => JSON.stringify(other) !== JSON.stringify(geometry)))
    return { name, reason: "its weight is read with different strides, pads or dilations" };
  if (geometry.same && geometry.dilation.some((dilation) => dilation > 1))
    return { name, reason: "it combines auto_pad SAME with dilation, which runtimes compute differently" };
  const nodes = layer.nodes.map(({ node }) => readNode(node, constant));
  const unknown = nodes.find((node) => "reason" in node);
  if (unknown !== undefined) return unknown as Skipped;
  const shape: LayerShape = { n, c, kernel: geometry.kernel, stride: geometry.stride };
  const rows = matrix(n, c * geometry.kernel[0] * geometry.kernel[1], numbers(weight));
  return { name, kind: "conv", shape, geometry, nodes: nodes as LayerNode[], weight: rows, weightName, type };
}

/** A kernel of one axis is one of [1, k]. */
function readGeometry(node: Node, kernel: readonly number[]): Geometry {
  const two = (values: readonly number[], fill: number): Pair => [values.at(-2) ?? fill, values.at(-1) ?? fill];
  const ones = kernel.map(() => 1);
  const auto = readString(node, "auto_pad", "NOTSET");
  const stated = auto === "VALID" ? [] : readInts(node, "pads", []);
  const pads = stated.length === 0 ? new Array<number>(2 * kernel.length).fill(0) : stated;
  return {
    kind: "window",
    axes: kernel.length as 1 | 2,
    kernel: two(kernel, 1),
    stride: two(readInts(node, "strides", ones), 1),
    dilation: two(readInts(node, "dilations", ones), 1),
    begin: two(pads.slice(0, kernel.length), 0),
    end: two(pads.slice(kernel.length), 0),
    ...(auto === "SAME_UPPER" || auto === "SAME_LOWER" ? { same: auto } : {}),
  };
}

function readNode(node: Node, constant: ConstantOf): LayerNode | Skipped {
  const name = nodeName(node);
  const [input = "", , biasName = ""] = node.inputs;
  const made = { node, name, input, output: node.outputs[0] ?? "" };
  if (biasName === "") return made;
  const bias = constant(biasName)?.tensor;
  if (bias === undefined) return { name, reason: "its bias is computed while the model runs" };
  return { ...made, bias: numbers(bias) };
}

/** Gemm and MatMul with a constant weight on the right. */
function matrices(graph: Graph, constant: ConstantOf): (CalibratedLayer | Skipped)[] {
  const readers = indexOf(graph).consumers;
  const compressed = compressedNodes(graph);
  const found: (CalibratedLayer | Skipped)[] = [];
  for (const node of graph.nodes) {
    if (node.domain !== "" || (node.op !== "Gemm" && node.op !== "MatMul") || compressed.has(node)) continue;
    const [left, right] = [constant(node.inputs[0] ?? ""), constant(node.inputs[1] ?? "")];
    if (left === undefined && right === undefined) continue; // a product of two computed values has no weights
    found.push(readMatrix(node, right, readers.get(node.inputs[1] ?? "")?.length ?? 0, constant));
  }
  return found;
}

function readMatrix(
  node: Node,
  weight: Stored | undefined,
  readers: number,
  constant: ConstantOf,
): CalibratedLayer | Skipped {
  const name = nodeName(node);
  const skip = (reason: string): Skipped => ({ name, reason });
  if (weight === undefined) return skip("its weight stands on the left of the product");
  const { tensor, root, type } = weight;
  if (readers !== 1) return skip("its weight is also read by another node");
  if (!isFloat(tensor.type) || !isFloat(type)) return skip(`its weight is of type ${tensor.type}`);
  if (tensor.dims.length !== 2 || tensor.dims.some((dim) => dim === 0)) return skip("its weight is no matrix");
  const gemm = node.op === "Gemm";
  if (gemm && (readFloat(node, "alpha", 1) !== 1 || readFloat(node, "beta", 1) !== 1))
    return skip("it scales its result");
  if (gemm && readInt(node, "transA", 0) !== 0) return skip("it transposes its input");
  const rows = rowsOf(tensor, gemm && readInt(node, "transB", 0) !== 0);
  const read = gemm
    ? readNode(node, constant)
    : { node, name, input: node.inputs[0] ?? "", output: node.outputs[0] ?? "" };
  if ("reason" in read) return read;
  if (read.bias !== undefined && read.bias.length !== rows.rows)
    return skip("its bias is not one number for each output");
  return {
    name,
    kind: gemm ? "gemm" : "matmul",
    shape: { n: rows.rows, c: rows.cols, kernel: [1, 1], stride: [1, 1] },
    geometry: { kind: "rows" },
    nodes: [read],
    weight: rows,
    weightName: root,
    type,
  };
}

/** [n x c], whichever way it is stored. */
function rowsOf(tensor: TensorData, outputsFirst: boolean): Matrix {
  const [first, second] = tensor.dims as [number, number];
  const stored = matrix(first, second, numbers(tensor));
  return outputsFirst ? stored : transpose(stored);
}
