// Whether operator calls are well-formed: their inputs made before, their outputs made once, their domains imported,
// their attributes of the right types, their operands complete.
import { type ErrorPlace, FilterBasisError } from "../../errors/error.js";
import { nodeName } from "../../graph/attributes.js";
import { isBasisConv, readBasisConv } from "../../graph/basis-conv.js";
import { orderNodes } from "../../graph/order.js";
import type { Attribute, GraphBody, Node } from "../../graph/types.js";
import type { Signature } from "../operator.js";
import { operatorOf } from "../table.js";
import { verifyTensor } from "./tensor.js";

/** The names that a graph sees: its own, and those of the graphs around it. */
export class Scope {
  /** The nodes of this graph, and who of them makes what: set while they are verified. */
  nodes: readonly Node[] = [];
  makers: ReadonlyMap<string, Node> = new Map();
  private readonly own = new Set<string>();
  private readonly outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.outer = outer;
  }

  add(name: string): void {
    this.own.add(name);
  }

  /** Whether this very graph makes the name. */
  makes(name: string): boolean {
    return this.own.has(name);
  }

  sees(name: string): boolean {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.outer)
      if (scope.own.has(name)) return true;
    return false;
  }

  /** The nearest graph of which a later node makes the name. */
  makesLater(name: string): Scope | undefined {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.outer)
      if (scope.makers.has(name)) return scope;
    return undefined;
  }
}

/** What nodes are checked against. */
export interface Context {
  readonly irVersion: number;
  /** Imports of the model, or of the function that the nodes are in. */
  readonly opsets: ReadonlyMap<string, number>;
  /** Keys of the model's own functions (`functionKey`). */
  readonly local: ReadonlySet<string>;
  /** Names of the attributes of the function that the nodes are in; undefined outside functions. */
  readonly parameters: ReadonlySet<string> | undefined;
  readonly verifyBody: (body: GraphBody, outer: Scope, context: Context) => void;
}

/** The key of the function that a node would call (`functionKey`). */
export function calledKey({ domain, op, overload = "" }: Node): string {
  return JSON.stringify([domain, op, overload]);
}

/** An error about one node. */
export function fault(
  node: Node,
  message: string,
  details: ErrorPlace & { expected?: string; got?: string } = {},
): FilterBasisError {
  return new FilterBasisError("invalid-graph", message, { node: nodeName(node), op: node.op, ...details });
}

/** Nodes in order: each input made before, each output made once. Adds the outputs to the scope. */
export function verifyNodes(
  nodes: readonly Node[],
  scope: Scope,
  context: Context,
  makers: ReadonlyMap<string, Node>,
): void {
  scope.nodes = nodes;
  scope.makers = makers;
  for (const node of nodes) {
    for (const name of node.inputs) {
      if (name === "" || scope.sees(name)) continue;
      const later = scope.makesLater(name);
      if (later?.makers.get(name) === node) throw fault(node, "reads its own output", { tensor: name });
      if (later !== undefined) throw outOfOrder(node, name, later.nodes);
      throw fault(node, "reads a value that nothing makes", { tensor: name });
    }
    verifyNode(node, scope, context);
    for (const name of node.outputs) {
      if (name === "") continue;
      if (scope.sees(name))
        throw fault(node, "makes a value whose name is taken: every name is made once", { tensor: name });
      scope.add(name);
    }
  }
}

function outOfOrder(node: Node, tensor: string, nodes: readonly Node[]): FilterBasisError {
  const { cycle } = orderNodes(nodes);
  if (cycle === undefined)
    return fault(node, "reads a value that a later node makes: nodes must be in topological order", { tensor });
  const got = cycle.length <= 12 ? cycle : [...cycle.slice(0, 6), "...", ...cycle.slice(-5)];
  return fault(node, "reads what depends on its own output: these nodes read each other", {
    tensor,
    got: got.join(" -> "),
  });
}

function verifyNode(node: Node, scope: Scope, context: Context): void {
  const { op, domain, inputs, outputs } = node;
  if (op === "") throw fault(node, "names no operator");
  if (inputs.length === 0 && outputs.length === 0) throw fault(node, "has neither inputs nor outputs");
  const isLocal = context.local.has(calledKey(node));
  const overBasis = isBasisConv(node) && !isLocal && context.parameters === undefined;
  if (!context.opsets.has(domain) && !isLocal && !overBasis) {
    throw fault(node, `is of a domain that is not imported: "${domain}"`, { field: "opset_import" });
  }
  for (const [name, attribute] of node.attributes) verifyAttribute(node, name, attribute, scope, context);
  const signature = (domain === "" && !isLocal) || overBasis ? operatorOf(node)?.signature : undefined;
  if (signature !== undefined) verifySignature(node, signature);
  if (overBasis) readBasisConv(node);
}

function verifyAttribute(node: Node, name: string, attribute: Attribute, scope: Scope, context: Context): void {
  if (name === "") throw fault(node, "has an attribute without a name");
  const place = { node: nodeName(node), op: node.op, field: name };
  if (attribute.kind === "tensor") verifyTensor(attribute.value, place);
  if (attribute.kind === "tensors") for (const tensor of attribute.value) verifyTensor(tensor, place);
  if (attribute.kind === "graph") context.verifyBody(attribute.value, scope, context);
  if (attribute.kind === "graphs") for (const body of attribute.value) context.verifyBody(body, scope, context);
  if (attribute.kind !== "reference") return;
  if (context.parameters === undefined)
    throw fault(node, "refers to a function's attribute, outside of any function", { field: name });
  if (!context.parameters.has(attribute.value)) {
    throw fault(node, `refers to an attribute that the function does not have: "${attribute.value}"`, { field: name });
  }
}

function verifySignature(node: Node, signature: Signature): void {
  const { inputs, outputs, attributes } = signature;
  verifyOperands(node, "input", node.inputs, inputs);
  verifyOperands(node, "output", node.outputs, outputs);
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === "reference" || !Object.hasOwn(attributes, name)) continue;
    const kind = attributes[name];
    if (attribute.kind !== kind)
      throw fault(node, "an attribute has the wrong type", { field: name, expected: `${kind}`, got: attribute.kind });
  }
}

function verifyOperands(
  node: Node,
  what: string,
  names: readonly string[],
  [least, most]: readonly [number, number],
): void {
  const range = least === most ? `${least}` : `${least} to ${most === Infinity ? "any number" : most}`;
  if (names.length > most) throw fault(node, `has too many ${what}s`, { expected: range, got: String(names.length) });
  // Operands may be left out by the empty name, the required ones may not.
  for (let at = 0; at < least; at++) {
    if (names[at] === undefined)
      throw fault(node, `has too few ${what}s`, { expected: range, got: String(names.length) });
    if (names[at] === "") throw fault(node, `leaves out a required ${what}`, { field: `${what} ${at}` });
  }
}
