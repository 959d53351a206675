// Operators whose later versions only took more element types: a node of one version is, word for word, the same in another
// (onnx/docs/Changelog.md).
import type { Node } from "../graph/types.js";

/** From which opset on. */
const since: Readonly<Record<string, number>> = {
  Abs: 6,
  Add: 7,
  And: 7,
  Ceil: 6,
  Concat: 4,
  Conv: 1,
  ConvTranspose: 1,
  Cos: 7,
  DepthToSpace: 11,
  Div: 7,
  Elu: 6,
  Equal: 7,
  Erf: 9,
  Exp: 6,
  Flatten: 11,
  Floor: 6,
  Gather: 11,
  Gemm: 11,
  GlobalAveragePool: 1,
  GlobalMaxPool: 1,
  Greater: 9,
  HardSigmoid: 6,
  HardSwish: 14,
  Identity: 1,
  InstanceNormalization: 6,
  LeakyRelu: 6,
  Less: 9,
  Log: 6,
  MatMul: 1,
  Mul: 7,
  Neg: 6,
  Not: 1,
  Or: 7,
  PRelu: 9,
  Pow: 7,
  Reciprocal: 6,
  Relu: 6,
  Selu: 6,
  Sigmoid: 6,
  Sin: 7,
  Softplus: 1,
  Sqrt: 6,
  Sub: 7,
  Tanh: 6,
  Tile: 6,
  Transpose: 1,
  Where: 9,
};

/** Does a node of the standard domain mean the same in both versions? */
export function unchangedSince(node: Node, from: number, to: number): boolean {
  const first = Object.hasOwn(since, node.op) ? since[node.op] : undefined;
  return from === to || (first !== undefined && first <= Math.min(from, to));
}
