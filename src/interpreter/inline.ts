// Calls of functions that a model defines itself, replaced by the functions' nodes.
import { FilterBasisError } from "../errors/error.js";
import { makeNode, siteName } from "../graph/attributes.js";
import type { Attribute, Graph, LocalFunction, Node } from "../graph/types.js";

/** A node and the version of the standard operators that it was written for. */
export interface VersionedNode {
  readonly node: Node;
  readonly opset: number;
}

/** More nodes than this and the functions call each other without end, or nearly so. */
const mostNodes = 1_000_000;
const deepest = 100;

/**
 * The nodes of a graph with every call of a local function replaced by its body, values inside renamed.
 * @throws FilterBasisError `invalid-graph` for functions that call themselves, `too-large` beyond a million nodes
 */
export function inlined(graph: Graph): readonly VersionedNode[] {
  const opset = graph.opsets.get("") ?? 1;
  const functions = new Map((graph.functions ?? []).map((one) => [keyOf(one.domain, one.name), one]));
  if (functions.size === 0) return graph.nodes.map((node) => ({ node, opset }));
  const prefix = freePrefix(graph);
  const out: VersionedNode[] = [];
  let calls = 0;
  const expand = (node: Node, version: number, depth: number): void => {
    const called = functions.get(keyOf(node.domain, node.op));
    if (called === undefined) {
      if (out.push({ node, opset: version }) <= mostNodes) return;
      throw new FilterBasisError("too-large", "the model's functions unfold to too many nodes", {
        expected: `at most ${mostNodes}`,
      });
    }
    if (depth > deepest) {
      throw new FilterBasisError("invalid-graph", "the model's functions call themselves", { node: siteName(node), op: node.op });
    }
    const own = called.opsets.get("") ?? version;
    for (const inner of bodyOf(called, node, `${prefix}${calls++}/`)) expand(inner, own, depth + 1);
  };
  for (const node of graph.nodes) expand(node, opset, 0);
  return out;
}

const keyOf = (domain: string, name: string): string => `${domain}\n${name}`;

/** The nodes of one call: values renamed, attributes filled in. */
function bodyOf(called: LocalFunction, call: Node, prefix: string): Node[] {
  const names = new Map<string, string>([["", ""]]);
  for (const [i, name] of called.inputs.entries()) names.set(name, call.inputs[i] ?? "");
  const passed: Node[] = [];
  called.outputs.forEach((name, i) => {
    const outer = call.outputs[i] ?? "";
    if (outer === "") return;
    // An input that is handed straight back keeps its name inside.
    if (called.inputs.includes(name)) passed.push(makeNode("Identity", [names.get(name)!], [outer]));
    else names.set(name, outer);
  });
  const rename = (name: string): string => names.get(name) ?? prefix + name;
  const nodes = called.nodes.map((node) => ({
    ...node,
    name: `${siteName(call)}/${siteName(node)}`,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: filledIn(node, called, call),
  }));
  return [...nodes, ...passed];
}

/** References to the function's attributes become what the caller gave, or their default, or nothing. */
function filledIn(node: Node, called: LocalFunction, call: Node): ReadonlyMap<string, Attribute> {
  if (![...node.attributes.values()].some(({ kind }) => kind === "reference")) return node.attributes;
  const filled = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const value =
      attribute.kind !== "reference" ? attribute : (call.attributes.get(attribute.value) ?? called.defaults.get(attribute.value));
    if (value !== undefined) filled.set(name, value);
  }
  return filled;
}

/** A beginning that no value's name has. */
function freePrefix(graph: Graph): string {
  const names = [
    ...graph.initializers.keys(),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ];
  let prefix = "call ";
  while (names.some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
  return prefix;
}
