// What the passes that put new layers in the place of convolutions share: the walk over the graph, and the layers
// that they are made of.
import { int, makeNode } from "../graph/attributes.js";
import { GraphBuilder } from "../graph/builder.js";
import { reads, replaceNodes } from "../graph/edit.js";
import type { Initialise } from "../graph/initialise.js";
import type { Graph, Node, Outcome, PassResult } from "../graph/types.js";
import { dropUnread } from "../passes/remove-unread.js";
import { type ConvLayer, convLayers, type Selection } from "./conv-layers.js";

/** What became of one convolution: why not, or what was done and which further nodes are replaced with it. */
export type Rewrite =
  | { readonly reason: string }
  | { readonly applied: string; readonly also?: ReadonlyMap<Node, readonly Node[]> };

/**
 * Puts what `write` builds in the place of every selected convolution. Parameters that no node reads any more are
 * dropped. Nodes are named below the convolution that they replace, so that two passes over different layers never
 * meet.
 */
export function replaceConvolutions(
  graph: Graph,
  pass: string,
  selection: Selection,
  initialise: Initialise,
  write: (layer: ConvLayer, net: GraphBuilder) => Rewrite,
): PassResult {
  const net = new GraphBuilder(graph.name, initialise);
  const replacements = new Map<Node, readonly Node[]>();
  const outcomes: Outcome[] = [];
  for (const layer of convLayers(graph, selection)) {
    const from = net.nodes.length;
    const rewrite: Rewrite = "reason" in layer ? layer : write(layer, net);
    const applied = !("reason" in rewrite);
    outcomes.push({ pass, layer: layer.name, applied, reason: applied ? rewrite.applied : rewrite.reason });
    if (!applied || "reason" in layer) continue;
    replacements.set(layer.node, net.nodes.slice(from));
    for (const [other, nodes] of rewrite.also ?? []) replacements.set(other, nodes);
  }
  const replaced = replaceNodes(graph, replacements, net.initializers);
  const read = [...replacements.keys()].flatMap((node) => [...reads(node)]);
  return { graph: dropUnread(replaced, read), outcomes };
}

/** Sizes of a convolution that is put somewhere in the place of a layer's. */
export interface UnitConv {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups?: number;
  readonly bias: boolean;
}

/**
 * A convolution with the layer's kernel, stride, padding and dilation, but channels and groups of its own: [n, c /
 * groups, h, w].
 */
export function spatialConv(
  net: GraphBuilder,
  layer: ConvLayer,
  x: string,
  path: string,
  o: UnitConv,
  output = path,
): string {
  const { inChannels, outChannels, groups = 1, bias } = o;
  const area = layer.kernelElements;
  const fans = {
    path,
    fanIn: (inChannels / groups) * area,
    channelsIn: inChannels * area,
    channelsOut: outChannels * area,
  };
  const weight = net.parameter(fans, "weight", "conv", [outChannels, inChannels / groups, ...layer.kernel]);
  const shift = bias ? [net.parameter(fans, "bias", "conv-bias", [outChannels])] : [];
  const attributes = Object.fromEntries([...layer.node.attributes, ["group", int(groups)]]);
  return net.push(makeNode("Conv", [x, weight, ...shift], [output], attributes, { name: path }));
}

/**
 * The activation that belongs to a layer: the one behind it, else the one before it; a second of its kind,
 * parameters shared.
 */
export function activation({ activation, activationBefore }: ConvLayer, x: string, path: string, output = path): Node {
  const like = activation ?? activationBefore ?? makeNode("Relu", [""], [""]);
  return { ...like, name: path, inputs: [x, ...like.inputs.slice(1)], outputs: [output] };
}
