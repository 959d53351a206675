// Values that are computed from constants alone, as tensors.
import { constantOf } from "../../graph/constants.js";
import { producersOf } from "../../graph/graph-index.js";
import type { Dim, Graph, TensorData } from "../../graph/types.js";
import { numbers, tensorOf } from "../../graph/values.js";
import { inferKnown } from "../../ops/infer.js";
import { type Known, unknown } from "../../ops/rules/call.js";
import { evaluateConstant, follow } from "../../ops/rules/value.js";
import { operatorOf } from "../../ops/table.js";

/** A function that gives the tensor of a value; undefined where it depends on the inputs or cannot be computed here. */
export function constantEvaluator(graph: Graph): (value: string) => TensorData | undefined {
  const producers = producersOf(graph.nodes);
  const results = new Map<string, TensorData | undefined>(graph.initializers);
  const opset = graph.opsets.get("") ?? 1;
  let known: ReadonlyMap<string, Known> | undefined;
  const evaluate = (value: string): TensorData | undefined => {
    if (results.has(value)) return results.get(value);
    results.set(value, undefined); // a circle ends here
    const node = producers.get(value);
    if (node === undefined || node.domain !== "" || node.inputs.includes("")) return undefined;
    if (node.op === "Constant") {
      const made = constantOf(node);
      results.set(value, made);
      return made;
    }
    const tensors = node.inputs.map(evaluate);
    if (node.inputs.length === 0 || tensors.includes(undefined)) return undefined;
    known ??= inferKnown(graph);
    const of = (name: string): Known => known!.get(name) ?? unknown;
    const call = { node, opset, inputs: tensors.map((tensor, at) => filled(tensor!) ?? of(node.inputs[at]!)) };
    const rule = operatorOf(node)?.value;
    const types = node.outputs.map(of);
    const made = evaluateConstant(rule, call, tensors, types) ?? wholeNumbers(follow(rule, call, types, most), types);
    for (const [at, output] of node.outputs.entries()) results.set(output, made?.[at]);
    return results.get(value);
  };
  return evaluate;
}

/** Elements of whole numbers, at most. */
const most = 2 ** 28;

/** Results of operators over whole numbers, which are computed as sizes are. */
function wholeNumbers(
  made: readonly (readonly Dim[])[] | undefined,
  types: readonly Known[],
): readonly TensorData[] | undefined {
  const tensors = made?.map((values, at) => {
    const { type, dims } = types[at]!;
    if (!wholes.test(type ?? "") || !values.every((value) => typeof value === "number")) return undefined;
    return tensorOf(type!, dims as readonly number[], values as readonly number[]);
  });
  return tensors?.every((tensor) => tensor !== undefined) ? (tensors as readonly TensorData[]) : undefined;
}

const wholes = /^u?int(8|16|32|64)$/;

/** Whole numbers with their elements: rules read sizes and places from these. */
function filled(tensor: TensorData): Known | undefined {
  if (!wholes.test(tensor.type)) return undefined;
  return { type: tensor.type, dims: tensor.dims, elements: Array.from(numbers(tensor)) };
}
