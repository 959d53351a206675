// Shape inference: what is known of every value of a graph before it runs.
import { FilterBasisError } from "../errors/error.js";
import { elements, readTensor } from "../graph/attributes.js";
import { substitute, symbolsOf, usable } from "../graph/dims.js";
import { feeds } from "../graph/edit.js";
import type { Dim, Graph, TensorData, Value, ValueType } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { type Call, type Known, mismatch, unknown } from "./rules/call.js";
import { follow } from "./rules/value.js";
import { operatorOf } from "./table.js";

/**
 * Tensors up to this many elements are followed through the graph, so that the targets of Reshape, Resize and the like
 * are known.
 */
const followed = 4096;

/**
 * The type and shape of every value that can be known, initializers included; an operator that has no rule (a custom
 * one, say) gives unknown values, for which the types that the file itself states (`values`, `outputs`) stand in. Sizes
 * may be expressions over the symbols of the inputs; other symbols that the file states for intermediate values are not
 * used, for exporters number them freely.  `inputShapes` fixes axes of inputs by name: [1, 3, 224, 224], or [1, 3,
 * null, null] to leave some as stated. A symbol of the file that is fixed for one input is fixed everywhere.
 * @throws FilterBasisError shape-mismatch, naming the node, where shapes contradict each other or the stated fixed axes
 * of an input; not-found for an input that the graph does not have
 */
export function inferShapes(
  graph: Graph,
  inputShapes: ReadonlyMap<string, readonly Dim[]> = new Map(),
): ReadonlyMap<string, ValueType> {
  const known = inferKnown(graph, inputShapes);
  const result = new Map<string, ValueType>();
  for (const [name, { type, dims }] of known)
    if (type !== undefined) result.set(name, dims === undefined ? { type } : { type, dims });
  return result;
}

/** As inferShapes, with the elements of the small tensors that were followed. */
export function inferKnown(
  graph: Graph,
  inputShapes: ReadonlyMap<string, readonly Dim[]> = new Map(),
  limit = followed,
): ReadonlyMap<string, Known> {
  const known = new Map<string, Known>();
  const bound = bindInputs(graph, inputShapes, known);
  for (const [name, { values, dims }] of graph.sparseInitializers ?? []) known.set(name, { type: values.type, dims });
  for (const [name, tensor] of graph.initializers) known.set(name, ofTensor(tensor, limit));
  const opset = graph.opsets.get("") ?? 1;
  const stated = new Map([...graph.values.values(), ...graph.outputs].map((value) => [value.name, value]));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => known.get(name) ?? unknown);
    const call = { node, opset, inputs };
    const constant = node.domain === "" && node.op === "Constant" ? readTensor(node, "value") : undefined;
    const operator = operatorOf(node);
    const outputs = constant !== undefined ? [ofTensor(constant, limit)] : (operator?.shapes?.(call) ?? []);
    for (const { dims } of outputs.slice(0, node.outputs.length)) refuseNegative(call, dims);
    const values = follow(operator?.value, call, outputs, limit);
    node.outputs.forEach((name, index) => {
      if (name === "") return;
      const own = values?.[index] === undefined ? outputs[index] : { ...outputs[index], elements: values[index] };
      known.set(name, completed(own ?? unknown, stated.get(name), bound));
    });
  }
  return known;
}

/** The last guard behind all rules: whatever sizes came out, they can be sizes. */
function refuseNegative(call: Call, dims: readonly Dim[] | undefined): void {
  const bad = dims?.find((dim) => typeof dim === "number" && !(Number.isSafeInteger(dim) && dim >= 0));
  if (bad !== undefined)
    throw mismatch(call, "the output would have a size that is none", "integers from 0", String(bad));
}

/** What an initializer tells. */
function ofTensor(tensor: TensorData, limit: number): Known {
  const { type, dims } = tensor;
  const numeric = !["string", "complex64", "complex128"].includes(type) && !/^(float[48]|u?int[24]$)/.test(type);
  if (elements(dims) > limit || !numeric) return { type, dims };
  let decoded: readonly Dim[] | undefined;
  return {
    type,
    dims,
    get elements() {
      return (decoded ??= Array.from(numbers(tensor))); // most constants are never asked for theirs
    },
  };
}

/** Sets the inputs' shapes; returns what each symbol stands for. */
function bindInputs(
  graph: Graph,
  inputShapes: ReadonlyMap<string, readonly Dim[]>,
  known: Map<string, Known>,
): ReadonlyMap<string, Dim> {
  const inputs = new Map(feeds(graph).map((input) => [input.name, input]));
  const bound = new Map<string, Dim>();
  for (const [name, dims] of inputShapes) {
    const stated = inputs.get(name);
    if (stated === undefined) {
      throw new FilterBasisError("not-found", "the graph has no such input", {
        tensor: name,
        expected: [...inputs.keys()].join(", "),
        got: name,
      });
    }
    bindOne(stated, dims, bound);
  }
  for (const [name, { tensor }] of inputs) {
    if (tensor === undefined) continue;
    const given = inputShapes.get(name);
    const dims =
      tensor.dims?.map((dim) => substitute(usable(dim), bound)).map((dim, axis) => given?.[axis] ?? dim) ?? given;
    known.set(name, { type: tensor.type, dims });
    for (const dim of dims ?? [])
      for (const symbol of symbolsOf(dim)) if (!bound.has(symbol)) bound.set(symbol, symbol);
  }
  return bound;
}

function bindOne(stated: Value, given: readonly Dim[], bound: Map<string, Dim>): void {
  const own = stated.tensor?.dims;
  if (own === undefined) return;
  const contradiction = () =>
    new FilterBasisError("shape-mismatch", "the given shape does not fit the input", {
      tensor: stated.name,
      expected: `[${own.map((dim) => dim ?? "?").join(", ")}]`,
      got: `[${given.map((dim) => dim ?? "?").join(", ")}]`,
    });
  if (own.length !== given.length) throw contradiction();
  own.forEach((size, axis) => {
    const [dim, value] = [usable(size), given[axis]!];
    if (value === null) return;
    if (typeof value === "number" && (!Number.isInteger(value) || value < 0)) throw contradiction();
    if (typeof dim === "number" && typeof value === "number" && dim !== value) throw contradiction();
    if (typeof dim !== "string" || !symbolsOf(dim).has(dim)) return;
    const before = bound.get(dim);
    if (before !== undefined && before !== value) throw contradiction();
    bound.set(dim, value);
  });
}

/** Fills what inference does not know from what the file states. */
function completed(own: Known, stated: Value | undefined, bound: ReadonlyMap<string, Dim>): Known {
  const told = stated?.tensor;
  if (told === undefined || (own.type !== undefined && own.dims !== undefined && !own.dims.includes(null))) return own;
  const toldDims = told.dims?.map((dim) => (typeof dim === "string" ? (bound.get(dim) ?? null) : usable(dim)));
  const fits = own.dims === undefined || own.dims.length === toldDims?.length;
  const dims =
    own.dims === undefined ? toldDims : fits ? own.dims.map((dim, axis) => dim ?? toldDims![axis]!) : own.dims;
  return { ...own, type: own.type ?? told.type, dims };
}
