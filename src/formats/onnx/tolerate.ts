// What the standard forbids and ONNX Runtime opens all the same is read as ONNX Runtime reads it, and told: of two
// things of one name the last counts, operators of ONNX Runtime's own domains need no import, a missing IR version is
// an old one.
import { bodies } from "../../graph/edit.js";
import type { LocalFunction, Node, TensorData, Value } from "../../graph/types.js";
import type { ReadContext } from "./tensor.js";

/**
 * Entries by name: of several of one name the last, at the place of the first. Nameless ones, which nothing can read,
 * are dropped.
 */
export function lastOnes<T>(
  entries: Iterable<readonly [string, T]>,
  what: string,
  { note }: ReadContext,
  title: (value: T, name: string) => string = (_, name) => name,
): Map<string, T> {
  const found = new Map<string, T>();
  for (const [name, value] of entries) {
    if (name === "") {
      note?.(`${what} without a name was dropped`);
      continue;
    }
    if (found.has(name)) note?.(`there is more than one ${what} "${title(value, name)}": the last one counts`);
    found.set(name, value);
  }
  return found;
}

/** Constant nodes that make a name which is taken: the last one counts, also before an initializer. */
export function lastConstants(
  nodes: readonly Node[],
  initializers: ReadonlyMap<string, TensorData>,
  { note }: ReadContext,
): { readonly nodes: readonly Node[]; readonly initializers: ReadonlyMap<string, TensorData> } {
  const last = new Map<string, Node>();
  const dropped = new Set<Node>();
  for (const node of nodes) {
    if (node.op !== "Constant" || node.domain !== "" || node.outputs.length !== 1) continue;
    const name = node.outputs[0]!;
    const before = last.get(name);
    if (before !== undefined) dropped.add(before);
    if (before !== undefined || initializers.has(name))
      note?.(`there is more than one constant "${name}": the last one counts`);
    last.set(name, node);
  }
  const hidden = [...initializers.keys()].some((name) => last.has(name));
  return {
    nodes: dropped.size === 0 ? nodes : nodes.filter((node) => !dropped.has(node)),
    initializers: hidden ? new Map([...initializers].filter(([name]) => !last.has(name))) : initializers,
  };
}

/** Inputs of a graph without those that have no name. */
export function namedValues(values: readonly Value[], what: string, { note }: ReadContext): readonly Value[] {
  return values.filter(({ name }) => {
    if (name === "") note?.(`${what} without a name was dropped`);
    return name !== "";
  });
}

/** Outputs of a graph, each once. */
export function eachOnce(values: readonly Value[], { note }: ReadContext): readonly Value[] {
  const seen = new Set<string>();
  return values.filter(({ name }) => {
    if (seen.has(name)) note?.(`the output "${name}" is listed more than once: it is one output`);
    return !seen.has(name) && seen.add(name);
  });
}

/**
 * Operators that ONNX Runtime knows whether a model imports them or not; the standard ones in the newest version that
 * it is sure to have.
 */
const builtIn: ReadonlyMap<string, number> = new Map([
  ["", 21],
  ["ai.onnx.ml", 3],
  ["ai.onnx.training", 1],
  ["ai.onnx.preview.training", 1],
  ["com.microsoft", 1],
  ["com.microsoft.experimental", 1],
  ["com.microsoft.nchwc", 1],
]);

/**
 * The imports, with those that ONNX Runtime adds by itself for what the main graph uses, and without those that say no
 * version.
 */
export function completeImports(
  opsets: ReadonlyMap<string, number>,
  nodes: readonly Node[],
  functions: readonly LocalFunction[],
  { note }: ReadContext,
): ReadonlyMap<string, number> {
  if (opsets.size === 0) return opsets;
  const complete = new Map([...opsets].filter(([, version]) => version > 0));
  const own = new Set(functions.map(({ domain }) => domain));
  const used = domainsOf(nodes);
  for (const [domain, version] of opsets) {
    if (version > 0) continue;
    if (used.has(domain)) complete.set(domain, version);
    else note?.(`the import of "${domain}" names no version and was dropped: nothing uses it`);
  }
  for (const domain of used) {
    const version = builtIn.get(domain);
    if (version === undefined || complete.has(domain) || own.has(domain)) continue;
    note?.(
      `operators of ${domain === "" ? "ONNX" : `"${domain}"`} are used and not imported: version ${version} is taken`,
    );
    complete.set(domain, version);
  }
  return complete;
}

function domainsOf(nodes: readonly Node[], found: Set<string> = new Set()): ReadonlySet<string> {
  for (const node of nodes) {
    found.add(node.domain);
    for (const body of bodies(node)) domainsOf(body.nodes, found);
  }
  return found;
}
