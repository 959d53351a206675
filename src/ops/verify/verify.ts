// Whether a graph keeps the rules of ONNX (onnx/docs/IR.md): every name made once and before it is read, every constant
// as large as its shape says, every attribute of the type that its operator wants, every domain imported, no function
// calling itself.
import { FilterBasisError } from "../../errors/error.js";
import { producersOf } from "../../graph/graph-index.js";
import type { Graph, GraphBody, Value } from "../../graph/types.js";
import { functionKey, verifyFunctions } from "./functions.js";
import { type Context, Scope, verifyNodes } from "./node.js";
import { verifySparse, verifyTensor } from "./tensor.js";

/** Graphs inside graphs; ONNX files cannot hold more than 33. */
const deepest = 100;

/**
 * Checks a whole model. Operators that are not known here need only be well-formed: they are carried, not refused.
 * @throws FilterBasisError `invalid-graph`, naming the node, tensor or field
 */
export function verifyGraph(graph: Graph): void {
  if (!Number.isInteger(graph.irVersion) || graph.irVersion < 1) {
    throw new FilterBasisError("invalid-graph", "the model has no IR version", {
      field: "ir_version",
      got: String(graph.irVersion),
    });
  }
  if (graph.irVersion >= 3 && graph.opsets.size === 0) {
    throw new FilterBasisError("invalid-graph", "the model imports no operators", { field: "opset_import" });
  }
  for (const [domain, version] of graph.opsets) {
    if (Number.isInteger(version) && version >= 1) continue;
    throw new FilterBasisError("invalid-graph", `opset "${domain}" has no version`, {
      field: "opset_import",
      got: String(version),
    });
  }
  const functions = graph.functions ?? [];
  // Before IR version 3 a model could not say which operators it means.
  const opsets = graph.irVersion < 3 && graph.opsets.size === 0 ? new Map([["", 1]]) : graph.opsets;
  const context: Context = {
    irVersion: graph.irVersion,
    opsets,
    local: new Set(functions.map(functionKey)),
    parameters: undefined,
    verifyBody: (body, outer, inner) => verifyBody(body, outer, inner, 1),
  };
  verifyBody(graph, undefined, context, 0);
  verifyFunctions(functions, context);
}

function verifyBody(body: GraphBody, outer: Scope | undefined, context: Context, depth: number): void {
  if (depth > deepest) throw new FilterBasisError("too-large", `graphs are nested more than ${deepest} deep`);
  const inner: Context = { ...context, verifyBody: (nested, scope, own) => verifyBody(nested, scope, own, depth + 1) };
  const scope = new Scope(outer);
  for (const input of body.inputs) {
    verifyValue(input, "input");
    if (scope.makes(input.name)) throw invalid("two inputs have the same name", input.name);
    scope.add(input.name);
  }
  const constants = new Set<string>();
  const constant = (name: string): void => {
    if (name === "") throw new FilterBasisError("invalid-graph", "an initializer has no name");
    if (constants.has(name)) throw invalid("there are two initializers of this name", name);
    // In a main graph such an initializer is the input's default; a body's inputs are always given.
    if (depth > 0 && context.irVersion >= 4 && scope.makes(name))
      throw invalid("is both an input and a constant of a subgraph", name);
    constants.add(name);
  };
  for (const [name, tensor] of body.initializers) {
    constant(name);
    verifyTensor(tensor, { tensor: name });
  }
  for (const [name, tensor] of body.sparseInitializers ?? []) {
    constant(name);
    verifySparse(tensor, { tensor: name });
  }
  for (const name of constants) scope.add(name);
  verifyNodes(body.nodes, scope, inner, producersOf(body.nodes));
  const outputs = new Set<string>();
  for (const output of body.outputs) {
    verifyValue(output, "output");
    if (outputs.has(output.name)) throw invalid("two outputs have the same name", output.name);
    outputs.add(output.name);
    if (scope.makes(output.name)) continue;
    if (scope.sees(output.name))
      throw invalid("a subgraph hands out a value of the graph around it (an Identity is needed)", output.name);
    throw invalid("nothing makes this output of the graph", output.name);
  }
  for (const value of body.values.values()) verifyValue(value, "value");
}

function verifyValue({ name, tensor }: Value, what: string): void {
  if (name === "") throw new FilterBasisError("invalid-graph", `an ${what} of the graph has no name`);
  const bad = tensor?.dims?.find((dim) => typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0));
  if (bad !== undefined) throw invalid(`a size of this ${what} cannot be`, name, String(bad));
}

function invalid(message: string, tensor: string, got?: string): FilterBasisError {
  return new FilterBasisError("invalid-graph", message, { tensor, ...(got !== undefined && { got }) });
}
