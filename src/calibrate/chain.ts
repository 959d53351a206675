// The compressed network as ordinary nodes: every replaced layer as the chain of its factors, under names that come
// from the layer's.
import type { Stage } from "../basis/factors.js";
import { int, ints, makeNode, string } from "../graph/attributes.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import type { Attribute, Graph, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { dropUnread } from "../passes/remove-unread.js";
import type { Window } from "./geometry.js";
import type { CalibratedLayer, LayerNode } from "./layers.js";
import { denseNodes, denseWeight, type Replacement, sidesOf } from "./replacement.js";

/** Where a layer's values are in a graph of chains: initializers by name. */
export interface LayerNames {
  /** Of the chain's stages, or of the dense node. */
  readonly weights: readonly string[];
  /** Of the layer's nodes. */
  readonly biases: readonly string[];
}

export interface Chained {
  readonly graph: Graph;
  /** Of the layers that were written anew. */
  readonly names: ReadonlyMap<CalibratedLayer, LayerNames>;
}

/**
 * The graph with a chain of Conv nodes (of MatMul and Gemm for fully connected layers) in the place of every layer that
 * has factors; dense ones get their new filters and biases. Weights are stored in the layer's own type.
 */
export const withChains = (graph: Graph, replacements: Iterable<Replacement>): Graph =>
  chained(graph, replacements).graph;

/** @param every also writes the layers that are as they were, so that all have names of their own */
export function chained(graph: Graph, replacements: Iterable<Replacement>, { every = false } = {}): Chained {
  const fresh = freshNames(graph);
  const nodes = new Map<Node, readonly Node[]>();
  const made = new Map<string, TensorData>();
  const names = new Map<CalibratedLayer, LayerNames>();
  for (const replacement of replacements) {
    const { layer, biases, factors, filters } = replacement;
    const same = factors === undefined && !every && isUnchanged(layer, filters);
    if (same && layer.nodes.every(({ bias }, i) => biases[i]!.every((value, o) => value === (bias?.[o] ?? 0))))
      continue;
    const weights = same ? [] : addWeights(made, fresh, replacement);
    const added = layer.nodes.map((one, i) => addBias(made, fresh, layer, one, biases[i]!));
    names.set(layer, { weights, biases: added });
    for (const [i, one] of layer.nodes.entries()) {
      const bias = added[i]!;
      if (factors !== undefined) nodes.set(one.node, chainOf(layer, one, factors.stages, weights, bias, fresh));
      else if (same) nodes.set(one.node, biasedNode(layer, one, bias, fresh));
      else nodes.set(one.node, denseNodes(layer, one, weights[0]!, bias, fresh));
    }
  }
  const read = [...nodes.keys()].flatMap(({ inputs }) => inputs.slice(1));
  return { graph: dropUnread(replaceNodes(graph, nodes, made), read), names };
}

const isUnchanged = (layer: CalibratedLayer, { data }: { readonly data: Float64Array }): boolean =>
  data === layer.weight.data || data.every((value, i) => value === layer.weight.data[i]);

function addWeights(
  made: Map<string, TensorData>,
  fresh: (stem: string) => string,
  { layer, factors, filters }: Replacement,
): readonly string[] {
  if (factors === undefined) {
    const name = fresh(`${layer.weightName}.dense`);
    made.set(name, denseWeight(layer, filters));
    return [name];
  }
  return factors.stages.map((stage, i) => {
    const name = fresh(`${layer.weightName}.${i + 1}`);
    made.set(name, stageWeight(layer, stage, i, factors.stages.length));
    return name;
  });
}

function addBias(
  made: Map<string, TensorData>,
  fresh: (stem: string) => string,
  { shape, type }: CalibratedLayer,
  one: LayerNode,
  values: Float64Array,
): string {
  const name = fresh(`${one.name}.bias`);
  made.set(name, tensorOf(type, [shape.n], values));
  return name;
}

function biasedNode(
  { kind }: CalibratedLayer,
  one: LayerNode,
  bias: string,
  fresh: (stem: string) => string,
): readonly Node[] {
  const { node, output } = one;
  const [input = "", weight = ""] = node.inputs;
  if (kind !== "matmul") return [{ ...node, inputs: [input, weight, bias] }];
  const product = fresh(`${output}.product`);
  return [{ ...node, outputs: [product] }, makeNode("Add", [product, bias], [output])];
}

function chainOf(
  layer: CalibratedLayer,
  { name, input, output }: LayerNode,
  stages: readonly Stage[],
  weights: readonly string[],
  bias: string,
  fresh: (stem: string) => string,
): readonly Node[] {
  const nodes: Node[] = [];
  let value = input;
  for (const [i, stage] of stages.entries()) {
    const last = i === stages.length - 1;
    const target = last ? output : fresh(`${output}.${i + 1}`);
    const named = { name: `${name}.${i + 1}` };
    const inputs = [value, weights[i]!, ...(last ? [bias] : [])];
    if (layer.geometry.kind === "window") {
      nodes.push(makeNode("Conv", inputs, [target], stageAttributes(layer.geometry, stage), named));
    } else if (last && layer.kind === "gemm") {
      nodes.push(makeNode("Gemm", inputs, [target], { transB: int(1) }, named));
    } else {
      const product = last ? fresh(`${output}.product`) : target;
      nodes.push(makeNode("MatMul", inputs.slice(0, 2), [product], {}, named));
      if (last) nodes.push(makeNode("Add", [product, bias], [target]));
    }
    value = target;
  }
  return nodes;
}

/** Padding and dilation are those of the axes that the stage carries. */
export function stageAttributes(
  { axes, dilation, begin, end, same }: Window,
  stage: Omit<Stage, "weight">,
): Readonly<Record<string, Attribute>> {
  const { kernel, stride, groups, carries } = stage;
  const carried = (values: readonly [number, number], otherwise: number): readonly number[] =>
    sidesOf(axes, [carries[0] ? values[0] : otherwise, carries[1] ? values[1] : otherwise]);
  const padding =
    same !== undefined && (carries[0] || carries[1])
      ? { auto_pad: string(same) }
      : { pads: ints([...carried(begin, 0), ...carried(end, 0)]) };
  return {
    dilations: ints(carried(dilation, 1)),
    group: int(groups),
    kernel_shape: ints(sidesOf(axes, kernel)),
    ...padding,
    strides: ints(sidesOf(axes, stride)),
  };
}

function stageWeight(
  { geometry, kind, type }: CalibratedLayer,
  stage: Stage,
  index: number,
  count: number,
): TensorData {
  const { weight, out, groups, kernel } = stage;
  const perGroup = stage.in / groups;
  if (geometry.kind === "window") return tensorOf(type, [out, perGroup, ...sidesOf(geometry.axes, kernel)], weight);
  if (kind === "gemm" && index === count - 1) return tensorOf(type, [out, perGroup], weight);
  return tensorOf(type, [perGroup, out], transpose(matrix(out, perGroup, weight)).data);
}

/** What `chained` stored, read back: values of a stage or of dense filters, row-major [out, in / groups, kernel]. */
export function storedOrder(
  { kind }: CalibratedLayer,
  { out, groups, ...stage }: Stage,
  last: boolean,
  stored: Float64Array,
): Float64Array {
  if (kind === "conv" || (kind === "gemm" && last)) return stored;
  return transpose(matrix(stage.in / groups, out, stored)).data;
}
