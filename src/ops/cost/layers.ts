// The layers of a graph as counting sees them: nodes that multiply by a weight, and how often.
import { elements } from "../../graph/attributes.js";
import type { Graph, Node, ValueType } from "../../graph/types.js";
import { placesOf } from "../operator.js";
import { operatorOf } from "../table.js";

/**
 * The constant weights that a layer multiplies by: one, or basis and coefficients; none for nodes that are not layers.
 */
export function weightsOf(node: Node, constant: ReadonlyMap<string, unknown>): readonly string[] {
  const operator = operatorOf(node);
  if (operator?.macs === undefined) return [];
  const named = (places: readonly number[]) =>
    places.map((place) => node.inputs[place] ?? "").filter((name) => constant.has(name));
  const weights = named(placesOf(operator, "weight"));
  return weights.length > 0 ? weights : named(placesOf(operator, "factor")).slice(-1);
}

/** The inputs of a layer that are a bias. */
export const biasesOf = (node: Node): readonly string[] =>
  placesOf(operatorOf(node), "bias").flatMap((place) => node.inputs[place] ?? []);

/** Operators that convolve, whether their weight is constant or not. */
export const isConvolution = (node: Node): boolean => operatorOf(node)?.convolves === true;

/** Multiply-accumulates of a layer; undefined where its shapes are not known. */
export const layerMacs = (node: Node, weight: string, shapes: ReadonlyMap<string, ValueType>): number | undefined =>
  operatorOf(node)?.macs?.(node, weight, shapes);

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
    const [place = 0] = placesOf(operatorOf(node), "weight", "factor").slice(-1);
    macs += layerMacs(node, node.inputs[place] ?? "", shapes) ?? 0;
    for (const output of node.outputs) {
      const dims = shapes.get(output)?.dims;
      if (dims?.every((dim) => typeof dim === "number")) made += elements(dims as number[]);
    }
  }
  return { macs, elements: made };
}
