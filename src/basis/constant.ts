// The constant behind a value: an initializer, a Constant node, or one of these through Identity and Cast.

import { readInt, readTensor } from "../graph/attributes.js";
import { producers } from "../graph/edit.js";
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
  const made = producers(graph);
  const known = new Map<string, Constant | undefined>();
  return (name) => {
    const chain: string[] = [];
    let current = name;
    // Up to what is stored or known, in a loop: chains may be long. What the chain meets again finds nothing, as a circle must.
    while (!known.has(current)) {
      known.set(current, stored(graph, made, current));
      const node = made.get(current);
      if (known.get(current) !== undefined || node?.domain !== "" || (node.op !== "Identity" && node.op !== "Cast")) break;
      chain.push(current);
      current = node.inputs[0] ?? "";
    }
    for (let value = chain.pop(); value !== undefined; value = chain.pop()) {
      const node = made.get(value)!;
      known.set(value, through(node, known.get(node.inputs[0] ?? "")));
    }
    return known.get(name);
  };
}

function stored(graph: Graph, made: ReadonlyMap<string, Node>, name: string): Constant | undefined {
  const node = made.get(name);
  const value = node?.domain === "" && node.op === "Constant" ? readTensor(node, "value") : undefined;
  const tensor = graph.initializers.get(name) ?? value;
  return tensor && { root: name, tensor, type: tensor.type };
}

/** What Identity or Cast makes of a constant. */
function through(node: Node, inner: Constant | undefined): Constant | undefined {
  if (inner === undefined || node.op === "Identity") return inner;
  const type = dataTypes[readInt(node, "to", 0) - 1];
  return type && { ...inner, type };
}
