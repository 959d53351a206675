// The convolutions of a graph that can be written as chains: with their windows and sizes, in the order of the graph;
// for all others the reason why not.
import type { SkippedLayer } from "../basis/convolution.js";
import type { LayerShape, Pair } from "../basis/factors.js";
import { nodeName } from "../graph/attributes.js";
import type { Dim, Graph } from "../graph/types.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import { findLayers, type Layer } from "./layers.js";
import { type Selection as NamedSelection, skipReason } from "./pattern.js";
import { isSameWindow, type NodeWindow, windowOf } from "./stage-window.js";

export interface ChainLayer {
  readonly layer: Layer;
  readonly shape: LayerShape;
  readonly axes: 1 | 2;
  readonly window: NodeWindow;
  /** Of each node that reads the filters; undefined where shapes are not known. */
  readonly extents: readonly Extent[] | undefined;
}

interface Extent {
  readonly images: number;
  readonly input: Pair;
  readonly output: Pair;
}

export interface Selection extends NamedSelection {
  /** The first so many convolutions stay. */
  readonly keepFirst?: number;
}

export interface ChainLayers {
  readonly layers: readonly ChainLayer[];
  readonly skipped: readonly SkippedLayer[];
}

/**
 * @param takes the reason why a method skips a layer, undefined where it does not
 * @throws FilterBasisError `not-found` for a graph without any convolution
 */
export function findChainLayers(
  graph: Graph,
  inputs: ReadonlyMap<string, readonly Dim[]>,
  selection: Selection,
  takes: (layer: ChainLayer) => string | undefined = () => undefined,
): ChainLayers {
  const found = findLayers(graph);
  const skipped: SkippedLayer[] = [...found.skipped];
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  const sizes = (value: string): readonly number[] | undefined => {
    const dims = shapes.get(value)?.dims;
    return dims?.every((dim) => typeof dim === "number") ? (dims as readonly number[]) : undefined;
  };
  const { keepFirst = 0 } = selection;
  const convolutions = graph.nodes.filter(({ op, domain }) => op === "Conv" && domain === "").map(nodeName);
  const early = new Set(convolutions.slice(0, keepFirst));
  const kept = `the first ${keepFirst === 1 ? "convolution stays" : `${keepFirst} convolutions stay`} as it was`;
  const layers: ChainLayer[] = [];
  for (const layer of found.layers) {
    const read = readLayer(layer, sizes);
    const reason =
      skipReason(layer.name, selection) ??
      (early.has(layer.name) ? kept : undefined) ??
      (typeof read === "string" ? read : takes(read));
    if (reason !== undefined) skipped.push({ name: layer.name, reason });
    else layers.push(read as ChainLayer);
  }
  return { layers, skipped };
}

function readLayer(layer: Layer, sizes: (value: string) => readonly number[] | undefined): ChainLayer | string {
  const { kernel, nodes, outChannels: n, inChannels: c } = layer;
  if (kernel.length > 2) return `its kernel has ${kernel.length} axes`;
  const axes = kernel.length as 1 | 2;
  const [window, ...others] = nodes.map(({ node }) => windowOf(node, axes)) as [NodeWindow, ...NodeWindow[]];
  if (!others.every((other) => isSameWindow(window, other)))
    return "its weight is read with different strides, pads or dilations";
  if (window.auto !== "NOTSET" && window.sides.some(({ dilation }) => dilation > 1))
    return "it combines auto_pad SAME with dilation, which runtimes compute differently";
  const extents = nodes.map(({ node }): Extent | undefined => {
    const [input, output] = [sizes(node.inputs[0] ?? ""), sizes(node.outputs[0] ?? "")];
    return input && output && { images: output[0]!, input: pair(input.slice(2)), output: pair(output.slice(2)) };
  });
  const known = extents.every((extent) => extent !== undefined);
  const shape = { n, c, kernel: pair(kernel), stride: pair(window.strides) };
  return { layer, shape, axes, window, extents: known ? (extents as Extent[]) : undefined };
}

/** One axis is the horizontal one. */
const pair = (sizes: readonly number[]): Pair => [sizes.length > 1 ? sizes[0]! : 1, sizes.at(-1) ?? 1];
