// Which nodes of a network run in eight bits, and which values are rounded for them. Layers do, unless they are to stay
// float; what stands between them does where no pair of QuantizeLinear and DequantizeLinear is put in for it alone.
import { nodeName } from "../../graph/attributes.js";
import { type GraphIndex, indexOf } from "../../graph/graph-index.js";
import type { Graph, Node } from "../../graph/types.js";
import { isFloat } from "../../graph/values.js";
import { inferShapes } from "../../ops/infer.js";
import { activationsOf, clampsAtZero, ruleOf } from "./rules.js";

export interface Regions {
  /** Nodes that run in eight bits. */
  readonly nodes: ReadonlySet<Node>;
  /** Relu and Clip that the rounding of their result does: each with the node before it. */
  readonly absorbed: ReadonlyMap<Node, Node>;
  /** Values that are rounded, by name: where the range of each is to be looked up. */
  readonly rounded: ReadonlyMap<string, string>;
  /** Layers that run in floats, with the reason. */
  readonly float: ReadonlyMap<Node, string>;
}

/** @param stays names of layers that stay float, with the reason of each */
export function regionsOf(graph: Graph, stays: ReadonlyMap<string, string> = new Map()): Regions {
  const index = indexOf(graph);
  const types = inferShapes(graph);
  const float = new Map<Node, string>();
  const nodes = new Set<Node>();
  for (const node of graph.nodes) {
    const rule = ruleOf(node);
    if (rule === undefined) continue;
    const type = types.get(activationsOf(node)[0] ?? "")?.type ?? "float32";
    const other =
      type === "float32" ? undefined : isFloat(type) ? `it computes in ${type}` : "it computes with integers";
    const reason = rule.against?.(node, index) ?? stays.get(nodeName(node)) ?? other;
    if (reason === undefined) nodes.add(node);
    else if (rule.kind === "layer" && isLayer(node, index)) float.set(node, reason);
  }
  const search = { index, nodes };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of [...nodes]) {
      if (ruleOf(node)!.kind === "layer" || pays(node, search)) continue;
      nodes.delete(node);
      changed = true;
    }
  }
  const absorbed = absorbedBy(search);
  return { nodes, absorbed, float, rounded: roundedValues(graph, search, absorbed) };
}

/** Products of two computed values are no layers. */
const isLayer = (node: Node, index: GraphIndex): boolean =>
  node.op === "Conv" || node.inputs.slice(0, 2).some((value) => index.constant(value) !== undefined);

interface Search {
  readonly index: GraphIndex;
  readonly nodes: ReadonlySet<Node>;
}

/** The one Relu or Clip at 0 behind a value that nothing else reads. */
function clampBehind(value: string, { index }: Search): Node | undefined {
  const reader = index.soleReader(value);
  return reader !== undefined && clampsAtZero(reader, index) && reader.inputs[0] === value ? reader : undefined;
}

/** The values in which the result of a node is read: behind an absorbed Relu, its result. */
function resultsOf(node: Node, search: Search): readonly string[] {
  const outputs = node.outputs.filter((output) => output !== "");
  if (ruleOf(node)!.kind === "moves") return outputs;
  return outputs.map((output) => clampBehind(output, search)?.outputs[0] ?? output);
}

const integerReaders = (value: string, { index, nodes }: Search): readonly Node[] =>
  (index.consumers.get(value) ?? []).filter((reader) => nodes.has(reader) && activationsOf(reader).includes(value));

/** The node in eight bits that makes a value, directly or before a Relu that is absorbed. */
function integerMaker(value: string, search: Search): Node | undefined {
  const maker = search.index.producers.get(value);
  if (maker === undefined || search.nodes.has(maker)) return maker;
  const before = search.index.producers.get(maker.inputs[0] ?? "");
  if (before === undefined || !search.nodes.has(before) || ruleOf(before)!.kind === "moves") return undefined;
  return clampBehind(maker.inputs[0]!, search) === maker ? before : undefined;
}

/**
 * Whether a node between layers saves a rounding by running in eight bits: all that it reads is in eight bits already,
 * and so is what reads it (or it reads more than it makes).
 */
function pays(node: Node, search: Search): boolean {
  const { index } = search;
  const inputs = activationsOf(node);
  const ready = (value: string): boolean =>
    integerMaker(value, search) !== undefined ||
    integerReaders(value, search).some((reader) => ruleOf(reader)!.kind === "layer");
  if (inputs.length === 0 || !inputs.every(ready)) return false;
  const results = resultsOf(node, search);
  if (results.some((value) => index.outputs.has(value))) return false;
  if (results.every((value) => integerReaders(value, search).length > 0)) return true;
  return new Set(inputs).size > 1 || /Pool$/.test(node.op);
}

function absorbedBy(search: Search): ReadonlyMap<Node, Node> {
  const absorbed = new Map<Node, Node>();
  for (const node of search.nodes) {
    if (ruleOf(node)!.kind === "moves" || node.outputs.length !== 1) continue;
    const clamp = clampBehind(node.outputs[0]!, search);
    if (ruleOf(node)!.floatResult && integerReaders(clamp?.outputs[0] ?? "", search).length === 0) continue;
    if (clamp !== undefined) absorbed.set(clamp, node);
  }
  return absorbed;
}

function roundedValues(graph: Graph, search: Search, absorbed: ReadonlyMap<Node, Node>): ReadonlyMap<string, string> {
  const clampOf = new Map([...absorbed].map(([clamp, node]) => [node, clamp]));
  const rounded = new Map<string, string>();
  for (const node of graph.nodes) {
    if (!search.nodes.has(node)) continue;
    for (const value of activationsOf(node)) if (!rounded.has(value)) rounded.set(value, value);
    const moves = ruleOf(node)!.kind === "moves";
    for (const output of node.outputs) {
      if (output === "") continue;
      const value = clampOf.get(node)?.outputs[0] ?? output;
      if (ruleOf(node)!.floatResult && integerReaders(value, search).length === 0) continue;
      rounded.set(value, moves ? rounded.get(node.inputs[0]!)! : value);
    }
  }
  return rounded;
}
