// The layers of a graph as counting sees them: nodes that multiply by a constant weight, and how often.
import { elements, readInt } from "./attributes.js";
import type { Node, ValueType } from "./types.js";

/** Where operators of the standard domain read their weight; where two places are possible, the first that is constant counts. */
const weightPlaces: Readonly<Record<string, readonly number[]>> = {
  Conv: [1],
  ConvTranspose: [1],
  DeformConv: [1],
  ConvInteger: [1],
  QLinearConv: [3],
  Gemm: [1, 0],
  MatMul: [1, 0],
  MatMulInteger: [1, 0],
  QLinearMatMul: [3, 0],
};

/** Operators whose further inputs are a bias. */
const biased = new Set(["Conv", "ConvTranspose", "Gemm"]);

/** The constant weight that a layer multiplies by; undefined for nodes that are not layers. */
export function weightOf(node: Node, constant: ReadonlyMap<string, unknown>): string | undefined {
  const places = node.domain === "" && Object.hasOwn(weightPlaces, node.op) ? weightPlaces[node.op]! : [];
  return places.map((index) => node.inputs[index] ?? "").find((name) => constant.has(name));
}

/** The inputs of a layer that are a bias. */
export const biasesOf = (node: Node): readonly string[] => (biased.has(node.op) ? node.inputs.slice(2) : []);

/** Operators that convolve, whether their weight is constant or not. */
export const isConvolution = ({ op, domain }: Node): boolean =>
  domain === "" && /Conv/.test(op) && Object.hasOwn(weightPlaces, op);

/** Multiply-accumulates of a layer; undefined where its shapes are not known. */
export function layerMacs(node: Node, weight: string, shapes: ReadonlyMap<string, ValueType>): number | undefined {
  const count = (name: string, from = 0): number | undefined => {
    const dims = shapes.get(name)?.dims?.slice(from);
    return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : undefined;
  };
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  if (node.op === "ConvTranspose") return times(count(input), count(weight, 1));
  if (isConvolution(node)) return times(count(output), count(weight, 1));
  const other = weightPlaces[node.op]!.find((place) => node.inputs[place] !== weight)!;
  const data = node.inputs[other]!;
  const dims = shapes.get(data)?.dims;
  const left = weight === input;
  const transposed = node.op === "Gemm" && readInt(node, left ? "transB" : "transA", 0) !== 0;
  // the axis that is summed over: the data's last where it stands left, else its last but one
  const inner = dims?.at(dims.length > 1 && transposed !== left ? -2 : -1);
  return typeof inner === "number" ? times(count(output), inner) : undefined;
}

const times = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a * b;
