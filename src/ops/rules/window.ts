// Sliding windows: convolutions, transposed convolutions and pools. Shapes are [N, C, D1, D2, ...].
import { readInt, readInts, readString } from "../../graph/attributes.js";
import { add, ceilDivide, floorDivide, multiply, subtract } from "../../graph/dims.js";
import type { Dim } from "../../graph/types.js";
import type { Kinds } from "../operator.js";
import { type Call, type Known, mismatch, same, showDim } from "./call.js";
import { type ReachRule, windowAttributes, windowed } from "./reach.js";

/** The attributes of a window over `rank` spatial axes; padding is [begin, end] for each. */
export interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly (readonly [number, number])[];
  readonly auto: string;
  readonly ceil: boolean;
}

export function windowOf(call: Call, kernel: readonly Dim[]): Window {
  const rank = kernel.length;
  const ones = new Array<number>(rank).fill(1);
  const perAxis = (name: string, fallback: readonly number[]): readonly number[] => {
    const list = readInts(call.node, name, fallback);
    if (list.length === fallback.length) return list;
    throw mismatch(
      call,
      `attribute ${name} does not fit the spatial axes`,
      `${fallback.length} numbers`,
      `[${list.join(", ")}]`,
    );
  };
  const positive = (name: string): readonly number[] => {
    const list = perAxis(name, ones);
    if (list.every((value) => value > 0)) return list;
    throw mismatch(call, `attribute ${name} must be positive`, "1 or more", `[${list.join(", ")}]`);
  };
  const flat = perAxis("pads", new Array<number>(2 * rank).fill(0));
  const auto = readString(call.node, "auto_pad", "NOTSET");
  return {
    kernel,
    strides: positive("strides"),
    dilations: positive("dilations"),
    // with SAME_* and VALID the attribute pads is not used
    pads: ones.map((_, axis) => (auto === "NOTSET" ? [flat[axis]!, flat[rank + axis]!] : [0, 0])),
    auto,
    ceil: readInt(call.node, "ceil_mode", 0) !== 0,
  };
}

export const extentOf = ({ kernel, dilations }: Window, axis: number): Dim =>
  add(multiply(subtract(kernel[axis]!, 1), dilations[axis]!), 1);

/** The number of places a window has along one axis. */
export function places(call: Call, window: Window, axis: number, size: Dim): Dim {
  const stride = window.strides[axis]!;
  if (window.auto.startsWith("SAME")) return samePlaces(window, axis, size);
  const [begin, end] = window.pads[axis]!;
  const extent = extentOf(window, axis);
  const room = subtract(add(size, begin + end), extent);
  if (typeof room === "number" && typeof size === "number") {
    // a pool may be larger than the image: then it has no place, and its output is empty
    const count = closed(window, room / stride, stride, size + begin);
    if (count >= 0 && (room >= 0 || !call.node.op.includes("Conv"))) return count;
    throw mismatch(
      call,
      `the window does not fit spatial axis ${axis}`,
      `at least ${showDim(extent)}`,
      String(size + begin + end),
    );
  }
  if (!window.ceil) return add(floorDivide(room, stride), 1);
  return typeof extent === "number" && end + stride <= extent ? add(ceilDivide(room, stride), 1) : null;
}

/**
 * SAME_UPPER, SAME_LOWER: as many places as strides. With dilation, runtimes pad as if there were none and lose what
 * sticks out.
 */
function samePlaces(window: Window, axis: number, size: Dim): Dim {
  const [stride, dilation] = [window.strides[axis]!, window.dilations[axis]!];
  const count = ceilDivide(size, stride);
  const [kernel, extent] = [window.kernel[axis]!, extentOf(window, axis)];
  if (dilation === 1 || kernel === 1) return count;
  if (typeof count !== "number" || typeof size !== "number" || typeof kernel !== "number" || typeof extent !== "number")
    return null;
  const padding = Math.max(0, (count - 1) * stride + kernel - size);
  const begin = Math.floor((window.auto === "SAME_LOWER" ? padding + 1 : padding) / 2);
  return closed(window, (size + padding - extent) / stride, stride, size + begin);
}

/**
 * Places from the room in strides; with ceil_mode, a last window that would begin in the padding behind the image is
 * left out.
 */
function closed({ ceil }: Window, room: number, stride: number, last: number): number {
  const count = (ceil ? Math.ceil(room) : Math.trunc(room)) + 1;
  return ceil && (count - 1) * stride >= last ? count - 1 : count;
}

/** The spatial part of the kernel: the attribute, or else the weight's own shape. */
export function kernelOf(call: Call, weight: Known): readonly Dim[] | undefined {
  const stated = readInts(call.node, "kernel_shape", undefined);
  const own = weight.dims?.slice(2);
  if (stated === undefined || own === undefined) return stated ?? own;
  if (stated.length !== own.length)
    throw mismatch(
      call,
      "kernel_shape does not fit the weight",
      `[${own.map(showDim).join(", ")}]`,
      `[${stated.join(", ")}]`,
    );
  return stated.map((size, axis) => same(call, own[axis]!, size, "kernel_shape and the weight"));
}

/** The attributes of operators with windows, of all versions. */
export const windowKinds = {
  auto_pad: "string",
  ceil_mode: "int",
  count_include_pad: "int",
  dilations: "ints",
  group: "int",
  kernel_shape: "ints",
  output_padding: "ints",
  output_shape: "ints",
  pads: "ints",
  storage_order: "int",
  strides: "ints",
} as const satisfies Kinds;

/** The window of a convolution or pool along the axis where it is widest; both axes must have one stride. */
export const slide: ReachRule = (node, reach, context) => {
  const { kernel, strides, pads: stated, auto, spans } = windowAttributes(node, context);
  if (kernel === undefined || kernel.length !== 2) return "it is not two-dimensional";
  if (strides[0] !== strides[1]) return "its strides differ";
  if (readInt(node, "ceil_mode", 0) !== 0) return "its size is rounded up";
  if (auto !== "NOTSET" && auto !== "VALID" && strides[0] !== 1)
    return "its padding depends on the size of the picture";
  const same =
    auto === "SAME_UPPER" ? spans.map((span) => Math.floor(span / 2)) : spans.map((span) => Math.ceil(span / 2));
  const pads = auto === "NOTSET" ? stated : auto === "VALID" ? [0, 0] : same;
  const before = Math.max(pads[0]!, pads[1]!);
  const after = Math.max(spans[0]! - pads[0]!, spans[1]! - pads[1]!);
  return windowed(reach, strides[0]!, -before, after);
};
