// What is asked of a graph again and again: who makes a value, who reads it, which constant stands behind it. Made once
// for a graph, which never changes.
import { readInt, readTensor } from "./attributes.js";
import { constantOf } from "./constants.js";
import { dequantizedTensor, isDequantize, productTensor } from "./dequantized.js";
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
  /**
   * The same behind Identity, Cast, and what widens stored integers to the floats that they stand for, with where it is
   * stored and the type in which it is read.
   */
  readonly stored: (value: string) => Stored | undefined;
  /** The value behind any Identity and Cast, constant or not, and behind what widens stored integers. */
  readonly root: (value: string) => string;
}

/** A constant that may be read in another type than it is stored in. */
export interface Stored {
  /** The value where the chain begins: two chains from one initializer have one root. */
  readonly root: string;
  /** As stored; of integers that DequantizeLinear widens, the floats that they stand for. */
  readonly tensor: TensorData;
  /** As the reader gets it, after any Cast. */
  readonly type: DataType;
  /** How it is stored, where that is integers that stand for floats. */
  readonly integers?: DataType;
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

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one object, whose members share what was found once
function makeIndex(graph: GraphBody): GraphIndex {
  const producers = producersOf(graph.nodes);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  let readers: ReadonlyMap<string, readonly Node[]> | undefined;
  const isNode = (node: Node | undefined, op: string): node is Node => node?.op === op && node.domain === "";
  const behindIdentity = chaser(graph, producers, ({ op }) => op === "Identity");
  const isConstant = (value: string): boolean => {
    const name = behindIdentity(value);
    return graph.initializers.has(name) || isNode(producers.get(name), "Constant");
  };
  /** A constant of integers, cast to floats: what is multiplied by scales. */
  const castIntegers = (value: string): TensorData | undefined => {
    const cast = producers.get(behindIdentity(value));
    const made = isNode(cast, "Cast") ? index.constant(cast.inputs[0] ?? "") : undefined;
    return made !== undefined && /^u?int8$/.test(made.type) ? made : undefined;
  };
  const isScaling = (node: Node | undefined): node is Node =>
    isNode(node, "Mul") && isConstant(node.inputs[1] ?? "") && castIntegers(node.inputs[0] ?? "") !== undefined;
  const widensConstants = (node: Node | undefined): boolean =>
    node !== undefined && isDequantize(node) && node.inputs.every((value) => value === "" || isConstant(value));
  const widens = (node: Node | undefined): node is Node => isScaling(node) || widensConstants(node);
  const root = chaser(graph, producers, (node) => node.op === "Identity" || node.op === "Cast" || widens(node));
  const floats = new Map<Node, TensorData | undefined>();
  const widened = (node: Node): TensorData | undefined => {
    if (floats.has(node)) return floats.get(node);
    const [integers, scale, zero] = node.inputs.map((value) => (value === "" ? undefined : index.constant(value)));
    const made = isScaling(node)
      ? productTensor(castIntegers(node.inputs[0]!)!, index.constant(node.inputs[1]!)!)
      : integers && scale && dequantizedTensor(node, integers, scale, zero);
    floats.set(node, made);
    return made;
  };
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
      const own = graph.initializers.get(name) ?? (isNode(node, "Constant") ? readTensor(node, "value") : undefined);
      if (own === undefined) return undefined;
      const cast = producers.get(behindIdentity(value));
      const last = isNode(cast, "Cast") ? producers.get(behindIdentity(cast.inputs[0] ?? "")) : cast;
      const tensor = widens(last) ? widened(last) : own;
      if (tensor === undefined) return undefined;
      const type = isNode(cast, "Cast") ? dataTypes[readInt(cast, "to", 0) - 1] : tensor.type;
      return type && { root: name, tensor, type, ...(tensor === own ? {} : { integers: own.type }) };
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
  follows: (node: Node) => boolean,
): (value: string) => string {
  const known = new Map<string, string>();
  return (value) => {
    const chain: string[] = [];
    let current = value;
    while (!known.has(current)) {
      known.set(current, current);
      chain.push(current);
      const node = producers.get(current);
      if (graph.initializers.has(current) || node?.domain !== "" || !follows(node)) break;
      current = node.inputs[0] ?? "";
    }
    const root = known.get(current)!;
    for (const passed of chain) known.set(passed, root);
    return root;
  };
}
