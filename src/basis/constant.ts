// The constant behind a value: an initializer, a Constant node, or one of these through Identity and Cast.

import { readInt, readTensor } from "../graph/attributes.js";
import type { DataType, Graph, Node, TensorData } from "../graph/types.js";
import { dataTypes } from "../graph/types.js";

export interface Constant {
  /** The value where the chain begins: two chains from one initializer have one root. */
  readonly root: string;
  /** As stored. */
  readonly tensor: TensorData;
  /** As the reader gets it, after any Cast. */
  readonly type: DataType;
}

/** A function that finds constants by value name; undefined for values that are computed from inputs. */
export function constants(graph: Graph): (name: string) => Constant | undefined {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  const known = new Map<string, Constant | undefined>();
  const find = (name: string): Constant | undefined => {
    if (known.has(name)) return known.get(name);
    known.set(name, undefined); // a graph with a loop in it finds nothing rather than running for ever
    const found = resolve(name);
    known.set(name, found);
    return found;
  };
  const resolve = (name: string): Constant | undefined => {
    const tensor = graph.initializers.get(name);
    if (tensor) return { root: name, tensor, type: tensor.type };
    const node = producers.get(name);
    if (node?.domain !== "") return undefined;
    if (node.op === "Constant") {
      const value = readTensor(node, "value");
      return value && { root: name, tensor: value, type: value.type };
    }
    if (node.op !== "Identity" && node.op !== "Cast") return undefined;
    const inner = find(node.inputs[0] ?? "");
    if (!inner || node.op === "Identity") return inner;
    const type = dataTypes[readInt(node, "to", 0) - 1];
    return type && { ...inner, type };
  };
  return find;
}
