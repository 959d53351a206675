// What is asked of a graph again and again: who makes a value, who reads it, which constant stands behind it. Made once
// for a graph, which never changes.
import { readInt, readTensor } from "./attributes.js";
import { constantOf } from "./constants.js";
import { reads } from "./edit.js";
import { type DataType, dataTypes, type GraphBody, type Node, type TensorData } from "./types.js";

export interface GraphIndex {
  /** The node that makes each value. */
  readonly producers: ReadonlyMap<string, Node>;
  /**
   * The nodes that read each value, each node once, in order; bodies of If, Loop and Scan count as reading what they
   * capture.
   */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  /** The outputs of the graph. */
  readonly outputs: ReadonlySet<string>;
  /** The one node that reads a value, if nothing else does and the value is no output of the graph. */
  readonly soleReader: (value: string) => Node | undefined;
  /** The tensor behind a value: an initializer, the output of a Constant node, or Identity of such; else undefined. */
  readonly constant: (value: string) => TensorData | undefined;
  /** The same behind Identity and Cast, with where it is stored and the type in which it is read. */
  readonly stored: (value: string) => Stored | undefined;
  /** The value behind any Identity and Cast, constant or not. */
  readonly root: (value: string) => string;
}

/** A constant that may be read in another type than it is stored in. */
export interface Stored {
  /** The value where the chain begins: two chains from one initializer have one root. */
  readonly root: string;
  /** As stored. */
  readonly tensor: TensorData;
  /** As the reader gets it, after any Cast. */
  readonly type: DataType;
}

const indexes = new WeakMap<GraphBody, GraphIndex>();

export function indexOf(graph: GraphBody): GraphIndex {
  let index = indexes.get(graph);
  if (index === undefined) indexes.set(graph, (index = makeIndex(graph)));
  return index;
}

/** The node that makes each value. */
export function producersOf(nodes: readonly Node[]): ReadonlyMap<string, Node> {
  const made = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) if (output !== "") made.set(output, node);
  return made;
}

function consumersOf(nodes: readonly Node[]): ReadonlyMap<string, readonly Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const name of reads(node)) {
      const list = readers.get(name);
      if (list === undefined) readers.set(name, [node]);
      else list.push(node);
    }
  }
  return readers;
}

function makeIndex(graph: GraphBody): GraphIndex {
  const producers = producersOf(graph.nodes);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  let readers: ReadonlyMap<string, readonly Node[]> | undefined;
  const behindIdentity = chaser(graph, producers, ["Identity"]);
  const root = chaser(graph, producers, ["Identity", "Cast"]);
  const isNode = (node: Node | undefined, op: string): node is Node => node?.op === op && node.domain === "";
  const index: GraphIndex = {
    producers,
    outputs,
    root,
    get consumers() {
      return (readers ??= consumersOf(graph.nodes));
    },
    soleReader(value) {
      const [reader, another] = index.consumers.get(value) ?? [];
      return another === undefined && !outputs.has(value) ? reader : undefined;
    },
    constant(value) {
      const name = behindIdentity(value);
      const node = producers.get(name);
      return graph.initializers.get(name) ?? (isNode(node, "Constant") ? constantOf(node) : undefined);
    },
    stored(value) {
      const name = root(value);
      const node = producers.get(name);
      const tensor = graph.initializers.get(name) ?? (isNode(node, "Constant") ? readTensor(node, "value") : undefined);
      if (tensor === undefined) return undefined;
      const cast = producers.get(behindIdentity(value));
      const type = isNode(cast, "Cast") ? dataTypes[readInt(cast, "to", 0) - 1] : tensor.type;
      return type && { root: name, tensor, type };
    },
  };
  return index;
}

/**
 * Follows a value back through operators of one input, in a loop: chains may be long. A circle ends where it was
 * entered.
 */
function chaser(
  graph: GraphBody,
  producers: ReadonlyMap<string, Node>,
  ops: readonly string[],
): (value: string) => string {
  const known = new Map<string, string>();
  return (value) => {
    const chain: string[] = [];
    let current = value;
    while (!known.has(current)) {
      known.set(current, current);
      chain.push(current);
      const node = producers.get(current);
      if (graph.initializers.has(current) || node?.domain !== "" || !ops.includes(node.op)) break;
      current = node.inputs[0] ?? "";
    }
    const root = known.get(current)!;
    for (const passed of chain) known.set(passed, root);
    return root;
  };
}
