// What each kind of operator makes of channels (`Operator.channels`): layers make new ones, element-wise operators keep
// or tie them. A rule that cannot tell says why, and then everything that the node reads has to stay.
import { int, readInt } from "../graph/attributes.js";
import type { GraphIndex, Stored } from "../graph/graph-index.js";
import type { Dim, Node } from "../graph/types.js";
import { type ChannelRule, placesOf } from "../ops/operator.js";
import { operatorOf } from "../ops/table.js";
import {
  joined,
  measured,
  padded,
  picked,
  reduced,
  reshaped,
  resized,
  sliced,
  split,
  transposed,
} from "./channel-moves.js";
import type { Channels, Walk } from "./channel-walk.js";

/** One node on the walk. */
export interface At {
  readonly node: Node;
  readonly walk: Walk;
  readonly index: GraphIndex;
  readonly opset: number;
  readonly dims: (value: string) => readonly Dim[] | undefined;
  /** The numbers in a value where they are known before anything runs. */
  readonly numbers: (value: string | undefined) => readonly number[] | undefined;
  /** Stored tensors at places of the node that the rule has understood. */
  readonly understood: Set<number>;
  /** Whether a selection of channels (Gather) may give up those that its input keeps. */
  readonly selects: boolean;
}

/** Why the node's channels cannot be told apart; undefined where they can. */
export type Rule = (at: At) => string | undefined;

export const channelRules: Readonly<Record<ChannelRule, Rule>> = {
  ...{ kept, tied, layer },
  ...{ joined, split, sliced, picked, padded, reshaped, reduced, resized, transposed, measured },
};

/** A stored tensor at a place of a node. */
const storedAt = ({ node, index }: At, place: number): Stored | undefined => index.stored(node.inputs[place] ?? "");

/** Channels of a tensor's axis of a size: those of a value, in as many elements each as fit. */
function along(ids: readonly number[], size: number): Channels | undefined {
  const inner = size / ids.length;
  return Number.isInteger(inner) && inner > 0 ? { ids, inner } : undefined;
}

/** Each channel stays by itself; parameters of a normalisation have one number for each. */
function kept(at: At): string | undefined {
  const { node, walk, understood } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  for (const place of placesOf(operatorOf(node), "scale", "shift", "mean", "variance")) {
    const stored = storedAt(at, place);
    const held = stored && along(channels.ids, stored.tensor.dims[0] ?? 0);
    if (stored === undefined || held === undefined) return "its parameters are computed";
    walk.hold(stored.root, 0, held);
    understood.add(place);
  }
  if (node.outputs.slice(1).some((output) => output !== "" && !isUnread(at, output)))
    return "it has more outputs than one";
  walk.put(node.outputs[0] ?? "", channels);
  return undefined;
}

const isUnread = ({ index }: At, value: string): boolean =>
  !index.outputs.has(value) && (index.consumers.get(value) ?? []).length === 0;

/** The channels of all inputs go together, those of constants too; one number for all ties nothing. */
function tied(at: At): string | undefined {
  const { node, walk, understood, dims } = at;
  if (node.attributes.has("axis") || node.attributes.has("broadcast"))
    return "it broadcasts as operators did before opset 7";
  const values = node.inputs.map((input) => walk.of(input));
  const widest = values.reduce((a, b) => (b && (!a || b.ids.length > a.ids.length) ? b : a), undefined);
  if (widest === undefined) return undefined;
  const rank = dims(node.inputs[values.indexOf(widest)]!)?.length;
  if (rank === undefined) return "the axes of what it reads are not known";
  for (const [place, input] of node.inputs.entries()) {
    const own = values[place];
    if (own !== undefined) {
      if (dims(input)?.length !== rank || own.inner !== widest.inner) return "what it reads has other axes";
      if (own.ids.length === widest.ids.length) walk.tie(widest.ids, own.ids);
      else if (own.ids.length === 1) walk.freeze(own.ids, "it is one channel for many");
      else return "what it reads has other channels";
      continue;
    }
    const reason = tieConstant(at, place, widest, rank);
    if (reason !== undefined) return reason;
    understood.add(place);
  }
  walk.put(node.outputs[0] ?? "", widest);
  return undefined;
}

function tieConstant(at: At, place: number, channels: Channels, rank: number): string | undefined {
  const { node, walk, dims } = at;
  const sizes = dims(node.inputs[place]!);
  if (sizes === undefined) return "it reads something whose sizes are not known";
  if (sizes.length > rank) return "what it reads has other axes";
  const axis = 1 - (rank - sizes.length);
  if (axis < 0 || sizes[axis] === 1) return undefined;
  const stored = storedAt(at, place);
  const held = along(channels.ids, typeof sizes[axis] === "number" ? sizes[axis] : 0);
  if (stored === undefined || held === undefined) return "it reads computed numbers of each channel";
  if (channels.inner !== undefined && held.inner !== channels.inner) return "what it reads has other channels";
  walk.hold(stored.root, axis, held);
  return undefined;
}

