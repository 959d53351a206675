// What operators that join, cut, pick and reshape make of channels, and how their constants change when some go.
import { int64Tensor, ints, readInt, readInts } from "../graph/attributes.js";
import type { Node } from "../graph/types.js";
import type { At } from "./channel-rules.js";
import type { Channels, Staying } from "./channel-walk.js";

type Outcome = string | undefined;

const sizes = (...values: number[]) => int64Tensor([values.length], values);
const counted = (staying: Staying, ids: readonly number[], channels: Channels): number =>
  staying(ids).length * (channels.inner ?? 1);

/** An axis counted from the front; undefined where that is not known. */
function axisOf({ node, dims }: At, axis: number, value = node.inputs[0]!): number | undefined {
  const rank = dims(value)?.length;
  return axis >= 0 ? axis : rank === undefined ? undefined : axis + rank;
}

/** A list that is an attribute in old opsets and an input in new ones. */
const listed = ({ node, numbers }: At, name: string, place: number): readonly number[] | undefined =>
  readInts(node, name, undefined) ?? numbers(node.inputs[place]);

export function joined(at: At): Outcome {
  const { node, walk, dims } = at;
  const parts = node.inputs.map((input) => walk.of(input));
  if (parts.every((part) => part === undefined)) return undefined;
  const axis = axisOf(at, readInt(node, "axis", 1));
  const first = parts.find((part) => part !== undefined)!;
  if (axis === undefined || axis === 0) return "it joins along the batch";
  if (parts.some((part) => part !== undefined && part.inner !== first.inner)) return "what it joins has other axes";
  if (axis > 1) {
    if (parts.some((part) => part?.ids.length !== first.ids.length)) return "what it joins has other channels";
    for (const part of parts) walk.tie(first.ids, part!.ids);
    walk.put(node.outputs[0] ?? "", first);
    return undefined;
  }
  const all = parts.map((part, place) => {
    if (part !== undefined) return part.ids;
    const size = dims(node.inputs[place]!)?.[1];
    if (typeof size !== "number" || size % (first.inner ?? 1) !== 0) return undefined;
    const made = walk.fresh(size / (first.inner ?? 1));
    walk.freeze(made, "it is joined with channels that cannot be told apart");
    return made;
  });
  if (all.some((ids) => ids === undefined)) return "what it joins is not known";
  walk.put(node.outputs[0] ?? "", { ids: all.flatMap((ids) => ids!), inner: first.inner });
  return undefined;
}

export function split(at: At): Outcome {
  const { node, walk, opset } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const axis = axisOf(at, readInt(node, "axis", 0));
  if (axis === undefined || axis === 0 || channels.inner !== 1) return "it cuts another axis than channels";
  if (axis > 1) {
    for (const output of node.outputs) walk.put(output, channels);
    return undefined;
  }
  const count = node.outputs.length;
  const stated = listed(at, "split", 1);
  if (stated === undefined && (node.inputs[1] ?? "") !== "") return "where it cuts is computed";
  const parts = stated ?? node.outputs.map(() => channels.ids.length / count);
  if (!parts.every(Number.isInteger)) return "its parts are not equal";
  let start = 0;
  const pieces = parts.map((part) => channels.ids.slice(start, (start += part)));
  pieces.forEach((ids, place) => void walk.put(node.outputs[place] ?? "", { ids, inner: 1 }));
  walk.patch(node, (staying) => {
    const left = pieces.map((ids) => staying(ids).length);
    if (opset < 13) return { attributes: { split: ints(left) } };
    return { attributes: { num_outputs: undefined }, inputs: new Map([[1, sizes(...left)]]) };
  });
  return undefined;
}

