// Calls of functions that a model defines itself, replaced by the functions' nodes: for counting and running, whatever
// their opset.
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { freshNames } from "../graph/edit.js";
import { nodesOfCall } from "../graph/inline-call.js";
import type { Graph, LocalFunction, Node } from "../graph/types.js";
import { standard } from "./table.js";
import { functionKey } from "./verify/functions.js";
import { calledKey } from "./verify/node.js";

/** A node and the version of the standard operators that it was written for. */
export interface VersionedNode {
  readonly node: Node;
  readonly opset: number;
}

/** More nodes than this and the functions call each other without end, or nearly so. */
const mostNodes = 1_000_000;
const deepest = 100;

/**
 * The nodes of a graph with every call of a local function replaced by its body, values inside renamed; not those in
 * bodies of If, Loop and Scan.
 * @throws FilterBasisError `invalid-graph` for functions that call themselves, `too-large` beyond a million nodes
 */
export function inlined(graph: Graph): readonly VersionedNode[] {
  const opset = graph.opsets.get("") ?? 1;
  const table = callable(graph);
  if (table.size === 0) return graph.nodes.map((node) => ({ node, opset }));
  const fresh = freshNames(graph);
  const out: VersionedNode[] = [];
  for (const node of graph.nodes) expand(node, opset, table, fresh, out);
  return out;
}

/**
 * The nodes that one node stands for.
 * @throws as `inlined`
 */
export function expandCall(
  node: Node,
  opset: number,
  table: Callable,
  fresh: (stem: string) => string,
): readonly VersionedNode[] {
  const out: VersionedNode[] = [];
  expand(node, opset, table, fresh, out);
  return out;
}

/** Functions by what calls them (`calledKey`). */
export type Callable = ReadonlyMap<string, LocalFunction>;

/** What nodes may call: not functions named as a standard operator, for ONNX Runtime then takes the operator. */
export function callable({ functions = [] }: Graph): Callable {
  const own = functions.filter(({ domain, name: op }) => domain !== "" || !Object.hasOwn(standard, op));
  return new Map(own.map((local) => [functionKey(local), local]));
}

/** Appends the nodes that a node stands for, in order. */
function expand(
  node: Node,
  opset: number,
  table: Callable,
  fresh: (stem: string) => string,
  out: VersionedNode[],
): void {
  const open = [{ node, opset, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const called = table.get(calledKey(next.node));
    if (called === undefined) {
      if (out.push({ node: next.node, opset: next.opset }) <= mostNodes) continue;
      throw new FilterBasisError("too-large", "the model's functions unfold to too many nodes", {
        expected: `at most ${mostNodes}`,
      });
    }
    const depth = next.depth + 1;
    if (depth > deepest)
      throw new FilterBasisError("invalid-graph", `the model's functions call each other more than ${deepest} deep`, {
        ...{ node: nodeName(node), op: node.op },
      });
    const own = called.opsets.get("") ?? next.opset;
    const inner = nodesOfCall(called, next.node, fresh).map((made) => ({ node: made, opset: own, depth }));
    for (let at = inner.length - 1; at >= 0; at--) open.push(inner[at]!);
  }
}
