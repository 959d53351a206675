// Operators that pick or place elements by index.
import { readInt, readString } from "../../graph/attributes.js";
import { call, create, fromArray, type Tensor } from "./aten.js";
import { Host } from "./host.js";
import { bounded } from "./limits.js";
import { listOf } from "./lists.js";
import { type Lowering, refuse, type Value } from "./lowering.js";
import { dimsOf, first, fromFront, numbersOf, tensor } from "./values.js";

/** Whole numbers as an int64 vector. */
export const indexVector = (values: readonly number[]): Tensor =>
  fromArray(BigInt64Array.from(values, BigInt), [values.length]);

/** Slice: starts, ends, axes and steps, attributes before opset 10; negative steps walk backwards. */
const slice: Lowering = (context) => {
  const old = context.opset < 10;
  const [starts, ends, axes] = [listOf(context, "starts", 1), listOf(context, "ends", 2), listOf(context, "axes", 3)];
  return (inputs) => {
    const [from, to] = [starts(inputs) ?? [], ends(inputs) ?? []];
    const along = axes(inputs) ?? from.map((_, i) => i);
    const steps = old || inputs[4] === undefined ? from.map(() => 1) : numbersOf(inputs[4]);
    const whole = first(inputs);
    const dims = dimsOf(whole);
    let x = whole;
    along.forEach((a, i) => {
      const axis = fromFront(a, dims.length);
      const next = sliceAxis(x, axis, dims[axis]!, from[i]!, to[i]!, steps[i]!);
      if (x !== whole) x.dispose();
      x = next;
    });
    return x === whole ? call("alias", x) : x;
  };
};

/** One axis of n elements; bounds are clamped as ONNX clamps them. */
function sliceAxis(x: Tensor, axis: number, n: number, from: number, to: number, step: number): Tensor {
  const [start, end] = [from < 0 ? from + n : from, to < 0 ? to + n : to];
  if (step > 0) {
    const begin = Math.min(Math.max(start, 0), n);
    return call(
      "slice.Tensor",
      x,
      axis,
      begin,
      Math.max(begin, Math.min(Math.max(end, 0), n)),
      Math.min(step, Math.max(n, 1)),
    );
  }
  const begin = Math.min(Math.max(start, 0), n - 1);
  const stop = Math.min(Math.max(end, -1), n - 1);
  return call(
    "index_select",
    x,
    axis,
    create("arange.start_step", "int64", begin, Math.min(begin, stop), Math.max(step, -n - 1)),
  );
}

/** Indices as int64, negative ones counted from the end of n. */
function positive(index: Value | undefined, n: number): Tensor {
  if (index instanceof Host) {
    const values = index.values.map((i) => (i < 0 ? i + n : i));
    return call("reshape", indexVector(values), index.dims);
  }
  const wide = call("to.dtype", tensor(index), "int64");
  return call("where.self", call("lt.Scalar", wide, 0), call("add.Scalar", wide, n), wide);
}

/** Gather: whole slices along an axis, in the shape of the indices. */
const gather: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", 0);
  return (inputs) => {
    const x = first(inputs);
    const dims = dimsOf(x);
    const front = fromFront(axis, dims.length);
    const shape = dimsOf(inputs[1]);
    const index = positive(inputs[1], dims[front]!);
    bounded([...dims.slice(0, front), ...shape, ...dims.slice(front + 1)]);
    const picked = call("index_select", x, front, call("reshape", index, [-1]));
    return shape.length === 1
      ? picked
      : call("reshape", picked, [...dims.slice(0, front), ...shape, ...dims.slice(front + 1)]);
  };
};

const gatherElements: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", 0);
  return (inputs) => {
    const x = first(inputs);
    const front = fromFront(axis, dimsOf(x).length);
    return call("gather", x, front, positive(inputs[1], dimsOf(x)[front]!));
  };
};

