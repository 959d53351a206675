// The window of a convolution (strides, dilations, padding) and what of it each stage of a chain carries.
import type { StageShape } from "../basis/factors.js";
import { int, ints, readInts, readString, string } from "../graph/attributes.js";
import type { Attribute, Node } from "../graph/types.js";

export interface Side {
  readonly dilation: number;
  readonly begin: number;
  readonly end: number;
}

export interface NodeWindow {
  /** auto_pad; NOTSET also for VALID. */
  readonly auto: string;
  readonly strides: readonly number[];
  readonly sides: readonly Side[];
}

/** Strides, dilations and padding of a convolution, by axis. */
export function windowOf(node: Node, axes: number): NodeWindow {
  const ones = new Array<number>(axes).fill(1);
  const dilations = readInts(node, "dilations", ones);
  const auto = readString(node, "auto_pad", "NOTSET");
  const padded = auto === "NOTSET" ? readInts(node, "pads", []) : [];
  const sides = ones.map(
    (_, axis): Side => ({
      dilation: dilations[axis] ?? 1,
      begin: padded[axis] ?? 0,
      end: padded[axes + axis] ?? 0,
    }),
  );
  return { auto: auto === "VALID" ? "NOTSET" : auto, strides: readInts(node, "strides", ones), sides };
}

/** What a stage says of the window of the convolution that it is part of. */
export function stageWindow({ auto, sides }: NodeWindow, { carries, stride }: StageShape, axes: number): NodeWindow {
  const carried = carries.slice(2 - axes);
  return {
    auto: carried.some((carries) => carries) ? auto : "NOTSET",
    strides: stride.slice(2 - axes),
    sides: carried.map((carries, axis) => (carries ? sides[axis]! : { dilation: 1, begin: 0, end: 0 })),
  };
}

export function stageAttributes(
  window: NodeWindow,
  stage: StageShape,
  axes: number,
): Readonly<Record<string, Attribute>> {
  const { auto, strides, sides } = stageWindow(window, stage, axes);
  const padding =
    auto === "NOTSET"
      ? { pads: ints([...sides.map(({ begin }) => begin), ...sides.map(({ end }) => end)]) }
      : { auto_pad: string(auto) };
  return {
    dilations: ints(sides.map(({ dilation }) => dilation)),
    group: int(stage.groups),
    kernel_shape: ints(stage.kernel.slice(2 - axes)),
    ...padding,
    strides: ints(strides),
  };
}

export const isSameWindow = (a: NodeWindow, b: NodeWindow): boolean => JSON.stringify(a) === JSON.stringify(b);
