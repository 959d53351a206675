// The work of one layer, from the shapes of what it reads and makes.
import { elements, readInt } from "./attributes.js";
import { type BasisConv, isBasisConv, readBasisConv } from "./basis-conv.js";
import type { Graph, Node, ValueType } from "./types.js";

/** Multiply-accumulates of one layer that multiplies by `weight`; undefined where the shapes do not tell. */
export function layerMacs(node: Node, weight: string, shapes: ReadonlyMap<string, ValueType>): number | undefined {
  const count = (name: string, from = 0): number | undefined => {
    const dims = shapes.get(name)?.dims?.slice(from);
    return dims?.every((dim) => typeof dim === "number") ? elements(dims as number[]) : undefined;
  };
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const site = readBasisConv(node);
  if (site !== undefined) return times(positions(shapes.get(output)), macsPerPosition(site));
  if (node.op === "Conv") return times(count(output), count(weight, 1));
  if (node.op === "ConvTranspose") return times(count(input), count(weight, 1));
  const data = weight === input ? node.inputs[1]! : input;
  const dims = shapes.get(data)?.dims;
  const transposed = node.op === "Gemm" && readInt(node, weight === input ? "transB" : "transA", 0) !== 0;
  // the axis that is summed over: the data's last where it stands left, else its last but one
  const inner = dims?.at(dims.length > 1 && transposed !== (weight === input) ? -2 : -1);
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

const layers = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

export interface Work {
  /** Multiply-accumulates of all layers, products of two computed values included. */
  readonly macs: number;
  /** Elements of all values that nodes make. */
  readonly elements: number;
}

/** Roughly what one run takes; what has no known shape is not in it. */
export function roughWork(graph: Graph, shapes: ReadonlyMap<string, ValueType>): Work {
  let [macs, made] = [0, 0];
  for (const node of graph.nodes) {
    if ((node.domain === "" && layers.has(node.op)) || isBasisConv(node)) macs += layerMacs(node, node.inputs[1]!, shapes) ?? 0;
    for (const output of node.outputs) {
      const dims = shapes.get(output)?.dims;
      if (dims?.every((dim) => typeof dim === "number")) made += elements(dims as number[]);
    }
  }
  return { macs, elements: made };
}