function layer(at: At): string | undefined {
  if (at.node.op === "Conv" || at.node.op === "ConvTranspose") return convolution(at);
  return matrix(at);
}

/** Conv W [n, c / groups, ...], ConvTranspose W [c, n / groups, ...]; b [n]. */
function convolution(at: At): string | undefined {
  const { node, walk, understood } = at;
  const stored = storedAt(at, 1);
  const from = walk.of(node.inputs[0] ?? "");
  if (stored === undefined) return "its weight is computed";
  const { root, tensor } = stored;
  const [first = 0, second = 0] = tensor.dims;
  const groups = readInt(node, "group", 1);
  const turned = node.op === "ConvTranspose";
  const [n, c] = turned ? [second * groups, first] : [first, second * groups];
  if (groups > 1) {
    const depthwise = groups === c && n % c === 0 && (!turned || n === c);
    if (!depthwise) return `it has ${groups} groups`;
    return from?.ids.length === c ? depthwiseConvolution(at, stored, from, n / c) : undefined;
  }
  if (from !== undefined && (from.ids.length !== c || from.inner !== 1)) return "its weight has other channels";
  if (from !== undefined) walk.hold(root, turned ? 0 : 1, from);
  const to = holdNew(walk, root, turned ? 1 : 0, n);
  const reason = holdBias(at, 2, to);
  if (reason !== undefined) return reason;
  understood.add(1);
  walk.layer({ node, root, from, to, axes: turned ? { from: 0, to: 1 } : { from: 1, to: 0 }, depthwise: false });
  walk.put(node.outputs[0] ?? "", to);
  return undefined;
}

function depthwiseConvolution(at: At, { root }: Stored, from: Channels, times: number): string | undefined {
  const { node, walk, understood } = at;
  const to = { ids: from.ids.flatMap((id) => new Array<number>(times).fill(id)), inner: 1 };
  walk.hold(root, 0, to);
  const reason = holdBias(at, 2, to);
  if (reason !== undefined) return reason;
  understood.add(1);
  walk.patch(node, (staying) => ({ attributes: { group: int(staying(from.ids).length) } }));
  walk.layer({ node, root, from: undefined, to, axes: { from: 1, to: 0 }, depthwise: true });
  walk.put(node.outputs[0] ?? "", to);
  return undefined;
}

/** New channels along an axis of a weight; those that it has already, where another node reads it too. */
function holdNew(walk: Walk, root: string, axis: number, count: number): Channels {
  const known = walk.tensors.get(root)?.get(axis);
  if (known?.ids.length === count) return { ids: known.ids, inner: 1 };
  const made = { ids: walk.fresh(count), inner: 1 };
  walk.hold(root, axis, made);
  return made;
}

function holdBias(at: At, place: number, to: Channels): string | undefined {
  const { node, walk, understood } = at;
  if ((node.inputs[place] ?? "") === "") return undefined;
  const bias = storedAt(at, place);
  if (bias === undefined) return "its bias is computed";
  const { dims } = bias.tensor;
  const axis = dims.length - 1;
  understood.add(place);
  if (axis < 0 || (dims[axis] === 1 && to.ids.length > 1)) return undefined;
  if (dims[axis] !== to.ids.length) return "its bias has other channels";
  walk.hold(bias.root, axis, to);
  return undefined;
}

/** Gemm and MatMul of rows [N, c] with a stored weight. */
function matrix(at: At): string | undefined {
  const { node, walk, understood, dims } = at;
  const stored = storedAt(at, 1);
  const from = walk.of(node.inputs[0] ?? "");
  if (stored === undefined || stored.tensor.dims.length !== 2) return "its weight is computed";
  if (readInt(node, "transA", 0) !== 0) return "it turns its input";
  if (from !== undefined && dims(node.inputs[0]!)?.length !== 2) return "it works along another axis than channels";
  if (node.op === "MatMul" && dims(node.inputs[0]!)?.length !== 2) return undefined;
  const turned = readInt(node, "transB", 0) !== 0;
  const [rows, columns] = stored.tensor.dims as [number, number];
  const held = from && along(from.ids, turned ? columns : rows);
  if (from !== undefined && held === undefined) return "its weight has other channels";
  if (from?.inner !== undefined && held?.inner !== from.inner) return "its weight has other channels";
  if (held !== undefined) walk.hold(stored.root, turned ? 1 : 0, held);
  const to = holdNew(walk, stored.root, turned ? 0 : 1, turned ? rows : columns);
  const reason = node.op === "Gemm" ? holdBias(at, 2, to) : undefined;
  if (reason !== undefined) return reason;
  understood.add(1);
  const axes = turned ? { from: 1, to: 0 } : { from: 0, to: 1 };
  walk.layer({ node, root: stored.root, from: held, to, axes, depthwise: false });
  walk.put(node.outputs[0] ?? "", to);
  return undefined;
}
