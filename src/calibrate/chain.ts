// The compressed network as ordinary nodes: every replaced layer as the chain of its factors, under names that come from
// the layer's.
import type { Stage } from "../basis/factors.js";
import { int, ints, makeNode, string } from "../graph/attributes.js";
import { freshNames, replaceNodes } from "../graph/edit.js";
import type { Attribute, Graph, Node, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { removeDeadNodes } from "../passes/remove-dead-nodes.js";
import type { Window } from "./geometry.js";
import type { CalibratedLayer, LayerNode } from "./layers.js";
import { type Replacement, sidesOf, withReplacements } from "./replacement.js";

/**
 * The graph with a chain of Conv nodes (of MatMul and Gemm for fully connected layers) in the place of every layer that
 * has factors; dense ones get their new filters and biases. Weights are stored in the layer's own type.
 */
export function withChains(graph: Graph, replacements: Iterable<Replacement>): Graph {
  const all = [...replacements];
  const dense = all.filter(({ factors, layer, filters }) => factors === undefined && !isUnchanged(layer, filters));
  const biased = all.filter(({ factors, layer, filters }) => factors === undefined && isUnchanged(layer, filters));
  const chained = all.filter(({ factors }) => factors !== undefined);
  const fresh = freshNames(graph);
  const nodes = new Map<Node, readonly Node[]>();
  const made = new Map<string, TensorData>();
  for (const { layer, biases, factors } of chained) {
    const weights = factors!.stages.map((stage, i) => {
      const name = fresh(`${layer.weightName}.${i + 1}`);
      made.set(name, stageWeight(layer, stage, i, factors!.stages.length));
      return name;
    });
    for (const [i, one] of layer.nodes.entries()) {
      const bias = addBias(made, fresh, layer, one, biases[i]!);
      nodes.set(one.node, chainOf(layer, one, factors!.stages, weights, bias, fresh));
    }
  }
  for (const { layer, biases } of biased) {
    for (const [i, one] of layer.nodes.entries()) {
      if (biases[i]!.every((value, o) => value === (one.bias?.[o] ?? 0))) continue;
      const bias = addBias(made, fresh, layer, one, biases[i]!);
      nodes.set(one.node, biasedNode(layer, one, bias, fresh));
    }
  }
  return removeDeadNodes(withReplacements(replaceNodes(graph, nodes, made), dense)).graph;
}

const isUnchanged = (layer: CalibratedLayer, { data }: { readonly data: Float64Array }): boolean =>
  data === layer.weight.data || data.every((value, i) => value === layer.weight.data[i]);

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

function biasedNode({ kind }: CalibratedLayer, one: LayerNode, bias: string, fresh: (stem: string) => string): readonly Node[] {
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
      nodes.push(makeNode("Conv", inputs, [target], attributesOf(layer.geometry, stage), named));
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
function attributesOf({ axes, dilation, begin, end, same }: Window, stage: Stage): Readonly<Record<string, Attribute>> {
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

function stageWeight({ geometry, kind, type }: CalibratedLayer, stage: Stage, index: number, count: number): TensorData {
  const { weight, out, groups, kernel } = stage;
  const perGroup = stage.in / groups;
  if (geometry.kind === "window") return tensorOf(type, [out, perGroup, ...sidesOf(geometry.axes, kernel)], weight);
  if (kind === "gemm" && index === count - 1) return tensorOf(type, [out, perGroup], weight);
  return tensorOf(type, [perGroup, out], transpose(matrix(out, perGroup, weight)).data);
}
