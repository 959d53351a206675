// Calls of functions that a model defines itself, replaced by the functions' nodes, as ONNX Runtime does when it loads
// the model.
import { isError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { bodies, freshNames } from "../graph/edit.js";
import type { Attribute, GraphBody, LocalFunction, Node, Outcome, Pass } from "../graph/types.js";
import { type Callable, callable, expandCall, type VersionedNode } from "../ops/inline.js";
import { operatorOf } from "../ops/table.js";
import { functionKey, functionTitle } from "../ops/verify/functions.js";
import { calledKey } from "../ops/verify/node.js";

const name = "inline-functions";

/**
 * Puts the functions' nodes in the place of their calls, also in bodies of If, Loop and Scan, wherever that is exact: a
 * function whose operators mean something else in the version that the main graph imports stays, with the reason.
 * Functions that nobody calls any more go.
 */
export const inlineFunctions: Pass = (graph) => {
  if ((graph.functions ?? []).length === 0) return { graph, outcomes: [] };
  const work: Inlining = {
    ...{
      outcomes: [],
      opsets: new Map(graph.opsets),
      table: callable(graph),
      fresh: freshNames(graph),
      reasons: new Map(),
    },
  };
  const body = inlinedBody(work, graph);
  const { outcomes } = work;
  if (!outcomes.some(({ applied }) => applied)) return { graph, outcomes };
  const { functions: before, ...rest } = { ...body, opsets: work.opsets };
  const functions = called(rest, before!);
  return { graph: functions.length === 0 ? rest : { ...rest, functions }, outcomes };
};

/** Inlining in progress. */
interface Inlining {
  readonly outcomes: Outcome[];
  /** The imports of the main graph, with what inlined functions need beside them. */
  readonly opsets: Map<string, number>;
  readonly table: Callable;
  readonly fresh: (stem: string) => string;
  /** Why a function cannot be inlined; undefined where it can. */
  readonly reasons: Map<LocalFunction, string | undefined>;
}

function inlinedBody<G extends GraphBody>(work: Inlining, body: G): G {
  const nodes = body.nodes.flatMap((node) => inlinedNode(work, node));
  const same = nodes.length === body.nodes.length && nodes.every((node, at) => node === body.nodes[at]);
  return same ? body : { ...body, nodes };
}

function inlinedNode(work: Inlining, node: Node): readonly Node[] {
  const local = work.table.get(calledKey(node));
  if (local === undefined) return [inlinedInside(work, node)];
  const result = inlinedCall(work, node, local);
  const applied = typeof result !== "string";
  const reason = applied ? `the nodes of ${functionTitle(local)} stand in its place` : result;
  work.outcomes.push({ pass: name, layer: nodeName(node), applied, reason });
  return applied ? result.map((made) => inlinedInside(work, made)) : [node];
}

/** The nodes in the place of a call, or why it stays. */
function inlinedCall(
  { opsets, table, fresh, reasons }: Inlining,
  node: Node,
  local: LocalFunction,
): readonly Node[] | string {
  const functions = reached(local.nodes, table).add(local);
  if (!reasons.has(local)) {
    const found = [...functions].map((one) => whyInexact(one, opsets, table));
    reasons.set(
      local,
      found.find((reason) => reason !== undefined),
    );
  }
  const reason = reasons.get(local);
  if (reason !== undefined) return reason;
  let made: readonly VersionedNode[];
  try {
    made = expandCall(node, opsets.get("") ?? 1, table, fresh);
  } catch (error) {
    if (isError(error)) return error.problem;
    throw error;
  }
  for (const one of functions)
    for (const [domain, version] of one.opsets) if (!opsets.has(domain)) opsets.set(domain, version);
  return made.map((one) => one.node);
}

/** A node with the calls in its bodies inlined. */
function inlinedInside(work: Inlining, node: Node): Node {
  if (bodies(node).length === 0) return node;
  const attributes = [...node.attributes].map(([key, attribute]): [string, Attribute] => {
    if (attribute.kind === "graph") return [key, { ...attribute, value: inlinedBody(work, attribute.value) }];
    if (attribute.kind !== "graphs") return [key, attribute];
    return [key, { ...attribute, value: attribute.value.map((body) => inlinedBody(work, body)) }];
  });
  const made = { ...node, attributes: new Map(attributes) };
  return bodies(made).every((body, at) => body === bodies(node)[at]) ? node : made;
}

/** The functions that nodes call, directly or not. */
function reached(nodes: readonly Node[], table: Callable): Set<LocalFunction> {
  const found = new Set<LocalFunction>();
  const open = [nodes];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const node of next) {
      for (const body of bodies(node)) open.push(body.nodes);
      const callee = table.get(calledKey(node));
      if (callee === undefined || found.has(callee)) continue;
      found.add(callee);
      open.push(callee.nodes);
    }
  }
  return found;
}

/** Why a function's nodes would mean something else in the main graph, if so. */
function whyInexact(local: LocalFunction, opsets: ReadonlyMap<string, number>, table: Callable): string | undefined {
  const title = functionTitle(local);
  if (local.domain === "com.microsoft") return `${title} may be one of ONNX Runtime's own operators`;
  const other = [...local.opsets].find(
    ([domain, version]) => domain !== "" && opsets.has(domain) && opsets.get(domain) !== version,
  );
  if (other !== undefined)
    return `${title} is written for version ${other[1]} of "${other[0]}", the model for ${opsets.get(other[0])}`;
  const [own, outer] = [local.opsets.get(""), opsets.get("")];
  if (own === undefined || outer === undefined || own === outer) return undefined;
  const changed = firstChanged(local.nodes, Math.min(own, outer), Math.max(own, outer), table);
  return changed === undefined
    ? undefined
    : `${title} is written for opset ${own}, the model for ${outer}: ${changed} may differ`;
}

/** Does a node of the standard domain mean the same in both versions? */
function isSameIn(node: Node, from: number, to: number): boolean {
  const since = operatorOf(node)?.since;
  return from === to || (since !== undefined && since <= Math.min(from, to));
}

function firstChanged(nodes: readonly Node[], from: number, to: number, table: Callable): string | undefined {
  for (const node of nodes) {
    if (node.domain === "" && !table.has(calledKey(node)) && !isSameIn(node, from, to)) return node.op;
    for (const body of bodies(node)) {
      const inner = firstChanged(body.nodes, from, to, table);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** The functions that the graph still calls, directly or through others. */
function called(graph: GraphBody, functions: readonly LocalFunction[]): readonly LocalFunction[] {
  const live = reached(graph.nodes, new Map(functions.map((local) => [functionKey(local), local])));
  return functions.filter((local) => live.has(local));
}
