// BasisConv -> ordinary ONNX nodes in each node's layout, and the record of them in the model's metadata: what a file
// holds.

import { readInt } from "../graph/attributes.js";
import { type BasisConv, basisConvs, layerName } from "../graph/basis-conv.js";
import { freshNames, valueNames, withMetadata } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import { type DataType, dataTypes, type Graph, type Node } from "../graph/types.js";
import { layoutNodes } from "./basis-conv-nodes.js";
import { type CompressionRecord, parseRecord, recordKey, recordOf } from "./compression-record.js";

/**
 * What a file held for a node that was raised from it; `part` is that very node, so that a changed one is written anew.
 */
interface Written {
  readonly part: Node;
  readonly nodes: readonly Node[];
  readonly opset: number;
}

/** Graphs as they were read, by what they were raised to. */
const readAs = new WeakMap<Graph, Graph>();

/** Remembers what a raised graph was read as: unchanged, it is written so again. */
export function rememberRead(raised: Graph, read: Graph): void {
  readAs.set(raised, read);
}

/** The node with the nodes that it was raised from. */
export function withWritten(node: Node, nodes: readonly Node[], opset: number): Node {
  const written = { part: node, nodes, opset };
  const made: Node = { ...node, origin: written };
  written.part = made;
  return made;
}

/**
 * The graph in ordinary ONNX; the very same where it has no such node. Nodes that are as they were read are written as
 * they were.
 */
export function lowerBasisConv(graph: Graph): Graph {
  const read = readAs.get(graph);
  if (read !== undefined) return read;
  const found = basisConvs(graph.nodes);
  if (found.length === 0) return graph;
  const opset = graph.opsets.get("") ?? 1;
  const names = valueNames(graph);
  const kept = new Map<Node, readonly Node[]>();
  for (const { node } of found) {
    const nodes = asRead(node, opset, names);
    if (nodes === undefined) continue;
    kept.set(node, nodes);
    for (const name of nodes.flatMap(({ outputs }) => outputs)) names.add(name);
  }
  const taken = [...kept.values()].flat().flatMap(({ name, outputs }) => [name, ...outputs]);
  const context = { fresh: freshNames(graph, taken), opset, typeOf: constantTypes(graph) };
  const lowered = new Map(found.map(({ node, layer }) => [node, kept.get(node) ?? write(layer, context)]));
  const nodes = graph.nodes.flatMap((node) => lowered.get(node) ?? [node]);
  return withMetadata({ ...graph, nodes }, { [recordKey]: JSON.stringify(completeRecord(graph)) });
}

/** The type of a constant as its readers get it: behind a Cast, the one that is cast to. */
function constantTypes(graph: Graph): (value: string) => DataType | undefined {
  const { producers: made, constant, stored } = indexOf(graph);
  return (value) => {
    const maker = made.get(value);
    const widened = stored(value);
    if (widened?.integers !== undefined) return widened.type;
    return maker?.op === "Cast" ? dataTypes[readInt(maker, "to", 0) - 1] : constant(value)?.type;
  };
}

function write(layer: BasisConv, context: Parameters<typeof layoutNodes>[2]): readonly Node[] {
  const name = layerName(layer);
  return layoutNodes({ ...layer, name }, layer.layout, context);
}

/**
 * The nodes that a node was read from, if it is unchanged, what they read is still there, and their inner names are
 * free.
 */
function asRead(node: Node, opset: number, names: ReadonlySet<string>): readonly Node[] | undefined {
  const written = node.origin as Partial<Written> | undefined;
  if (written?.part !== node || written.nodes === undefined || written.opset !== opset) return undefined;
  const inner = new Set(written.nodes.flatMap(({ outputs }) => outputs));
  const own = new Set(node.outputs);
  const free = [...inner].every((name) => own.has(name) || !names.has(name));
  const complete = written.nodes.every(({ inputs }) =>
    inputs.every((name) => name === "" || inner.has(name) || names.has(name)),
  );
  return free && complete ? written.nodes : undefined;
}

/** The record of the nodes, behind what an earlier record says of layers that did not fit it. */
function completeRecord(graph: Graph): CompressionRecord {
  const own = recordOf(graph)!;
  const unmatched = unmatchedRecord(graph);
  return unmatched === undefined ? own : { ...own, layers: [...unmatched.layers, ...own.layers] };
}

/** What is left of a record that was read: the layers that did not fit it. */
function unmatchedRecord(graph: Graph): CompressionRecord | undefined {
  const text = graph.metadata.get(recordKey);
  try {
    return text === undefined ? undefined : parseRecord(text);
  } catch {
    return undefined; // it was said when the file was read
  }
}
