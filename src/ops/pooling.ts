// Pools: the largest or the mean of a window, of everything, and back.
import { readInts } from "../graph/attributes.js";
import { add, multiply, subtract } from "../graph/dims.js";
import { calls, type Family, type Kinds } from "./operator.js";
import { has, input, mismatch, type Rule, unknown } from "./rules/call.js";
import { everywhere } from "./rules/reach.js";
import { places, slide, windowKinds, windowOf } from "./rules/window.js";

/** MaxPool (with the places of the maxima as second output), AveragePool, LpPool. */
const pool: Rule = (call) => {
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
const globalPool: Rule = (call) => {
  const { type, dims } = input(call, 0);
  return [{ type, dims: dims && [...dims.slice(0, 2), ...dims.slice(2).map(() => 1)] }];
};

/** MaxUnpool: the output is given, or grows back by stride, kernel and padding. */
const maxUnpool: Rule = (call) => {
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

const attributes = { ...windowKinds, p: "int" } as const satisfies Kinds;
const window = { signature: calls(1, attributes), shapes: pool, reach: slide, window: true, channels: "kept" } as const;
const global = { signature: calls(1, { p: "int" }), shapes: globalPool, channels: "kept" } as const;

export const pools = {
  MaxPool: { ...window, signature: calls(1, attributes, [1, 2]), exact: "always", bounded: "first" },
  AveragePool: { ...window, bounded: "first" },
  LpPool: window,
  GlobalAveragePool: { ...global, reach: everywhere, bounded: "first", since: 1 },
  GlobalMaxPool: { ...global, reach: everywhere, bounded: "first", since: 1 },
  GlobalLpPool: { ...global, signature: calls(1) },
  MaxUnpool: { shapes: maxUnpool },
  MaxRoiPool: { stepwise: true },
} satisfies Family;
