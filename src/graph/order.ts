// The order of nodes. Here every value is made before it is read; files need not keep to that, since ONNX Runtime
// sorts.
import { nodeName } from "./attributes.js";
import { bodies, reads } from "./edit.js";
import type { Attribute, Graph, GraphBody, LocalFunction, Node } from "./types.js";

export interface Ordered {
  /** The very same list where it was in order already, or where no order exists. */
  readonly nodes: readonly Node[];
  /** Nodes that were moved up, in their new order. */
  readonly moved: readonly Node[];
  /**
   * Where no order exists: nodes that read each other in a circle, by name, the first one again at the end; each is
   * read by the next.
   */
  readonly cycle?: readonly string[];
}

/**
 * The nodes in topological order, as near to the given one as can be: a node stays where it is, and what makes its
 * inputs moves up before it. Bodies of If, Loop and Scan must be in order already (see `orderGraph`): what they capture
 * depends on it.
 */
export function orderNodes(nodes: readonly Node[]): Ordered {
  const makers = makersOfAll(nodes);
  if (makers.every((needed, index) => needed.every((maker) => maker < index))) return { nodes, moved: [] };
  const state = new Uint8Array(nodes.length); // 0 not seen, 1 waiting for its inputs, 2 placed
  const ordered: Node[] = [];
  const moved: Node[] = [];
  for (const root of nodes.keys()) {
    if (state[root] !== 0) continue;
    const stack = [{ index: root, next: 0 }];
    state[root] = 1;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const needed = makers[top.index]![top.next++];
      if (needed === undefined) {
        state[top.index] = 2;
        ordered.push(nodes[top.index]!);
        if (top.index > root) moved.push(nodes[top.index]!);
        stack.pop();
      } else if (state[needed] === 1) {
        const circle = stack
          .slice(stack.findIndex(({ index }) => index === needed))
          .map(({ index }) => nodeName(nodes[index]!));
        return { nodes, moved: [], cycle: [circle[0]!, ...circle.reverse()] };
      } else if (state[needed] === 0) {
        state[needed] = 1;
        stack.push({ index: needed, next: 0 });
      }
    }
  }
  return { nodes: ordered, moved };
}

/** For each node the nodes that make what it reads, by index. */
function makersOfAll(nodes: readonly Node[]): readonly (readonly number[])[] {
  const maker = new Map<string, number>();
  for (const [index, node] of nodes.entries())
    for (const output of node.outputs) if (output !== "" && !maker.has(output)) maker.set(output, index);
  return nodes.map((node) => [...reads(node)].flatMap((name) => maker.get(name) ?? []));
}

/**
 * Told of each list of nodes that was sorted: what was moved, and where ("the graph", "the body of If_3", "function
 * f").
 */
export type OnMoved = (moved: readonly Node[], where: string) => void;

/** The whole model with its nodes in order: the main graph, the bodies of If, Loop and Scan, local functions. */
export function orderGraph(graph: Graph, onMoved: OnMoved = () => {}): Graph {
  const ordered = orderBody(graph, "the graph", onMoved);
  const functions = changedList(graph.functions ?? [], (local) => orderFunction(local, onMoved));
  return functions === undefined ? ordered : { ...ordered, functions };
}

function orderFunction(local: LocalFunction, onMoved: OnMoved): LocalFunction {
  const nodes = orderList(local.nodes, `function ${local.name}`, onMoved);
  return nodes === local.nodes ? local : { ...local, nodes };
}

function orderBody<G extends GraphBody>(body: G, where: string, onMoved: OnMoved): G {
  const nodes = orderList(body.nodes, where, onMoved);
  return nodes === body.nodes ? body : { ...body, nodes };
}

/** Bodies first: what they capture is known only once they are in order themselves. */
function orderList(nodes: readonly Node[], where: string, onMoved: OnMoved): readonly Node[] {
  const ordered = orderNodes(changedList(nodes, (node) => orderInside(node, onMoved)) ?? nodes);
  if (ordered.moved.length > 0) onMoved(ordered.moved, where);
  return ordered.nodes;
}

function orderInside(node: Node, onMoved: OnMoved): Node {
  if (bodies(node).length === 0) return node;
  const where = `the body of ${nodeName(node)}`;
  const values = changedList([...node.attributes.values()], (attribute) => orderAttribute(attribute, where, onMoved));
  if (values === undefined) return node;
  return { ...node, attributes: new Map([...node.attributes.keys()].map((name, index) => [name, values[index]!])) };
}

function orderAttribute(attribute: Attribute, where: string, onMoved: OnMoved): Attribute {
  if (attribute.kind === "graph") {
    const value = orderBody(attribute.value, where, onMoved);
    return value === attribute.value ? attribute : { ...attribute, value };
  }
  if (attribute.kind !== "graphs") return attribute;
  const value = changedList(attribute.value, (body) => orderBody(body, where, onMoved));
  return value === undefined ? attribute : { ...attribute, value };
}

/** The list with each element changed, or undefined where all are the very same as before. */
function changedList<T>(list: readonly T[], change: (element: T) => T): readonly T[] | undefined {
  const changed = list.map(change);
  return changed.every((element, index) => element === list[index]) ? undefined : changed;
}
