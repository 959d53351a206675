// How far an operator looks: which pixels of its input a pixel of its output depends on.
import { readInts, readString } from "../../graph/attributes.js";
import type { Dim, Node } from "../../graph/types.js";

/** A map inside the network: pixel o depends on input pixels from o * pitch + low to o * pitch + high. */
export interface Reach {
  readonly pitch: number;
  readonly low: number;
  readonly high: number;
}

/** What happens to a map of this reach; a text says why it cannot be told or has no bound. */
export type ReachRule = (node: Node, reach: Reach, context: ReachContext) => Reach | string;

export interface ReachContext {
  readonly opset: number;
  readonly dims: (name: string) => readonly Dim[] | undefined;
  readonly constant: (name: string | undefined) => readonly number[] | undefined;
}

/** Each pixel depends on the one in its place. */
export const inPlace: ReachRule = (_, reach) => reach;

export const everywhere: ReachRule = () => "it looks at the whole picture";

/** Output pixel o reads pixels o * stride + first .. o * stride + last of a map. */
export function windowed({ pitch, low, high }: Reach, stride: number, first: number, last: number): Reach {
  return { pitch: pitch * stride, low: low + first * pitch, high: high + last * pitch };
}

/** Are rows or columns among the axes? */
export function areSpatial(node: Node, axes: readonly number[] | undefined, { dims }: ReachContext): boolean {
  const rank = dims(node.inputs[0]!)?.length ?? 4;
  return axes === undefined || axes.some((axis) => (axis + rank) % rank >= rank - 2);
}

/** The window of a convolution or pool over an image. */
export function windowAttributes(node: Node, { dims }: ReachContext) {
  const kernel = readInts(
    node,
    "kernel_shape",
    dims(node.inputs[1] ?? "")
      ?.slice(2)
      .map(Number),
  );
  const dilations = readInts(node, "dilations", [1, 1]);
  return {
    kernel,
    strides: readInts(node, "strides", [1, 1]),
    pads: readInts(node, "pads", [0, 0, 0, 0]),
    auto: readString(node, "auto_pad", "NOTSET"),
    spans: (kernel ?? []).map((size, axis) => (size - 1) * dilations[axis]!),
  };
}
