// Sliding windows: convolutions, transposed convolutions and pools. Shapes are [N, C, D1, D2, ...].
import { readInt, readInts, readString } from "../../graph/attributes.js";
import { type BasisConv, readBasisConv } from "../../graph/basis-conv.js";
import { add, ceilDivide, floorDivide, multiply, subtract } from "../../graph/dims.js";
import type { Dim } from "../../graph/types.js";
import { type Call, has, input, type Known, mismatch, needRank, type Rule, same, showDim, unknown, unknownDims } from "./call.js";

/** The attributes of a window over `rank` spatial axes; padding is [begin, end] for each. */
interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly (readonly [number, number])[];
  readonly auto: string;
  readonly ceil: boolean;
}

function windowOf(call: Call, kernel: readonly Dim[]): Window {
  const rank = kernel.length;
  const ones = new Array<number>(rank).fill(1);
  const perAxis = (name: string, fallback: readonly number[]): readonly number[] => {
    const list = readInts(call.node, name, fallback);
    if (list.length === fallback.length) return list;
    throw mismatch(call, `attribute ${name} does not fit the spatial axes`, `${fallback.length} numbers`, `[${list.join(", ")}]`);
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

const reach = ({ kernel, dilations }: Window, axis: number): Dim =>
  add(multiply(subtract(kernel[axis]!, 1), dilations[axis]!), 1);

/** The number of places a window has along one axis. */
function places(call: Call, window: Window, axis: number, size: Dim): Dim {
  const stride = window.strides[axis]!;
  if (window.auto.startsWith("SAME")) return samePlaces(window, axis, size);
  const [begin, end] = window.pads[axis]!;
  const extent = reach(window, axis);
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

/** SAME_UPPER, SAME_LOWER: as many places as strides. With dilation, runtimes pad as if there were none and lose what sticks out. */
function samePlaces(window: Window, axis: number, size: Dim): Dim {
  const [stride, dilation] = [window.strides[axis]!, window.dilations[axis]!];
  const count = ceilDivide(size, stride);
  const [kernel, extent] = [window.kernel[axis]!, reach(window, axis)];
  if (dilation === 1 || kernel === 1) return count;
  if (typeof count !== "number" || typeof size !== "number" || typeof kernel !== "number" || typeof extent !== "number")
    return null;
  const padding = Math.max(0, (count - 1) * stride + kernel - size);
  const begin = Math.floor((window.auto === "SAME_LOWER" ? padding + 1 : padding) / 2);
  return closed(window, (size + padding - extent) / stride, stride, size + begin);
}

/** Places from the room in strides; with ceil_mode, a last window that would begin in the padding behind the image is left out. */
function closed({ ceil }: Window, room: number, stride: number, last: number): number {
  const count = (ceil ? Math.ceil(room) : Math.trunc(room)) + 1;
  return ceil && (count - 1) * stride >= last ? count - 1 : count;
}

/** The spatial part of the kernel: the attribute, or else the weight's own shape. */
function kernelOf(call: Call, weight: Known): readonly Dim[] | undefined {
  const stated = readInts(call.node, "kernel_shape", undefined);
  const own = weight.dims?.slice(2);
  if (stated === undefined || own === undefined) return stated ?? own;
  if (stated.length !== own.length)
    throw mismatch(call, "kernel_shape does not fit the weight", `[${own.map(showDim).join(", ")}]`, `[${stated.join(", ")}]`);
  return stated.map((size, axis) => same(call, own[axis]!, size, "kernel_shape and the weight"));
}

/** Conv, ConvInteger, QLinearConv: x[N, C, ...], w[M, C/group, k...] -> [N, M, ...]. */
export function convolution(weightAt: number, type: (call: Call) => Known["type"]): Rule {
  return (call) => {
    const [x, weight] = [input(call, 0), input(call, weightAt)];
    const kernel = kernelOf(call, weight);
    const rank = x.dims?.length ?? weight.dims?.length;
    if (rank === undefined) return [{ type: type(call) }];
    if (rank < 3) throw mismatch(call, "the input has too few axes", "[N, C, D1, ...]", `rank ${rank}`);
    needRank(call, weightAt, rank);
    if (kernel !== undefined && kernel.length !== rank - 2) {
      throw mismatch(call, "the kernel does not fit the input", `${rank - 2} spatial axes`, String(kernel.length));
    }
    const group = readInt(call.node, "group", 1);
    const [outChannels, inChannels] = [weight.dims?.[0] ?? null, multiply(weight.dims?.[1] ?? null, group)];
    if (x.dims !== undefined) same(call, inChannels, x.dims[1]!, "the channels of weight and input");
    if (group < 1 || (typeof outChannels === "number" && outChannels % group !== 0)) {
      throw mismatch(call, "the filters do not divide into the groups", `a multiple of ${group}`, showDim(outChannels));
    }
    const window = windowOf(call, kernel ?? unknownDims(rank - 2));
    const space = window.kernel.map((_, axis) => places(call, window, axis, x.dims?.[axis + 2] ?? null));
    return [{ type: type(call), dims: [x.dims?.[0] ?? null, outChannels, ...space] }];
  };
}

/** BasisConv: x[N, c, ...], B[m, p, k...], A[n, s m, 1...] -> [N, n, ...]; without A -> [N, s m, ...]. */
export const basisConvolution: Rule = (call) => {
  const site = readBasisConv(call.node) as BasisConv;
  const { kernel, splits: s, basisSize: m, inChannels: c, outChannels: n, slice } = site;
  for (const index of [0, 1, ...(site.coefficients === "" ? [] : [2])]) needRank(call, index, kernel.length + 2);
  const [x, basis, coefficients] = [input(call, 0), input(call, 1), input(call, 2)];
  const agree = (dims: readonly Dim[] | undefined, sizes: readonly Dim[], what: string): void => {
    for (const [axis, size] of dims === undefined ? [] : sizes.entries()) same(call, size, dims![axis]!, what);
  };
  if (x.dims) same(call, c, x.dims[1]!, "the channels of input and basis");
  agree(basis.dims, [m, slice ? null : c / s, ...kernel], "the basis and its stated sizes");
  if (site.coefficients !== "") agree(coefficients.dims, [n, s * m], "the coefficients and their stated sizes");
  const window = windowOf(call, kernel);
  const space = kernel.map((_, axis) => places(call, window, axis, x.dims?.[axis + 2] ?? null));
  const channels = site.coefficients === "" ? s * m : n;
  return [{ type: x.type ?? basis.type, dims: [x.dims?.[0] ?? null, channels, ...space] }];
};

/** ConvTranspose: x[N, C, ...], w[C, M/group, k...] -> [N, M, ...]. */
export const transposedConvolution: Rule = (call) => {
  const [x, weight] = [input(call, 0), input(call, 1)];
  const rank = x.dims?.length ?? weight.dims?.length;
  if (rank === undefined) return [{ type: x.type }];
  if (rank < 3) throw mismatch(call, "the input has too few axes", "[N, C, D1, ...]", `rank ${rank}`);
  needRank(call, 1, rank);
  const window = windowOf(call, kernelOf(call, weight) ?? unknownDims(rank - 2));
  if (x.dims !== undefined && weight.dims !== undefined)
    same(call, weight.dims[0]!, x.dims[1]!, "the channels of weight and input");
  const extra = readInts(call.node, "output_padding", new Array<number>(rank - 2).fill(0));
  const stated = readInts(call.node, "output_shape", undefined);
  const space = window.kernel.map((_, axis): Dim => {
    if (stated !== undefined) return stated[stated.length - (rank - 2) + axis] ?? null;
    const size = x.dims?.[axis + 2] ?? null;
    const [stride, [begin, end]] = [window.strides[axis]!, window.pads[axis]!];
    const extent = add(reach(window, axis), extra[axis] ?? 0);
    const grown = add(multiply(subtract(size, 1), stride), extent);
    // SAME_*: size * stride, but padding only takes away
    if (window.auto.startsWith("SAME"))
      return typeof extent !== "number" ? null : extent >= stride ? multiply(size, stride) : grown;
    return subtract(grown, begin + end);
  });
  if (space.some((size) => typeof size === "number" && size < 0)) {
    throw mismatch(call, "the padding removes the whole output", "sizes of 0 or more", `[${space.map(showDim).join(", ")}]`);
  }
  const outChannels = multiply(weight.dims?.[1] ?? null, readInt(call.node, "group", 1));
  return [{ type: x.type, dims: [x.dims?.[0] ?? null, outChannels, ...space] }];
};

/** MaxPool (with the places of the maxima as second output), AveragePool, LpPool. */
export const pool: Rule = (call) => {
  const x = input(call, 0);
  if (x.dims === undefined) return [{ type: x.type }, { type: "int64" }];
  const kernel = readInts(call.node, "kernel_shape", undefined);
  if (kernel === undefined || kernel.length !== x.dims.length - 2) {
    throw mismatch(call, "kernel_shape does not fit the input", `${x.dims.length - 2} numbers`, String(kernel));
  }
  const window = windowOf(call, kernel);
  const dims = [...x.dims.slice(0, 2), ...kernel.map((_, axis) => places(call, window, axis, x.dims![axis + 2]!))];
  return [
    { type: x.type, dims },
    { type: "int64", dims },
  ];
};

/** GlobalAveragePool, GlobalMaxPool, GlobalLpPool: [N, C, ...] -> [N, C, 1, ...]. */
export const globalPool: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [{ type, dims: dims && [...dims.slice(0, 2), ...dims.slice(2).map(() => 1)] }];
};

/** MaxUnpool: the output is given, or grows back by stride, kernel and padding. */
export const maxUnpool: Rule = (call) => {
  const x = input(call, 0);
  if (has(call, 2)) return [{ type: x.type, dims: input(call, 2).elements }];
  const kernel = readInts(call.node, "kernel_shape", undefined);
  if (x.dims === undefined || kernel === undefined) return [{ ...unknown, type: x.type }];
  const window = windowOf(call, kernel);
  const space = kernel.map((size, axis) =>
    subtract(
      add(multiply(subtract(x.dims![axis + 2]!, 1), window.strides[axis]!), size),
      window.pads[axis]![0] + window.pads[axis]![1],
    ),
  );
  return [{ type: x.type, dims: [...x.dims.slice(0, 2), ...space] }];
};
