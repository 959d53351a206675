// Classes of channels of a graph: channels that the same layers make and the same layers read. Found from any graph;
// inputs and outputs of the model stay, and where channels cannot be told apart they stay too, with the reason.
import { nodeName } from "../graph/attributes.js";
import { feeds, reads } from "../graph/edit.js";
import { type GraphIndex, indexOf } from "../graph/graph-index.js";
import type { Dim, Graph, Node } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { constantValues } from "../ops/constant-values.js";
import { inferKnown } from "../ops/infer.js";
import { operatorOf } from "../ops/table.js";
import { type At, channelRules } from "./channel-rules.js";
import { type Channels, channelWalk, type Walk } from "./channel-walk.js";
import { compressedNodes } from "./compressed-layers.js";

/** Channels that are alike: made by the same layers, read by the same layers. */
export interface ChannelClass {
  /** Of the first layer that makes them, or that reads them. */
  readonly name: string;
  /** Names of the layers that make them; depthwise convolutions, which keep them apart, are none. */
  readonly makers: readonly string[];
  /** One position for each channel, in the order of the layer that makes them. */
  readonly channels: readonly number[];
  /** Why they have to stay; undefined where they may go. */
  readonly reason: string | undefined;
}

export interface ChannelGraph {
  readonly walk: Walk;
  readonly classes: readonly ChannelClass[];
}

export interface ChannelOptions {
  /** Shapes that fix free axes of the inputs. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  /** Whether a Gather of channels may give up some of those that it picks, while its input keeps them. */
  readonly selects?: boolean;
}

/** Nodes in topological order, weights stored as their layers read them (see `prepareForPlanning`). */
export function findChannels(graph: Graph, { inputs, selects = false }: ChannelOptions = {}): ChannelGraph {
  const index = indexOf(graph);
  const known = inferKnown(graph, inputs);
  const constant = constantValues(graph);
  const compressed = compressedNodes(graph);
  const walk = channelWalk();
  const understood = new Map<Node, Set<number>>();
  for (const { name } of feeds(graph))
    unknownChannels(walk, name, known.get(name)?.dims, "it is an input of the model");
  for (const node of graph.nodes) {
    if (node.outputs.every((output) => output === "" || constant.has(output))) continue;
    const places = new Set<number>();
    understood.set(node, places);
    const at: At = {
      ...{ node, walk, index, understood: places, selects, opset: graph.opsets.get("") ?? 1 },
      dims: (value) => known.get(value)?.dims,
      numbers: (value) => wholeNumbers(value === undefined ? undefined : known.get(value)?.elements),
    };
    const rule = compressed.has(node) ? undefined : operatorOf(node)?.channels;
    const reason =
      rule === undefined
        ? compressed.has(node)
          ? "it is compressed already"
          : `${node.op} mixes them`
        : channelRules[rule](at);
    if (reason === undefined) continue;
    const told = `${nodeName(node)} (${node.op}) reads or makes them: ${reason}`;
    for (const value of reads(node)) walk.freeze(walk.of(value)?.ids, told);
    places.clear();
    for (const output of node.outputs) unknownChannels(walk, output, known.get(output)?.dims, told);
  }
  freezeOtherReaders(graph, index, walk, understood);
  for (const { name } of graph.outputs) walk.freeze(walk.of(name)?.ids, "it is an output of the model");
  return { walk, classes: classesOf(walk) };
}

/** Channels of a value of which nothing is known but their number. */
function unknownChannels(walk: Walk, value: string, dims: readonly Dim[] | undefined, reason: string): void {
  const count = dims?.[1];
  if (typeof count !== "number" || count < 1 || walk.of(value) !== undefined) return;
  const ids = walk.fresh(count);
  walk.freeze(ids, reason);
  walk.put(value, { ids, inner: 1 });
}

const wholeNumbers = (elements: readonly Dim[] | undefined): readonly number[] | undefined =>
  elements?.every((element) => typeof element === "number") ? (elements as readonly number[]) : undefined;

/** A stored tensor that some node reads in a way that was not understood, or that is given out, stays as it is. */
function freezeOtherReaders(
  graph: Graph,
  index: GraphIndex,
  walk: Walk,
  understood: ReadonlyMap<Node, ReadonlySet<number>>,
): void {
  const stays = (value: string, reason: string): void => {
    const root = index.stored(value)?.root ?? value;
    for (const { ids } of walk.tensors.get(root)?.values() ?? []) walk.freeze(ids, reason);
  };
  for (const [node, places] of understood) {
    const reason = `${nodeName(node)} (${node.op}) reads its numbers too`;
    for (const [place, value] of node.inputs.entries()) if (!places.has(place)) stays(value, reason);
    const own = new Set(node.inputs);
    for (const value of reads(node)) if (!own.has(value)) stays(value, reason);
  }
  for (const node of graph.nodes)
    if (!understood.has(node) && node.op !== "Identity" && node.op !== "Cast")
      for (const value of reads(node)) stays(value, `${nodeName(node)} (${node.op}) computes with its numbers`);
  for (const { name } of graph.outputs) stays(name, "its numbers are an output of the model");
  for (const [root, axes] of walk.tensors) {
    const type = graph.initializers.get(root)?.type ?? index.stored(root)?.tensor.type;
    if (type === undefined || !isFloat(type))
      for (const { ids } of axes.values()) walk.freeze(ids, "its numbers are not stored as floats");
  }
}

function classesOf(walk: Walk): readonly ChannelClass[] {
  const places = new Map<number, string[]>();
  const makers = new Map<number, string[]>();
  const readers = new Map<number, string>();
  const note = (notes: Map<number, string[]>, { ids }: Channels, what: string) => {
    for (const id of new Set(ids.map(walk.find))) {
      const list = notes.get(id);
      if (list === undefined) notes.set(id, [what]);
      else list.push(what);
    }
  };
  let serial = 0;
  for (const axes of walk.tensors.values())
    for (const channels of axes.values()) note(places, channels, String(serial++));
  for (const { to, node, depthwise } of walk.layers) if (!depthwise) note(makers, to, nodeName(node));
  for (const { from, node } of walk.layers)
    for (const id of from?.ids ?? []) readers.set(walk.find(id), readers.get(walk.find(id)) ?? nodeName(node));
  const classes = new Map<string, { -readonly [K in keyof ChannelClass]: ChannelClass[K] }>();
  for (const [id, where] of [...places].sort(([a], [b]) => a - b)) {
    const made = makers.get(id) ?? [];
    const name = made[0] ?? `before ${readers.get(id)}`;
    const reason = walk.frozen(id);
    const key = JSON.stringify([where, reason ?? null]);
    const known = classes.get(key);
    if (known === undefined) classes.set(key, { name, makers: made, channels: [id], reason });
    else known.channels = [...known.channels, id];
  }
  return [...classes.values()];
}