export function sliced(at: At): Outcome {
  const { node, walk, numbers } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const old = node.attributes.has("starts");
  const [starts, ends] = [listed(at, "starts", 1), listed(at, "ends", 2)];
  const stated = listed(at, "axes", 3);
  if (starts === undefined || ends === undefined) return "where it cuts is computed";
  if (!old && (node.inputs[3] ?? "") !== "" && stated === undefined) return "where it cuts is computed";
  const axes = (stated ?? starts.map((_, axis) => axis)).map((axis) => axisOf(at, axis));
  if (axes.includes(undefined) || axes.includes(0)) return "it cuts the batch";
  const place = axes.indexOf(1);
  if (place < 0) {
    walk.put(node.outputs[0] ?? "", channels);
    return undefined;
  }
  const step = (node.inputs[4] ?? "") === "" ? 1 : numbers(node.inputs[4])?.[place];
  const total = channels.ids.length;
  const clamped = (cut: number) => Math.min(Math.max(cut < 0 ? cut + total : cut, 0), total);
  const [from, to] = [clamped(starts[place]!), clamped(ends[place]!)];
  if (old || step !== 1 || channels.inner !== 1 || to <= from) return "how it cuts its channels is not understood";
  walk.put(node.outputs[0] ?? "", { ids: channels.ids.slice(from, to), inner: 1 });
  walk.patch(node, (staying) => {
    const before = (cut: number): number => staying(channels.ids.slice(0, cut)).length;
    const changed = (list: readonly number[], cut: number) => sizes(...list.with(place, before(cut)));
    const inputs = [changed(starts, from), changed(ends, to)].map((tensor, at) => [at + 1, tensor] as const);
    return { inputs: new Map(inputs) };
  });
  return undefined;
}

export function picked(at: At): Outcome {
  const { node, walk, index, selects, dims } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const axis = axisOf(at, readInt(node, "axis", 0));
  const places = at.numbers(node.inputs[1]);
  if (axis !== 1) return "it picks along another axis than channels";
  if (places === undefined || index.stored(node.inputs[1]!)?.tensor.dims.length !== 1)
    return "what it picks is computed";
  const rank = dims(node.inputs[0]!)?.length;
  if (channels.inner !== 1 || rank === undefined) return "what it picks is not known";
  const wanted = places.map((place) => channels.ids[place < 0 ? place + channels.ids.length : place]!);
  const made = selects ? walk.fresh(places.length) : wanted;
  if (selects) walk.freeze(channels.ids, "channels are selected from it");
  walk.put(node.outputs[0] ?? "", { ids: made, inner: 1 });
  walk.patch(node, (staying) => {
    const left = new Map(staying(channels.ids).map((place, now) => [place, now]));
    const all = places.map((place) => left.get(place < 0 ? place + channels.ids.length : place));
    return { inputs: new Map([[1, sizes(...staying(made).map((place) => all[place]!))]]) };
  });
  return undefined;
}

export function padded(at: At): Outcome {
  const { node, walk, dims } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const rank = dims(node.inputs[0]!)?.length;
  const pads = listed(at, "pads", 1);
  if (pads === undefined || rank === undefined || pads.length !== 2 * rank) return "how it pads is not known";
  const [before, behind] = [pads[1]!, pads[rank + 1]!];
  if (before < 0 || behind < 0 || pads[0] !== 0 || pads[rank] !== 0) return "it cuts channels off";
  if (before + behind > 0 && channels.inner !== 1) return "it pads behind a Flatten";
  const constant = (count: number) => {
    const ids = walk.fresh(count);
    walk.freeze(ids, "it is tied to channels that are padded");
    return ids;
  };
  const ids = [...constant(before), ...channels.ids, ...constant(behind)];
  walk.put(node.outputs[0] ?? "", { ids, inner: channels.inner });
  return undefined;
}

export function reduced(at: At): Outcome {
  const { node, walk } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const axes = listed(at, "axes", 1)?.map((axis) => axisOf(at, axis));
  if (axes === undefined || axes.length === 0 || axes.some((axis) => axis === undefined || axis < 2))
    return "it sums over channels";
  walk.put(node.outputs[0] ?? "", channels);
  return undefined;
}

