// A graph of which every part is a new object with the old origin, as if each had been edited: writing it encodes every
// field anew.
import type { Attribute, Graph, GraphBody, LocalFunction, Node, SparseTensorData } from "../src/graph/types.js";

export function rebuilt(graph: Graph): Graph {
  return {
    ...graph,
    ...rebuiltBody(graph),
    ...(graph.functions && { functions: graph.functions.map(rebuiltFunction) }),
  };
}

function rebuiltBody<B extends GraphBody>(body: B): B {
  const { nodes, initializers, sparseInitializers: sparse, inputs, outputs, values } = body;
  return {
    ...body,
    nodes: nodes.map(rebuiltNode),
    initializers: mapValues(initializers, (tensor) => ({ ...tensor })),
    inputs: inputs.map((value) => ({ ...value })),
    outputs: outputs.map((value) => ({ ...value })),
    // The types too: written from what the graph knows of them.
    values: mapValues(values, (value) => ({ ...value, ...(value.tensor && { tensor: { ...value.tensor } }) })),
    ...(sparse && { sparseInitializers: mapValues(sparse, rebuiltSparse) }),
  };
}

function rebuiltSparse(sparse: SparseTensorData): SparseTensorData {
  return { ...sparse, values: { ...sparse.values }, indices: { ...sparse.indices } };
}

function rebuiltNode(node: Node): Node {
  return { ...node, attributes: mapValues(node.attributes, rebuiltAttribute) };
}

function rebuiltAttribute(attribute: Attribute): Attribute {
  switch (attribute.kind) {
    case "tensor":
      return { ...attribute, value: { ...attribute.value } };
    case "tensors":
      return { ...attribute, value: attribute.value.map((tensor) => ({ ...tensor })) };
    case "graph":
      return { ...attribute, value: rebuiltBody(attribute.value) };
    case "graphs":
      return { ...attribute, value: attribute.value.map(rebuiltBody) };
    default:
      return { ...attribute };
  }
}

function rebuiltFunction(local: LocalFunction): LocalFunction {
  return { ...local, nodes: local.nodes.map(rebuiltNode), defaults: mapValues(local.defaults, rebuiltAttribute) };
}

function mapValues<V>(map: ReadonlyMap<string, V>, change: (value: V) => V): ReadonlyMap<string, V> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
