// What takes a layer's place: other filters and biases. For running, the filters stay dense (any chain of factors is
// one convolution with the filters that it amounts to), so that prefixes of the compressed network are pieces of the
// same graph.
import { composed } from "../basis/composed.js";
import type { Factors, Pair } from "../basis/factors.js";
import { int, makeNode } from "../graph/attributes.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import type { LinearAlgebra } from "../linalg/linear-algebra.js";
import { type Matrix, matrix, transpose } from "../linalg/matrix.js";
import type { CalibratedLayer, LayerNode } from "./layers.js";

export interface Replacement {
  readonly layer: CalibratedLayer;
  /** The filters [n x c kh kw]: of a chain, what it amounts to. */
  readonly filters: Matrix;
  /** One for each of the layer's nodes, [n]. */
  readonly biases: readonly Float64Array[];
  /** The chain; absent where the layer stays one dense node. */
  readonly factors?: Factors;
}

/** The biases as they are; zeros where a node adds none. */
export const biasesOf = ({ nodes, shape }: CalibratedLayer): readonly Float64Array[] =>
  nodes.map(({ bias }) => bias ?? new Float64Array(shape.n));

/** The layer as it is. */
export const unchanged = (layer: CalibratedLayer): Replacement => ({
  layer,
  filters: layer.weight,
  biases: biasesOf(layer),
});

/** Factors with the bias that makes good what they lose of the input's mean: b + (W - W~) E[x]. */
export function corrected(
  layer: CalibratedLayer,
  factors: Factors,
  mean: Float64Array,
  algebra: LinearAlgebra,
): Replacement {
  const filters = composed(factors, algebra.multiply);
  const lost = matrix(
    filters.rows,
    filters.cols,
    filters.data.map((value, i) => layer.weight.data[i]! - value),
  );
  const shift = apply(lost, mean);
  return { layer, filters, biases: biasesOf(layer).map((bias) => bias.map((value, o) => value + shift[o]!)), factors };
}

/** F x */
export function apply({ rows, cols, data }: Matrix, x: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, o) => {
    let sum = 0;
    for (let i = 0; i < cols; i++) sum += data[o * cols + i]! * x[i]!;
    return sum;
  });
}

/** The graph with dense filters and biases in the places of the layers'. Values keep their names. */
export function withReplacements(graph: Graph, replacements: Iterable<Replacement>): Graph {
  const fresh = freshNames(graph);
  const nodes = new Map<Node, readonly Node[]>();
  const made = new Map<string, TensorData>();
  for (const { layer, filters, biases } of replacements) {
    const weight = fresh(`${layer.weightName}.replaced`);
    made.set(weight, keptWeight(layer, filters));
    for (const [i, one] of layer.nodes.entries()) {
      const bias = fresh(`${one.name}.bias`);
      made.set(bias, tensorOf(layer.type, [layer.shape.n], biases[i]!));
      nodes.set(one.node, denseNodes(layer, one, weight, bias, fresh));
    }
  }
  return replaceNodes(graph, nodes, made);
}

/** Weights as they were written last, by the filters: a walk writes those of all layers again for every layer. */
const written = new WeakMap<Matrix, TensorData>();

function keptWeight(layer: CalibratedLayer, filters: Matrix): TensorData {
  const found = written.get(filters) ?? denseWeight(layer, filters);
  written.set(filters, found);
  return found;
}

/** The node with other filters and another bias. */
export function denseNodes(
  layer: CalibratedLayer,
  one: LayerNode,
  weight: string,
  bias: string,
  fresh: (stem: string) => string,
): Node[] {
  const { node, input, output } = one;
  if (layer.kind === "conv") return [{ ...node, inputs: [input, weight, bias] }];
  if (layer.kind === "gemm")
    return [{ ...node, inputs: [input, weight, bias], attributes: new Map([["transB", int(1)]]) }];
  const product = fresh(`${output}.product`);
  return [{ ...node, inputs: [input, weight], outputs: [product] }, makeNode("Add", [product, bias], [output])];
}

/** Filters as the layer's nodes read them: see denseNodes. */
export function denseWeight(
  { kind, geometry, shape: { n, c, kernel }, type }: CalibratedLayer,
  filters: Matrix,
): TensorData {
  if (kind === "gemm") return tensorOf(type, [n, c], filters.data);
  if (kind === "matmul") return tensorOf(type, [c, n], transpose(filters).data);
  return tensorOf(type, [n, c, ...sidesOf(geometry.kind === "window" ? geometry.axes : 2, kernel)], filters.data);
}

/** The sizes of as many axes as the node has: of one, the horizontal. */
export const sidesOf = (axes: 1 | 2, [vertical, horizontal]: Pair): readonly number[] =>
  axes === 1 ? [horizontal] : [vertical, horizontal];
