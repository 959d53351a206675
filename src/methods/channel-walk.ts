// What is found on a walk over a graph about its channels (axis 1): which positions of which values and stored tensors
// are one channel, that can only go together, and why some have to stay.
//
// A channel is a set of positions, kept as a union-find: an addition ties channel i of one input to channel i of the
// other, a concatenation puts the channels of its inputs side by side, a layer makes new ones. A channel that is tied
// to one that has to stay stays too.
import type { Attribute, Node, TensorData } from "../graph/types.js";

/** The channels along axis 1 of a value, or along an axis of a stored tensor. */
export interface Channels {
  readonly ids: readonly number[];
  /** Elements of the axis that belong to one channel: 1, or more behind a Flatten; undefined where it is not known. */
  readonly inner: number | undefined;
}

/** Positions, in order, of the channels that stay. */
export type Staying = (ids: readonly number[]) => readonly number[];

/** How a node changes with its channels: attributes, and constants at places among its inputs. */
export type Patch = (staying: Staying) => {
  readonly attributes?: Readonly<Record<string, Attribute | undefined>>;
  readonly inputs?: ReadonlyMap<number, TensorData>;
};

/** A convolution or fully connected layer over channels. */
export interface ChannelLayer {
  readonly node: Node;
  /** Where its weight is stored. */
  readonly root: string;
  /** Undefined where its inputs are not channels that can be told apart, and for depthwise convolutions. */
  readonly from: Channels | undefined;
  readonly to: Channels;
  /** The axes of the weight that hold them. */
  readonly axes: { readonly from: number; readonly to: number };
  readonly depthwise: boolean;
}

export interface Walk {
  readonly layouts: ReadonlyMap<string, Channels>;
  readonly tensors: ReadonlyMap<string, ReadonlyMap<number, Channels>>;
  readonly patches: ReadonlyMap<Node, Patch>;
  readonly layers: readonly ChannelLayer[];
  of(value: string): Channels | undefined;
  put(value: string, channels: Channels): void;
  /** New channels. */
  fresh(count: number): readonly number[];
  tie(a: readonly number[], b: readonly number[]): void;
  freeze(ids: readonly number[] | undefined, reason: string): void;
  /** Says that an axis of a stored tensor holds these channels; they are tied to those said before. */
  hold(root: string, axis: number, channels: Channels): void;
  patch(node: Node, patch: Patch): void;
  layer(layer: ChannelLayer): void;
  /** The channel that a position belongs to. */
  find(id: number): number;
  /** Why a channel has to stay; undefined where it may go. */
  frozen(id: number): string | undefined;
}

/** A walk that has not begun. */
export function channelWalk(): Walk {
  const parents: number[] = [];
  const reasons = new Map<number, string>();
  const layouts = new Map<string, Channels>();
  const tensors = new Map<string, Map<number, Channels>>();
  const patches = new Map<Node, Patch>();
  const layers: ChannelLayer[] = [];
  const find = (id: number): number => {
    let root = id;
    while (parents[root] !== root) root = parents[root]!;
    for (let at = id; parents[at] !== root; ) [at, parents[at]] = [parents[at]!, root];
    return root;
  };
  const tie = (a: readonly number[], b: readonly number[]): void => {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const [x, y] = [find(a[i]!), find(b[i]!)];
      if (x === y) continue;
      const [low, high] = x < y ? [x, y] : [y, x];
      parents[high] = low;
      const reason = reasons.get(high);
      if (reason !== undefined && !reasons.has(low)) reasons.set(low, reason);
    }
  };
  const freeze = (ids: readonly number[] | undefined, reason: string): void => {
    for (const id of ids ?? []) if (!reasons.has(find(id))) reasons.set(find(id), reason);
  };
  const hold = (root: string, axis: number, channels: Channels): void => {
    const axes = tensors.get(root) ?? new Map<number, Channels>();
    tensors.set(root, axes);
    const before = axes.get(axis);
    if (before === undefined) axes.set(axis, channels);
    else if (before.ids.length === channels.ids.length) tie(before.ids, channels.ids);
    else for (const one of [before, channels]) freeze(one.ids, "its numbers are read in more than one way");
  };
  return {
    ...{ layouts, tensors, patches, layers, find, tie, freeze, hold },
    of: (value) => layouts.get(value),
    put: (value, channels) => void (value !== "" && layouts.set(value, channels)),
    fresh: (count) => Array.from({ length: count }, () => parents.push(parents.length) - 1),
    patch: (node, patch) => void patches.set(node, patch),
    layer: (layer) => void layers.push(layer),
    frozen: (id) => reasons.get(find(id)),
  };
}