/** GatherND: the last axis of the indices [..., k] are positions in the k axes after the batch axes. */
const gatherNd: Lowering = ({ node }) => {
  const batch = readInt(node, "batch_dims", 0);
  return (inputs) => {
    const x = first(inputs);
    const [dims, shape] = [dimsOf(x), dimsOf(inputs[1])];
    const k = shape.at(-1) ?? 0;
    const outer = dims.slice(0, batch).reduce((a, b) => a * b, 1);
    const flat = call("reshape", x, [outer, ...dims.slice(batch)]);
    const index = call("reshape", call("to.dtype", tensor(inputs[1]), "int64"), [outer, -1, k]);
    const places = Array.from({ length: k }, (_, i) => positive(call("select.int", index, 2, i), dims[batch + i]!));
    bounded([...shape.slice(0, -1), ...dims.slice(batch + k)]);
    const rows = call(
      "expand_as",
      call("reshape", create("arange", "int64", outer), [outer, 1]),
      call("select.int", index, 2, 0),
    );
    return call("reshape", call("index.Tensor", flat, [rows, ...places]), [
      ...shape.slice(0, -1),
      ...dims.slice(batch + k),
    ]);
  };
};

const reductionNames = { add: "sum", mul: "prod", max: "amax", min: "amin" } as const;

/** How updates are put: "none", or one of the names. */
function reductionOf(context: Parameters<Lowering>[0]): string {
  const reduction = readString(context.node, "reduction", "none");
  if (reduction === "none" || Object.hasOwn(reductionNames, reduction)) return reduction;
  throw refuse(context, `the reduction ${reduction} is not known`);
}

const scatterElements: Lowering = (context) => {
  const axis = readInt(context.node, "axis", 0);
  const reduction = reductionOf(context);
  return (inputs) => {
    const x = first(inputs);
    const front = fromFront(axis, dimsOf(x).length);
    const index = positive(inputs[1], dimsOf(x)[front]!);
    if (reduction === "none") return call("scatter.src", x, front, index, tensor(inputs[2]));
    return call(
      "scatter_reduce.two",
      x,
      front,
      index,
      tensor(inputs[2]),
      reductionNames[reduction as keyof typeof reductionNames],
    );
  };
};

/** ScatterND: updates put (or added) at the positions in the last axis of the indices. */
const scatterNd: Lowering = (context) => {
  const reduction = reductionOf(context);
  return (inputs) => {
    const x = first(inputs);
    const [dims, shape] = [dimsOf(x), dimsOf(inputs[1])];
    const k = shape.at(-1) ?? 0;
    const index = call("to.dtype", tensor(inputs[1]), "int64");
    let flat = create("zeros", "int64", shape.slice(0, -1));
    for (let i = 0; i < k; i++) {
      flat = call(
        "add.Tensor",
        call("mul.Scalar", flat, dims[i]!),
        positive(call("select.int", index, -1, i), dims[i]!),
      );
    }
    const inner = dims.slice(k).reduce((a, b) => a * b, 1);
    const rows = call("reshape", x, [-1, inner]);
    const places = call("expand", call("reshape", flat, [-1, 1]), [-1, inner]);
    const updates = call("reshape", tensor(inputs[2]), [-1, inner]);
    const placed =
      reduction === "none"
        ? call("scatter.src", rows, 0, places, updates)
        : call(
            "scatter_reduce.two",
            rows,
            0,
            places,
            updates,
            reductionNames[reduction as keyof typeof reductionNames],
          );
    return call("reshape", placed, dims);
  };
};

/** OneHot: indices outside [-depth, depth) give a row of the off value. */
const oneHot: Lowering = ({ node }) => {
  const axis = readInt(node, "axis", -1);
  return (inputs) => {
    const depth = Math.trunc(numbersOf(inputs[1])[0] ?? 0);
    const index = positive(call("to.dtype", first(inputs), "int64"), depth);
    const rank = dimsOf(index).length;
    bounded([...dimsOf(index), depth]);
    const front = fromFront(axis, rank + 1);
    const classes = call("reshape", create("arange", "int64", depth), [
      depth,
      ...new Array<number>(rank - front).fill(1),
    ]);
    const hot = call("eq.Tensor", call("unsqueeze", index, front), classes);
    const values = tensor(inputs[2]);
    return call("where.self", hot, call("select.int", values, 0, 1), call("select.int", values, 0, 0));
  };
};

/** NonZero: positions [rank, count]. */
const nonZero: Lowering = () => (inputs) => call("t", call("nonzero", first(inputs)));

export const indexing = {
  Slice: slice,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  OneHot: oneHot,
  NonZero: nonZero,
} satisfies Record<string, Lowering>;
