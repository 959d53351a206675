// Whether a model's own functions are well-formed, and none of them calls itself, directly or through others.
import { FilterBasisError } from "../../errors/error.js";
import { bodies } from "../../graph/edit.js";
import { producersOf } from "../../graph/graph-index.js";
import type { LocalFunction, Node } from "../../graph/types.js";
import { type Context, calledKey, Scope, verifyNodes } from "./node.js";

/** What a call finds a function by (`calledKey`). */
export function functionKey({ domain, name, overload }: LocalFunction): string {
  return JSON.stringify([domain, name, overload]);
}

/** The function as people read it. */
export function functionTitle({ domain, name, overload }: LocalFunction): string {
  return `${domain}::${name}${overload && `:${overload}`}`;
}

/** @throws FilterBasisError `invalid-graph` */
export function verifyFunctions(functions: readonly LocalFunction[], context: Context): void {
  const seen = new Set<string>();
  for (const local of functions) {
    if (local.name === "") throw new FilterBasisError("invalid-graph", "a function has no name");
    if (seen.has(functionKey(local))) throw invalid(local, "is defined twice");
    seen.add(functionKey(local));
    verifyFunction(local, context);
  }
  verifyNoRecursion(functions);
}

function verifyFunction(local: LocalFunction, context: Context): void {
  const scope = new Scope();
  for (const input of local.inputs) {
    if (scope.makes(input)) throw invalid(local, `has two inputs named "${input}"`);
    scope.add(input);
  }
  once(local, "output", local.outputs);
  const parameters = [...local.attributes, ...local.defaults.keys()];
  once(local, "attribute", parameters);
  try {
    verifyNodes(
      local.nodes,
      scope,
      { ...context, opsets: local.opsets, parameters: new Set(parameters) },
      producersOf(local.nodes),
    );
  } catch (error) {
    throw error instanceof FilterBasisError ? error.at({ layer: `function ${functionTitle(local)}` }) : error;
  }
  for (const output of local.outputs)
    if (!scope.makes(output)) throw invalid(local, `does not make its output "${output}"`);
}

function once(local: LocalFunction, what: string, names: readonly string[]): void {
  if (new Set(names).size !== names.length) throw invalid(local, `has two ${what}s of the same name`);
}

/** Depth-first, with a stack of our own: chains of functions may be long. */
function verifyNoRecursion(functions: readonly LocalFunction[]): void {
  const byKey = new Map(functions.map((local) => [functionKey(local), local]));
  const state = new Map<LocalFunction, "open" | "done">();
  for (const root of functions) {
    if (state.has(root)) continue;
    const stack = [{ local: root, callees: calleesOf(root, byKey) }];
    state.set(root, "open");
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.callees.pop();
      if (next === undefined) {
        state.set(top.local, "done");
        stack.pop();
      } else if (state.get(next) === "open") {
        const names = stack.map(({ local }) => functionTitle(local));
        throw invalid(
          next,
          `calls itself: ${[...names.slice(names.lastIndexOf(functionTitle(next))), functionTitle(next)].join(" -> ")}`,
        );
      } else if (!state.has(next)) {
        state.set(next, "open");
        stack.push({ local: next, callees: calleesOf(next, byKey) });
      }
    }
  }
}

function calleesOf(local: LocalFunction, byKey: ReadonlyMap<string, LocalFunction>): LocalFunction[] {
  const callees = new Set<LocalFunction>();
  const walk = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      const callee = byKey.get(calledKey(node));
      if (callee !== undefined) callees.add(callee);
      for (const body of bodies(node)) walk(body.nodes);
    }
  };
  walk(local.nodes);
  return [...callees];
}

function invalid(local: LocalFunction, message: string): FilterBasisError {
  return new FilterBasisError("invalid-graph", message, { layer: `function ${functionTitle(local)}` });
}
