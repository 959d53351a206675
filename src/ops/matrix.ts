// Products of matrices: MatMul and Gemm.
import { float, nodeName, readFloat, readInt } from "../graph/attributes.js";
import type { DataType, Dim } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { calls, type Family, type MacRule } from "./operator.js";
import type { AffineRule } from "./rules/affine.js";
import { broadcast, broadcastDim, has, input, mismatch, type Rule, same, showDim } from "./rules/call.js";
import { areEqual, type DemandRule } from "./rules/demand.js";
import { broadcastStrides, walk } from "./rules/elements.js";
import { countOf, times } from "./rules/macs.js";
import type { ValueRule } from "./rules/value.js";

/** MatMul: numpy's rules, vectors included. */
export const matMul =
  (type?: DataType): Rule =>
  (call) => {
    const [a, b] = [input(call, 0), input(call, 1)];
    const result = type ?? a.type ?? b.type;
    if (a.dims === undefined || b.dims === undefined) return [{ type: result }];
    if (a.dims.length === 0 || b.dims.length === 0)
      throw mismatch(call, "a matrix product needs axes", "rank 1 or more", "a scalar");
    const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
    const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
    same(call, left.at(-1)!, right.at(-2)!, "the inner sizes of the matrices");
    const stack = broadcast(call, [left.slice(0, -2), right.slice(0, -2)])!;
    const rows = a.dims.length === 1 ? [] : [left.at(-2)!];
    return [{ type: result, dims: [...stack, ...rows, ...(b.dims.length === 1 ? [] : [right.at(-1)!])] }];
  };

/** Gemm: a[M, K] b[K, N] -> [M, N], either transposed by attribute. */
const gemm: Rule = (call) => {
  const oriented = (index: number, flag: string): readonly Dim[] => {
    const dims = input(call, index).dims ?? [null, null];
    if (dims.length !== 2)
      throw mismatch(call, `input ${index} must be a matrix`, "rank 2", `[${dims.map(showDim).join(", ")}]`);
    return readInt(call.node, flag, 0) !== 0 ? [...dims].reverse() : dims;
  };
  const [a, b] = [oriented(0, "transA"), oriented(1, "transB")];
  same(call, a[1]!, b[0]!, "the inner sizes of the matrices");
  const dims = [a[0]!, b[1]!];
  const bias = has(call, 2) ? input(call, 2).dims : undefined;
  if (bias !== undefined && call.opset >= 7)
    for (const [axis, size] of bias.entries()) broadcastDim(call, dims[axis + 2 - bias.length] ?? null, size);
  return [{ type: input(call, 0).type ?? input(call, 1).type, dims }];
};

/** Multiply-accumulates beyond which a product of constants is left to be computed at load: about a second. */
const mostProducts = 1e9;

/** alpha a b + beta c for matrices; MatMul is alpha = 1 without c. */
const product: ValueRule = {
  kind: "computes",
  sizes: false,
  of: ({ call: { node }, inputs: [a, b, c], outputs: [output] }) => {
    if (a?.dims.length !== 2 || b?.dims.length !== 2 || (c === undefined && node.inputs[2])) return undefined;
    const flag = (name: string) => node.op === "Gemm" && readInt(node, name, 0) !== 0;
    const [rows, columns] = output!.dims as [number, number];
    const inner = a.dims[flag("transA") ? 0 : 1]!;
    if (rows * columns * inner > mostProducts) return undefined;
    const [aRow, aStep] = flag("transA") ? [1, rows] : [inner, 1];
    const [bStep, bColumn] = flag("transB") ? [1, inner] : [columns, 1];
    const [left, right] = [a.elements, b.elements] as readonly ArrayLike<number>[] as [
      ArrayLike<number>,
      ArrayLike<number>,
    ];
    const values = new Float64Array(rows * columns);
    const alpha = node.op === "Gemm" ? readFloat(node, "alpha", 1) : 1;
    for (let i = 0; i < rows; i++)
      for (let k = 0; k < inner; k++) {
        const factor = alpha * left[i * aRow + k * aStep]!;
        for (let j = 0; j < columns; j++) values[i * columns + j]! += factor * right[k * bStep + j * bColumn]!;
      }
    if (c !== undefined) {
      const [added, beta] = [c.elements as ArrayLike<number>, readFloat(node, "beta", 1)];
      const strides = broadcastStrides(c.dims, output!.dims);
      walk(output!.dims, strides, 0, (from, to) => void (values[to]! += beta * added[from]!));
    }
    return [values];
  },
};

