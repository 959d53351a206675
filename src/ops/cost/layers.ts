// The layers of a graph as counting sees them: nodes that multiply by a constant weight, and how often.
import { elements, readInt } from "../../graph/attributes.js";
import { type BasisConv, isBasisConv, readBasisConv } from "../../graph/basis-conv.js";
import type { Node, ValueType } from "../../graph/types.js";

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

/** The constant weights that a layer multiplies by: one, or basis and coefficients; none for nodes that are not layers. */
export function weightsOf(node: Node, constant: ReadonlyMap<string, unknown>): readonly string[] {
  if (isBasisConv(node)) return node.inputs.slice(1, 3).filter((name) => constant.has(name));
  const places = node.domain === "" && Object.hasOwn(weightPlaces, node.op) ? weightPlaces[node.op]! : [];
  const found = places.map((index) => node.inputs[index] ?? "").find((name) => constant.has(name));
  return found === undefined ? [] : [found];
}

/** The inputs of a layer that are a bias. */
export function biasesOf(node: Node): readonly string[] {
  if (isBasisConv(node)) return node.inputs.slice(3);
  return biased.has(node.op) ? node.inputs.slice(2) : [];
}

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
  const site = readBasisConv(node);
  if (site !== undefined) return times(positions(shapes.get(output)), macsPerPosition(site));
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

/** Of a convolution over a basis, in the layout that it is written in: m c k + n s m, or n c k where its filters are rebuilt. */
function macsPerPosition({ layout, coefficients, ...site }: BasisConv): number {
  const { splits: s, basisSize: m, inChannels: c, outChannels: n } = site;
  const area = elements(site.kernel);
  return layout === "dense" ? n * c * area : m * c * area + (coefficients === "" ? 0 : n * s * m);
}

/** Output positions over the batch: all axes but the channels. */
function positions(type: ValueType | undefined): number | undefined {
  const dims = type?.dims?.filter((_, axis) => axis !== 1);
  return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : undefined;
}

const times = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a * b;
