// One call of a local function as the function's nodes: values renamed, attributes filled in, also inside the bodies of
// If, Loop and Scan.
import { makeNode, nodeName } from "./attributes.js";
import type { Attribute, GraphBody, LocalFunction, Node } from "./types.js";

type Rename = (name: string) => string;

/** What one call gives to every node of its function. */
interface Filling {
  readonly called: LocalFunction;
  readonly call: Node;
  /** Names that nothing has yet, beginning with the call's. */
  readonly fresh: Rename;
}

/** The nodes of one call. `fresh` gives names that neither a value nor a node has. */
export function nodesOfCall(called: LocalFunction, call: Node, fresh: (stem: string) => string): Node[] {
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
  const filling: Filling = { called, call, fresh: (name) => fresh(`${nodeName(call)}/${name}`) };
  const rename = (name: string): string => {
    const known = names.get(name) ?? filling.fresh(name);
    names.set(name, known);
    return known;
  };
  return [...called.nodes.map((node) => renamed(node, rename, filling)), ...passed];
}

function renamed(node: Node, rename: Rename, filling: Filling): Node {
  const inputs = node.inputs.map(rename);
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const value = filledIn(attribute, rename, filling);
    if (value !== undefined) attributes.set(name, value);
  }
  return {
    ...node,
    name: node.name && filling.fresh(node.name),
    inputs,
    outputs: node.outputs.map(rename),
    attributes,
  };
}

/** References to the function's attributes become what the caller gave, or their default, or nothing. */
function filledIn(attribute: Attribute, rename: Rename, filling: Filling): Attribute | undefined {
  const { called, call } = filling;
  if (attribute.kind === "reference")
    return call.attributes.get(attribute.value) ?? called.defaults.get(attribute.value);
  if (attribute.kind === "graph") return { ...attribute, value: renamedBody(attribute.value, rename, filling) };
  if (attribute.kind !== "graphs") return attribute;
  return { ...attribute, value: attribute.value.map((body) => renamedBody(body, rename, filling)) };
}

/** A body's own names become fresh too: what it makes must not have the name of a value around the call. */
function renamedBody(body: GraphBody, outer: Rename, filling: Filling): GraphBody {
  const own = new Map<string, string>();
  const declare = (name: string): void => {
    if (name !== "" && !own.has(name)) own.set(name, filling.fresh(name));
  };
  for (const { name } of body.inputs) declare(name);
  for (const name of [...body.initializers.keys(), ...(body.sparseInitializers?.keys() ?? [])]) declare(name);
  for (const node of body.nodes) node.outputs.forEach(declare);
  const rename = (name: string): string => own.get(name) ?? outer(name);
  const keyed = <T>(map: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...map].map(([name, value]) => [rename(name), value]));
  const values = [...body.values.values()].filter(({ name }) => own.has(name));
  return {
    ...body,
    nodes: body.nodes.map((node) => renamed(node, rename, filling)),
    initializers: keyed(body.initializers),
    ...(body.sparseInitializers && { sparseInitializers: keyed(body.sparseInitializers) }),
    inputs: body.inputs.map((value) => ({ ...value, name: rename(value.name) })),
    outputs: body.outputs.map((value) => ({ ...value, name: rename(value.name) })),
    values: new Map(values.map((value) => [rename(value.name), { ...value, name: rename(value.name) }])),
  };
}
