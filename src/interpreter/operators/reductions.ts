// Reductions over axes, running sums, and the places of extremes.
import { FilterBasisError } from "../../errors/error.js";
import { readInt } from "../../graph/attributes.js";
import { call, callAll, create, type Tensor } from "./aten.js";
import { listOf } from "./lists.js";
import { type Lowering, refuse } from "./lowering.js";
import { dimsOf, first, fromFront, isFloating, scalarOf } from "./values.js";

type Reduce = (x: Tensor, axes: readonly number[], keep: boolean) => Tensor;

/** Axes from an attribute or an input; none means all, unless `noop_with_empty_axes`. */
function reduction(apply: Reduce, unreduced: (x: Tensor) => Tensor = (x) => call("alias", x)): Lowering {
  return (context) => {
    const axes = listOf(context, "axes", 1);
    const keep = readInt(context.node, "keepdims", 1) !== 0;
    const noop = readInt(context.node, "noop_with_empty_axes", 0) !== 0;
    return (inputs) => {
      const x = first(inputs);
      const rank = dimsOf(x).length;
      const wanted = axes(inputs) ?? [];
      if (wanted.length === 0 && noop) return unreduced(x);
      // libtorch takes a number for a vector of one.
      const lifted = rank === 0 ? call("unsqueeze", x, 0) : x;
      const all = wanted.length === 0 ? [...dimsOf(lifted).keys()] : wanted.map((axis) => fromFront(axis, rank));
      const y = apply(lifted, all, keep);
      return rank === 0 && keep ? call("reshape", y, []) : y;
    };
  };
}

/** Sums keep the type of whole numbers, which libtorch would widen to int64. */
const sum: Reduce = (x, axes, keep) => call("sum.dim_IntList", x, axes, keep, { dtype: x.dtype });

const mean: Reduce = (x, axes, keep) => {
  if (isFloating(x)) return call("mean.dim", x, axes, keep);
  const count = axes.reduce((product, axis) => product * x.shape[axis]!, 1);
  return call("div.Scalar_mode", sum(x, axes, keep), count, { rounding_mode: "trunc" });
};

const prod: Reduce = (x, axes, keep) => {
  let y = x;
  for (const axis of [...axes].sort((a, b) => b - a)) y = call("prod.dim_int", y, axis, keep, { dtype: x.dtype });
  return y;
};

/** amax or amin; of nothing, the identity of the operation. */
function extreme(name: "amax" | "amin", identity: number): Reduce {
  return (x, axes, keep) => {
    const dims = dimsOf(x);
    if (!axes.some((axis) => dims[axis] === 0)) return call(name, x, axes, keep);
    const left = dims.map((n, i) => (axes.includes(i) ? 1 : n)).filter((_, i) => keep || !axes.includes(i));
    return create("full", x.dtype, left, identity);
  };
}

const square = (x: Tensor): Tensor => call("mul.Tensor", x, x);
const retyped = (x: Tensor, y: Tensor): Tensor => (x.dtype === y.dtype ? y : call("to.dtype", y, x.dtype));

const l2: Reduce = (x, axes, keep) =>
  isFloating(x) ? call("linalg_vector_norm", x, 2, axes, keep) : retyped(x, call("sqrt", sum(square(x), axes, keep)));
const logSum: Reduce = (x, axes, keep) => retyped(x, call("log", sum(x, axes, keep)));
const logSumExp: Reduce = (x, axes, keep) =>
  isFloating(x)
    ? call("logsumexp", x, axes, keep)
    : retyped(x, call("logsumexp", call("to.dtype", x, "float64"), axes, keep));

/** ArgMax, ArgMin: the first of equals, or the last with select_last_index. */
function arg(name: "argmax" | "argmin"): Lowering {
  return ({ node }) => {
    const axis = readInt(node, "axis", 0);
    const keep = readInt(node, "keepdims", 1) !== 0;
    const last = readInt(node, "select_last_index", 0) !== 0;
    return (inputs) => {
      const x = first(inputs);
      if (!last) return call(name, x, axis, keep);
      const n = dimsOf(x)[fromFront(axis, dimsOf(x).length)]!;
      return call("rsub.Scalar", call(name, call("flip", x, [axis]), axis, keep), n - 1);
    };
  };
}

const cumSum: Lowering = ({ node }) => {
  const exclusive = readInt(node, "exclusive", 0) !== 0;
  const reverse = readInt(node, "reverse", 0) !== 0;
  return (inputs) => {
    const x = first(inputs);
    const axis = fromFront(scalarOf(inputs[1], 0), dimsOf(x).length);
    const input = reverse ? call("flip", x, [axis]) : x;
    const sums = call("cumsum", input, axis, { dtype: x.dtype });
    const wanted = exclusive ? call("sub.Tensor", sums, input) : sums;
    return reverse ? call("flip", wanted, [axis]) : wanted;
  };
};

/** TopK: values and their places; of equals the first comes first. */
const topK: Lowering = (context) => {
  const { node, opset } = context;
  const axis = readInt(node, "axis", -1);
  const largest = readInt(node, "largest", 1) !== 0;
  const stated = readInt(node, "k", undefined);
  if (opset < 10 && stated === undefined) throw refuse(context, "no k is given");
  return (inputs) => {
    const x = first(inputs);
    const k = opset < 10 ? stated! : scalarOf(inputs[1], 0);
    const n = dimsOf(x)[fromFront(axis, dimsOf(x).length)] ?? 1;
    if (!(k >= 0 && k <= n)) {
      throw new FilterBasisError("shape-mismatch", "k is more than there is", {
        expected: `0 to ${n}`,
        got: String(k),
      });
    }
    const [values, places] = callAll("sort.stable", x, { stable: true, dim: axis, descending: largest });
    const front = (t: Tensor): Tensor => call("slice.Tensor", t, axis, 0, k);
    return [front(values!), front(places!)];
  };
};

export const reductions = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(extreme("amax", Number.NEGATIVE_INFINITY)),
  ReduceMin: reduction(extreme("amin", Number.POSITIVE_INFINITY)),
  ReduceProd: reduction(prod),
  ReduceL1: reduction(
    (x, axes, keep) => sum(call("abs", x), axes, keep),
    (x) => call("abs", x),
  ),
  ReduceL2: reduction(l2, (x) => call("abs", x)),
  ReduceLogSum: reduction(logSum, (x) => call("log", x)),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceSumSquare: reduction((x, axes, keep) => sum(square(x), axes, keep), square),
  ArgMax: arg("argmax"),
  ArgMin: arg("argmin"),
  CumSum: cumSum,
  TopK: topK,
} satisfies Record<string, Lowering>;