export function transposed({ node, walk }: At): Outcome {
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const order = readInts(node, "perm", []);
  if (order[0] !== 0 || order[1] !== 1) return "it moves the axis of channels";
  walk.put(node.outputs[0] ?? "", channels);
  return undefined;
}

/** Sizes that name the channels are changed with them; scales are 1 there. */
export function resized(at: At): Outcome {
  const { node, walk, numbers, dims } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const [from, to] = [dims(node.inputs[0]!), dims(node.outputs[0]!)];
  if (from === undefined || to === undefined || from[1] !== to[1]) return "it resizes channels";
  walk.put(node.outputs[0] ?? "", channels);
  const wanted = numbers(node.inputs[3]);
  if (node.attributes.has("axes") || wanted === undefined) return undefined;
  walk.patch(node, (staying) => ({
    inputs: new Map([[3, sizes(...wanted.with(1, counted(staying, channels.ids, channels)))]]),
  }));
  return undefined;
}

/** Flatten, and a Reshape, Squeeze or Unsqueeze that leaves the axis of channels or takes those behind it into it. */
export function reshaped(at: At): Outcome {
  const { node, walk, dims } = at;
  const channels = walk.of(node.inputs[0] ?? "");
  if (channels === undefined) return undefined;
  const [from, to] = [dims(node.inputs[0]!), dims(node.outputs[0]!)];
  if (from === undefined || to === undefined || from[0] !== to[0]) return "what it does with the batch is not known";
  if (to.length > 1 && to[1] === from[1]) return reshapedTo(at, channels);
  const behind = from
    .slice(2)
    .reduce<number | undefined>((n, dim) => (n === undefined || typeof dim !== "number" ? undefined : n * dim), 1);
  if (to.length !== 2) return "it cuts or moves the axis of channels";
  const inner = behind === undefined || channels.inner === undefined ? undefined : behind * channels.inner;
  if (inner !== undefined && to[1] !== inner * channels.ids.length) return "it moves the axis of channels";
  return reshapedTo(at, { ids: channels.ids, inner });
}

function reshapedTo({ node, walk, numbers }: At, channels: Channels): Outcome {
  walk.put(node.outputs[0] ?? "", channels);
  if (node.op !== "Reshape") return undefined;
  const target = readInts(node, "shape", undefined) ?? numbers(node.inputs[1]);
  if (target === undefined || target[1] === -1 || target[1] === 0) return undefined;
  if (channels.inner === undefined) return "how many elements a channel has is not known";
  if (node.attributes.has("shape")) return "its sizes are an attribute";
  walk.patch(node, (staying) => ({
    inputs: new Map([[1, sizes(...target.with(1, counted(staying, channels.ids, channels)))]]),
  }));
  return undefined;
}

/** The shape of a value may be read where nobody takes the number of channels from it. */
export function measured({ node, walk, index, numbers }: At): Outcome {
  const value = node.inputs[0] ?? "";
  if (walk.of(value) === undefined || readInt(node, "start", 0) > 1) return undefined;
  const spared = (reader: Node): boolean => {
    if (reader.op === "Gather") return numbers(reader.inputs[1])?.every((place) => place === 0 || place > 1) === true;
    if (reader.op !== "Slice") return false;
    const [start, end] = [numbers(reader.inputs[1])?.[0], numbers(reader.inputs[2])?.[0]];
    if (start === undefined || end === undefined) return false;
    if (start > 1 || (start === 0 && end === 1)) return true;
    // what a Resize of this very value takes over
    const joins = index.consumers.get(reader.outputs[0] ?? "") ?? [];
    const ends = joins.flatMap((join) =>
      join.op === "Concat" ? (index.consumers.get(join.outputs[0]!) ?? []) : [join],
    );
    return ends.length > 0 && ends.every(({ op, inputs }) => op === "Resize" && inputs[0] === value);
  };
  const readers = index.consumers.get(node.outputs[0] ?? "") ?? [];
  return readers.every(spared) && !index.outputs.has(node.outputs[0] ?? "") ? undefined : "its shape is read";
}