/** y = alpha a b + beta c, b[K, N] (or [N, K] with transB): alpha stays, beta goes into the bias. */
const scaled: AffineRule["read"] = (node, weight, bias) => {
  const swapped = readInt(node, "transB", 0) !== 0;
  const [rows, columns] = weight.dims as [number, number];
  const [inChannels, outChannels] = swapped ? [columns, rows] : [rows, columns];
  if (readInt(node, "transA", 0) !== 0) return { reason: `${nodeName(node)} transposes its input` };
  const alpha = readFloat(node, "alpha", 1);
  if (alpha !== 1) return { reason: `${nodeName(node)} has alpha = ${alpha}` };
  const beta = readFloat(node, "beta", 1);
  const stored = bias && numbers(bias);
  if (
    stored !== undefined &&
    stored.length !== 1 &&
    (stored.length !== outChannels || bias!.dims.at(-1) !== outChannels)
  ) {
    return { reason: `the bias of ${nodeName(node)} differs from row to row` };
  }
  const each = Float64Array.from(
    { length: outChannels },
    (_, channel) => beta * (stored?.[stored.length === 1 ? 0 : channel] ?? 0),
  );
  const attributes = new Map(node.attributes);
  if (attributes.has("beta")) attributes.set("beta", float(1));
  return {
    ...{ weight, bias: each, outChannels, inChannels, node: { ...node, attributes }, padded: false, biased: true },
    channels: (index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      return swapped ? [row, column] : [column, row];
    },
  };
};

/**
 * As many for each output as the axis is long that is summed over: the data's last where it stands left, else its last
 * but one.
 */
export const productMacs =
  (second: number): MacRule =>
  (node, weight, shapes) => {
    const isLeft = weight === node.inputs[0];
    const dims = shapes.get(node.inputs[isLeft ? second : 0]!)?.dims;
    const transposed = node.op === "Gemm" && readInt(node, isLeft ? "transB" : "transA", 0) !== 0;
    const inner = dims?.at(dims.length > 1 && transposed !== isLeft ? -2 : -1);
    return typeof inner === "number" ? times(countOf(shapes, node.outputs[0]!), inner) : undefined;
  };

/** The two sides of a product: the axis that is summed over. */
const demandsOfMatMul: DemandRule = (_, known) => {
  const [a, b] = [known(0).dims, known(1).dims];
  return a && b ? areEqual(a.at(-1), b.at(b.length === 1 ? -1 : -2)) : [];
};

const demandsOfGemm: DemandRule = (node, known) =>
  areEqual(known(0).dims?.[readInt(node, "transA", 0) ? 0 : 1], known(1).dims?.[readInt(node, "transB", 0) ? 1 : 0]);

export const matrices = {
  MatMul: {
    signature: calls(2),
    operands: ["factor", "factor"],
    shapes: matMul(),
    value: product,
    demands: demandsOfMatMul,
    macs: productMacs(1),
    channels: "layer",
    sums: (_, sizes) => sizes(1).at(-2) ?? sizes(1)[0] ?? 1,
    overwritable: true,
    since: 1,
  },
  Gemm: {
    signature: calls([2, 3], { alpha: "float", beta: "float", broadcast: "int", transA: "int", transB: "int" }),
    operands: ["factor", "factor", "bias"],
    shapes: gemm,
    value: product,
    demands: demandsOfGemm,
    macs: productMacs(1),
    channels: "layer",
    absorbsAffine: { places: () => [1, 2], read: scaled },
    sums: (node, sizes) => sizes(1)[readInt(node, "transB", 0) === 0 ? 0 : 1] ?? 1,
    overwritable: true,
    since: 11,
  },
} satisfies Family;
