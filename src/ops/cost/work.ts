// The work of one layer, from the shapes of what it reads and makes.
import { elements } from "../../graph/attributes.js";
import { isBasisConv } from "../../graph/basis-conv.js";
import type { Graph, ValueType } from "../../graph/types.js";
import { layerMacs } from "./layers.js";

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
