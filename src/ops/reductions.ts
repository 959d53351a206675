// Reductions along axes: sums, means, extremes, their places, and running sums.
import { readInt, readInts } from "../graph/attributes.js";
import { add, multiply } from "../graph/dims.js";
import type { Dim } from "../graph/types.js";
import { calls, type Family } from "./operator.js";
import { ifEqual, type Reduction, reduction } from "./rules/arithmetic.js";
import { axesOf, axisOf, input, type Rule, unknownDims } from "./rules/call.js";
import { areSpatial, type ReachRule } from "./rules/reach.js";
import { likeInput } from "./rules/shapes.js";

/** The Reduce family: axes by attribute or (opset 13 for ReduceSum, 18 for the others) by input. */
const reduce: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const axes = axesOf(call, 1);
  const keep = readInt(call.node, "keepdims", 1) !== 0;
  if (dims === undefined) return [{ type }];
  if (axes === null) {
    // which axes go is not known, but how many may be
    const count = input(call, 1).dims?.[0];
    return [
      {
        type,
        dims: keep
          ? unknownDims(dims.length)
          : typeof count === "number" && count > 0
            ? unknownDims(dims.length - count)
            : undefined,
      },
    ];
  }
  if ((axes === undefined || axes.length === 0) && readInt(call.node, "noop_with_empty_axes", 0) !== 0)
    return [{ type, dims }];
  const gone = new Set(
    axes === undefined || axes.length === 0 ? dims.keys() : axes.map((axis) => axisOf(call, axis, dims.length)),
  );
  return [{ type, dims: dims.flatMap((size, axis) => (!gone.has(axis) ? [size] : keep ? [1] : [])) }];
};

/** ArgMax, ArgMin. */
const argReduce: Rule = (call) => {
  const { dims } = input(call, 0);
  if (dims === undefined) return [{ type: "int64" }];
  const axis = axisOf(call, readInt(call.node, "axis", 0), dims.length);
  const keep = readInt(call.node, "keepdims", 1) !== 0;
  return [{ type: "int64", dims: dims.flatMap((size, at) => (at !== axis ? [size] : keep ? [1] : [])) }];
};

/** TopK: values and places; k is an attribute before opset 10. */
const topK: Rule = (call) => {
  const { type, dims } = input(call, 0);
  const k: Dim = readInt(call.node, "k", undefined) ?? input(call, 1).elements?.[0] ?? null;
  const axis = dims && axisOf(call, readInt(call.node, "axis", -1), dims.length);
  const shape = dims?.map((size, at) => (at === axis ? k : size));
  return [
    { type, dims: shape },
    { type: "int64", dims: shape },
  ];
};

/** A sum or mean over channels is taken pixel by pixel; over rows or columns it takes in the whole picture. */
const reach: ReachRule = (node, own, context) =>
  areSpatial(node, readInts(node, "axes", context.constant(node.inputs[1])), context)
    ? "it looks at the whole picture"
    : own;

const common = {
  signature: calls([1, 2], { axes: "ints", keepdims: "int", noop_with_empty_axes: "int" }),
  shapes: reduce,
  channels: "reduced",
} as const;
const plus = (a: number, b: number): number => a + b;
const square = (a: number): number => a * a;
const by = (how: Reduction) => ({ ...common, value: reduction(how) });

export const reductions = {
  ReduceSum: { ...by({ join: plus, onSymbols: add }), reach },
  ReduceMean: { ...by({ join: plus, end: (sum, count) => sum / count }), reach, bounded: "first" },
  ReduceMax: { ...by({ join: Math.max, onSymbols: ifEqual }), reach, bounded: "first" },
  ReduceMin: by({ join: Math.min, onSymbols: ifEqual }),
  ReduceProd: by({ join: (a, b) => a * b, onSymbols: multiply }),
  ReduceL1: by({ each: Math.abs, join: plus }),
  ReduceL2: by({ each: square, join: plus, end: Math.sqrt }),
  ReduceSumSquare: by({ each: square, join: plus }),
  ReduceLogSum: common,
  ReduceLogSumExp: common,
  ArgMax: { shapes: argReduce, stepwise: true },
  ArgMin: { shapes: argReduce, stepwise: true },
  TopK: { shapes: topK, stepwise: true },
  CumSum: { shapes: likeInput },
  CumProd: { shapes: likeInput },
} satisfies Family;
