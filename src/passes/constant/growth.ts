// By how many bytes a model changes where nodes over constants are replaced by what they compute.
import { elementBytes, elements } from "../../graph/attributes.js";
import { consumers, producers, reads } from "../../graph/edit.js";
import type { Graph, Node, TensorData } from "../../graph/types.js";

/** Bytes that a node takes in a file beside its names: tags, lengths, operator. */
const nodeBytes = 24;

interface Index {
  readonly readers: ReadonlyMap<string, readonly Node[]>;
  readonly made: ReadonlyMap<string, Node>;
  readonly outputs: ReadonlySet<string>;
}

const indexes = new WeakMap<Graph, Index>();

function indexOf(graph: Graph): Index {
  const known = indexes.get(graph) ?? {
    ...{ readers: consumers(graph), made: producers(graph), outputs: new Set(graph.outputs.map(({ name }) => name)) },
  };
  indexes.set(graph, known);
  return known;
}

const bytesOf = ({ type, dims }: TensorData): number => Math.ceil(elements(dims) * elementBytes[type]);

function constantBytes(node: Node): number {
  const value = node.op === "Constant" && node.domain === "" ? node.attributes.get("value") : undefined;
  return value?.kind === "tensor" ? bytesOf(value.value) : 0;
}

/** Bytes of the results that something reads, less the bytes of the constants and nodes that nobody needs any more. */
export function bytesChanged(graph: Graph, results: ReadonlyMap<Node, readonly TensorData[]>): number {
  const { readers, made, outputs } = indexOf(graph);
  const gone = new Set<Node>();
  const left = new Map<string, number>();
  const unread = (value: string): boolean => !outputs.has(value) && (left.get(value) ?? readers.get(value)?.length ?? 0) === 0;
  let bytes = 0;
  const open: Node[] = [];
  for (const [node, tensors] of results) {
    open.push(node);
    node.outputs.forEach((output, at) => {
      if ((readers.get(output)?.length ?? 0) > 0) bytes += bytesOf(tensors[at]!) + output.length;
    });
  }
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (gone.has(node)) continue;
    gone.add(node);
    bytes -= constantBytes(node) + nodeBytes + [...node.inputs, ...node.outputs].reduce((sum, text) => sum + text.length + 2, 0);
    for (const value of reads(node)) {
      left.set(value, (left.get(value) ?? readers.get(value)?.length ?? 0) - 1);
      if (!unread(value)) continue;
      const tensor = graph.initializers.get(value);
      if (tensor !== undefined) bytes -= bytesOf(tensor);
      const maker = made.get(value);
      if (maker !== undefined && !results.has(maker) && maker.outputs.every((output) => output === "" || unread(output)))
        open.push(maker);
    }
  }
  return bytes;
}
