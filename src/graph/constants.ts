// Values that do not depend on the inputs, however an exporter wrote them: initializers, Constant nodes, Identity on
// either.
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "./attributes.js";
import type { Node, TensorData } from "./types.js";
import { tensorOf } from "./values.js";

/**
 * A function that gives the tensor behind a name, over maps that the caller keeps and may change in between (see
 * GraphIndex for graphs).
 */
export function constantLookup(
  initializers: ReadonlyMap<string, TensorData>,
  made: ReadonlyMap<string, Node>,
): (name: string) => TensorData | undefined {
  return (name) => {
    let current = name;
    for (let steps = 0; steps <= made.size; steps++) {
      const stored = initializers.get(current);
      const node = made.get(current);
      if (stored !== undefined || node === undefined || node.domain !== "") return stored;
      if (node.op === "Constant") return constantOf(node);
      if (node.op !== "Identity") return undefined;
      current = node.inputs[0] ?? "";
    }
    return undefined; // a graph that reads itself
  };
}

const utf8Count = (values: readonly Uint8Array[]): TensorData => ({
  type: "string",
  dims: [values.length],
  data: new Uint8Array(0),
  strings: values,
});

/**
 * The tensor of a Constant node; undefined for a sparse one.
 * @throws FilterBasisError `invalid-graph` where it has no value
 */
export function constantOf(node: Node): TensorData | undefined {
  for (const [name, attribute] of node.attributes) {
    if (name === "value" && attribute.kind === "tensor") return attribute.value;
    if (name === "value_float" && attribute.kind === "float") return tensorOf("float32", [], [attribute.value]);
    if (name === "value_floats" && attribute.kind === "floats")
      return tensorOf("float32", [attribute.value.length], attribute.value);
    if (name === "value_int" && attribute.kind === "int")
      return { type: "int64", dims: [], data: bytesOf([attribute.value]) };
    if (name === "value_ints" && attribute.kind === "ints") {
      return { type: "int64", dims: [attribute.value.length], data: bytesOf(attribute.value) };
    }
    if (name === "value_string" && attribute.kind === "string") return { ...utf8Count([attribute.value]), dims: [] };
    if (name === "value_strings" && attribute.kind === "strings") return utf8Count(attribute.value);
    if (name === "sparse_value") return undefined;
  }
  throw new FilterBasisError("invalid-graph", "a Constant without a value", { node: nodeName(node), op: node.op });
}

const bytesOf = (values: readonly bigint[]): Uint8Array => new Uint8Array(BigInt64Array.from(values).buffer);

/** The tensor that a Constant node states as such; undefined for its other attributes and for other nodes. */
export function constantTensor(node: Node): TensorData | undefined {
  const value = node.op === "Constant" && node.domain === "" ? node.attributes.get("value") : undefined;
  return value?.kind === "tensor" ? value.value : undefined;
}
