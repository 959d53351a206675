// Channels that one convolution makes and that only layers read, with nothing but activations, pools and the
// convolution's own batch norm in between: there a matrix may be put between the two.
import { readFloat } from "../graph/attributes.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph, Node } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { placesOf } from "../ops/operator.js";
import { operatorOf } from "../ops/table.js";
import { type ChannelOptions, classReason } from "./channel-budget.js";
import type { ChannelClass, ChannelGraph } from "./channel-classes.js";
import type { ChannelLayer } from "./channel-walk.js";

export interface ChannelInterface {
  readonly of: ChannelClass;
  readonly maker: ChannelLayer;
  /** The batch norm that reads what the layer makes. */
  readonly norm: Node | undefined;
  readonly readers: readonly ChannelLayer[];
}

/** The interface of a class, or why it is none. */
export function interfaceOf(
  graph: Graph,
  { walk }: ChannelGraph,
  one: ChannelClass,
  options: ChannelOptions,
): ChannelInterface | { readonly reason: string } {
  const reason = classReason(one, options);
  if (reason !== undefined) return { reason };
  const own = new Set(one.channels);
  const touches = (ids: readonly number[] | undefined): boolean => ids?.some((id) => own.has(walk.find(id))) === true;
  const whole = (ids: readonly number[] | undefined): boolean =>
    ids?.length === one.channels.length && ids.every((id, place) => walk.find(id) === one.channels[place]);
  const touching = walk.layers.filter(({ to }) => touches(to.ids));
  const makers = touching.filter(({ depthwise }) => !depthwise);
  if (touching.length > makers.length) return { reason: "a depthwise convolution works on each of its channels" };
  const [maker] = makers;
  if (maker === undefined || makers.length > 1 || maker.node.op !== "Conv")
    return { reason: "its channels are made by more than one convolution" };
  const readers = walk.layers.filter(({ from }) => touches(from?.ids));
  if (
    !whole(maker.to.ids) ||
    readers.length === 0 ||
    readers.some(({ from }) => !whole(from?.ids) || from?.inner !== 1)
  )
    return { reason: "its channels are not read as they are made" };
  const { soleReader } = indexOf(graph);
  const behind = soleReader(maker.node.outputs[0]!);
  const norm = behind?.op === "BatchNormalization" && behind.domain === "" ? behind : undefined;
  const ends = new Set(readers.map(({ node }) => node));
  for (const node of graph.nodes) {
    if (node === maker.node || node === norm || ends.has(node)) continue;
    if (!touches(walk.of(node.outputs[0] ?? "")?.ids)) continue;
    const operator = operatorOf(node);
    const plain = operator?.channels !== "tied" && placesOf(operator, "scale", "shift", "slope").length === 0;
    if (!plain) return { reason: `${node.op} works on each of its channels` };
  }
  return { of: one, maker, norm, readers };
}

/** Filters with their batch norm folded in, k W and k b + t, and what the norm says of their outputs. */
export interface FoldedFilters {
  /** [n, c h w] */
  readonly filters: Matrix;
  readonly bias: Float64Array;
  /** Mean and variance of each output by the norm's statistics; undefined without a norm. */
  readonly statistics:
    | { readonly mean: Float64Array; readonly variance: Float64Array; readonly epsilon: number }
    | undefined;
}

export function foldedFilters(graph: Graph, { maker, norm }: ChannelInterface): FoldedFilters {
  const { stored } = indexOf(graph);
  const read = (name: string | undefined) => numbers(stored(name ?? "")!.tensor);
  const { tensor } = stored(maker.node.inputs[1]!)!;
  const [n = 0] = tensor.dims;
  const filters = numbers(tensor).slice();
  const width = filters.length / n;
  const bias = (maker.node.inputs[2] ?? "") === "" ? new Float64Array(n) : read(maker.node.inputs[2]).slice();
  if (norm === undefined) return { filters: matrix(n, width, filters), bias, statistics: undefined };
  const [scale, shift, mean, variance] = norm.inputs.slice(1).map(read) as Float64Array[];
  const epsilon = readFloat(norm, "epsilon", 1e-5);
  for (let o = 0; o < n; o++) {
    const k = scale![o]! / Math.sqrt(variance![o]! + epsilon);
    for (let at = o * width; at < (o + 1) * width; at++) filters[at] = filters[at]! * k;
    bias[o] = k * (bias[o]! - mean![o]!) + shift![o]!;
  }
  // a normalised output has the mean `shift` and the deviation |scale|
  const statistics = { mean: shift!.slice(), variance: scale!.map((value) => value * value), epsilon };
  return { filters: matrix(n, width, filters), bias, statistics };
}
