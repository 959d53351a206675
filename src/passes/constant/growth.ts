// By how many bytes a model changes where nodes over constants are replaced by what they compute.
import { elementBytes, elements } from "../../graph/attributes.js";
import { constantTensor } from "../../graph/constants.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, TensorData } from "../../graph/types.js";
import { unreadIn } from "../remove-unread.js";

/** Bytes that a node takes in a file beside its names: tags, lengths, operator. */
const nodeBytes = 24;

const bytesOf = ({ type, dims }: TensorData): number => Math.ceil(elements(dims) * elementBytes[type]);

function constantBytes(node: Node): number {
  const value = constantTensor(node);
  return value === undefined ? 0 : bytesOf(value);
}

/** Bytes of the results that something reads, less the bytes of the constants and nodes that nobody needs any more. */
export function bytesChanged(graph: Graph, results: ReadonlyMap<Node, readonly TensorData[]>): number {
  const { consumers } = indexOf(graph);
  const gone = unreadIn(graph, [], results.keys());
  let bytes = 0;
  for (const [node, tensors] of results)
    node.outputs.forEach((output, at) => {
      if (consumers.has(output)) bytes += bytesOf(tensors[at]!) + output.length;
    });
  for (const node of gone.nodes)
    bytes -=
      constantBytes(node) +
      nodeBytes +
      [...node.inputs, ...node.outputs].reduce((sum, text) => sum + text.length + 2, 0);
  for (const name of gone.constants) bytes -= bytesOf(graph.initializers.get(name)!);
  return bytes;
}
