// Arithmetic on constants: computed in double, rounded once to the element type.
import { elements, readFloat, readInt } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { isFloat, numbers, tensorOf } from "../graph/values.js";
import type { Evaluation, Whole } from "./constant-operators.js";
import { axesOf } from "./joining.js";
import { broadcastStrides, walk } from "./rules/elements.js";

/** Multiply-accumulates of a product of matrices beyond which it is left to be computed at load: about a second. */
const mostProducts = 1e9;

const binaries: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sum: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Min: Math.min,
  Max: Math.max,
};

const unaries: Readonly<Record<string, (a: number) => number>> = {
  Neg: (a) => -a,
  Abs: Math.abs,
  Sqrt: Math.sqrt,
  Reciprocal: (a) => 1 / a,
  Exp: Math.exp,
  Log: Math.log,
  Tanh: Math.tanh,
  Sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  Relu: (a) => Math.max(a, 0),
  Sign: Math.sign,
  Floor: Math.floor,
  Ceil: Math.ceil,
};

/** Half precision is computed in single and then rounded, as runtimes do. */
function stored({ type, dims }: Whole, values: Float64Array): readonly TensorData[] {
  return [tensorOf(type, dims, type === "float16" || type === "bfloat16" ? Float32Array.from(values) : values)];
}

const allFloat = (tensors: readonly (TensorData | undefined)[]): tensors is readonly TensorData[] =>
  tensors.length > 0 && tensors.every((tensor) => tensor !== undefined && isFloat(tensor.type));

const binary =
  (combine: (a: number, b: number) => number): Evaluation =>
  ({ tensors, outputs: [output] }) => {
    if (!allFloat(tensors)) return undefined;
    let result: Float64Array | undefined;
    for (const tensor of tensors) {
      const [own, before] = [numbers(tensor), result];
      const next = new Float64Array(elements(output!.dims));
      const strides = broadcastStrides(tensor.dims, output!.dims);
      if (before === undefined) walk(output!.dims, strides, 0, (from, to) => void (next[to] = own[from]!));
      else walk(output!.dims, strides, 0, (from, to) => void (next[to] = combine(before[to]!, own[from]!)));
      result = next;
    }
    return stored(output!, result!);
  };

const unary =
  (change: (a: number) => number): Evaluation =>
  ({ tensors, outputs: [output] }) =>
    allFloat(tensors) ? stored(output!, numbers(tensors[0]!).map(change)) : undefined;

const numeric = (type: DataType): boolean => isFloat(type) || /^(u?int(8|16|32|64)|bool)$/.test(type);

const cast: Evaluation = ({ tensors: [source], outputs: [output] }) =>
  source !== undefined && numeric(source.type) && isFloat(output!.type)
    ? [tensorOf(output!.type, output!.dims, numbers(source))]
    : undefined;

interface Reduction {
  readonly start: number;
  readonly join: (sum: number, value: number) => number;
  readonly end?: (sum: number, count: number) => number;
}

const reductions: Readonly<Record<string, Reduction>> = {
  ReduceSum: { start: 0, join: (sum, value) => sum + value },
  ReduceMean: { start: 0, join: (sum, value) => sum + value, end: (sum, count) => sum / count },
  ReduceSumSquare: { start: 0, join: (sum, value) => sum + value * value },
  ReduceL2: { start: 0, join: (sum, value) => sum + value * value, end: Math.sqrt },
  ReduceL1: { start: 0, join: (sum, value) => sum + Math.abs(value) },
  ReduceMax: { start: Number.NEGATIVE_INFINITY, join: Math.max },
  ReduceMin: { start: Number.POSITIVE_INFINITY, join: Math.min },
};

const reduce =
  ({ start, join, end = (sum) => sum }: Reduction): Evaluation =>
  ({ call, tensors: [source], outputs: [output] }) => {
    const axes = axesOf(call, 1);
    if (!allFloat([source]) || axes === null || readInt(call.node, "noop_with_empty_axes", 0) !== 0) return undefined;
    const { dims } = source!;
    const gone = new Set((axes?.length ? axes : [...dims.keys()]).map((axis) => (axis < 0 ? axis + dims.length : axis)));
    const kept = dims.map((size, axis) => (gone.has(axis) ? 1 : size));
    const values = numbers(source!);
    const sums = new Float64Array(elements(kept)).fill(start);
    walk(dims, broadcastStrides(kept, dims), 0, (to, from) => void (sums[to] = join(sums[to]!, values[from]!)));
    const count = elements(dims) / Math.max(1, elements(kept));
    return stored(
      output!,
      sums.map((sum) => end(sum, count)),
    );
  };

/** alpha a b + beta c for matrices; MatMul is alpha = 1 without c. */
const product: Evaluation = ({ call: { node }, tensors, outputs: [output] }) => {
  const [a, b, c] = tensors;
  if (!allFloat(tensors) || a!.dims.length !== 2 || b!.dims.length !== 2) return undefined;
  const flag = (name: string) => node.op === "Gemm" && readInt(node, name, 0) !== 0;
  const [rows, columns] = output!.dims as [number, number];
  const inner = a!.dims[flag("transA") ? 0 : 1]!;
  if (rows * columns * inner > mostProducts) return undefined;
  const [aRow, aStep] = flag("transA") ? [1, rows] : [inner, 1];
  const [bStep, bColumn] = flag("transB") ? [1, inner] : [columns, 1];
  const [left, right] = [numbers(a!), numbers(b!)];
  const values = new Float64Array(rows * columns);
  const alpha = node.op === "Gemm" ? readFloat(node, "alpha", 1) : 1;
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < inner; k++) {
      const factor = alpha * left[i * aRow + k * aStep]!;
      for (let j = 0; j < columns; j++) values[i * columns + j]! += factor * right[k * bStep + j * bColumn]!;
    }
  if (c !== undefined) {
    const [added, beta] = [numbers(c), readFloat(node, "beta", 1)];
    walk(output!.dims, broadcastStrides(c.dims, output!.dims), 0, (from, to) => void (values[to]! += beta * added[from]!));
  }
  return stored(output!, values);
};

const each = <T>(table: Readonly<Record<string, T>>, make: (entry: T) => Evaluation): Record<string, Evaluation> =>
  Object.fromEntries(Object.entries(table).map(([op, entry]) => [op, make(entry)]));

export const computations: Readonly<Record<string, Evaluation>> = {
  ...each(binaries, binary),
  ...each(unaries, unary),
  ...each(reductions, reduce),
  Cast: cast,
  CastLike: ({ tensors, ...rest }) => cast({ ...rest, tensors: tensors.slice(0, 1) }),
  MatMul: product,
  Gemm: product,
};
