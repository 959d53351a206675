// Computing once what does not depend on the inputs: shape chains of exporters, Constant nodes, Identity on weights.
import { elementBytes, elements, nodeName } from "../graph/attributes.js";
import { constantOf } from "../graph/constants.js";
import { reads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import type { Dim, Node, Outcome, Pass, TensorData } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import { inferKnown } from "../ops/infer.js";
import type { Known } from "../ops/rules/call.js";
import { dropUnread } from "./remove-unread.js";

const name = "fold-constants";

export interface FoldOptions {
  /** Results of more elements are left to be computed at load. */
  readonly limit?: number;
}

/** How many bytes a folded shape chain may add to the file. */
const slack = 1024;

/**
 * Turns Constant nodes into initializers and replaces nodes by what they compute, wherever that is known without
 * running: sizes that the input's stated shape fixes, and arithmetic and rearrangement of constants. Products of
 * matrices and whatever would make the file larger (a filter basis repeated for its splits, a weight stored in two
 * orders) are skipped, with the reason.
 */
export function foldConstants({ limit = 1 << 16 }: FoldOptions = {}): Pass {
  return (graph) => {
    const known = inferKnown(graph, new Map(), limit);
    const { consumers: readers, outputs } = indexOf(graph);
    const initializers = new Map(graph.initializers);
    const nodes: Node[] = [];
    const outcomes: Outcome[] = [];
    const constant = new Set(graph.initializers.keys());
    for (const node of graph.nodes) {
      const result = node.outputs.some((output) => outputs.has(output))
        ? undefined
        : fold(node, known, initializers, readers);
      if (result === undefined || "reason" in result) {
        nodes.push(node);
        const inputs = [...reads(node)];
        const wasConstant = inputs.length > 0 && inputs.every((input) => constant.has(input));
        if (wasConstant) {
          for (const output of node.outputs) constant.add(output);
          outcomes.push({
            pass: name,
            layer: nodeName(node),
            applied: false,
            reason: result?.reason ?? reasonLeft(node, outputs),
          });
        }
        continue;
      }
      for (const [output, tensor] of result.made) {
        initializers.set(output, tensor);
        constant.add(output);
      }
      outcomes.push({
        pass: name,
        layer: nodeName(node),
        applied: true,
        reason: "its result does not depend on the inputs",
      });
    }
    if (!outcomes.some((outcome) => outcome.applied)) return { graph, outcomes };
    const kept = new Set(nodes);
    const touched = graph.nodes.filter((node) => !kept.has(node)).flatMap((node) => [...node.outputs, ...reads(node)]);
    return { graph: dropUnread({ ...graph, nodes, initializers }, touched), outcomes };
  };
}

const reasonLeft = (node: Node, outputs: ReadonlySet<string>): string =>
  node.outputs.some((output) => outputs.has(output))
    ? "it makes an output of the graph"
    : `${node.op} of such constants is left to be computed at load`;

type Fold = { readonly made: ReadonlyMap<string, TensorData> } | { readonly reason: string } | undefined;

function fold(
  node: Node,
  known: ReadonlyMap<string, Known>,
  initializers: ReadonlyMap<string, TensorData>,
  readers: ReadonlyMap<string, readonly Node[]>,
): Fold {
  if (node.domain !== "" || node.outputs.includes("")) return undefined;
  if (node.op === "Constant") {
    const tensor = constantOf(node);
    return tensor && { made: new Map([[node.outputs[0]!, tensor]]) };
  }
  if (node.op === "Identity") {
    const tensor = initializers.get(node.inputs[0]!);
    if (tensor === undefined) return undefined;
    // the data is shared in memory but would be stored twice
    if (!freed(node, initializers, readers).includes(tensor) && bytesOf(tensor) > slack)
      return { reason: "the constant is read elsewhere too" };
    return { made: new Map([[node.outputs[0]!, { ...tensor }]]) }; // an object of its own: counting tells constants apart by it
  }
  const made = new Map<string, TensorData>();
  for (const output of node.outputs) {
    const tensor = tensorFrom(known.get(output));
    if (tensor === undefined) return undefined;
    made.set(output, tensor);
  }
  const gained = freed(node, initializers, readers).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const needed = [...made.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const weights = [...made.values()].some((tensor) => isFloat(tensor.type) && tensor.dims.length >= 2);
  if (needed > gained + (weights ? 0 : slack))
    return { reason: `its result takes ${needed} bytes where ${gained} would be freed` };
  return { made };
}

/** The constants that only this node reads. */
function freed(
  node: Node,
  initializers: ReadonlyMap<string, TensorData>,
  readers: ReadonlyMap<string, readonly Node[]>,
): readonly TensorData[] {
  return [...reads(node)]
    .filter((value) => readers.get(value)?.length === 1)
    .flatMap((value) => initializers.get(value) ?? []);
}

const bytesOf = (tensor: TensorData): number => Math.ceil(elements(tensor.dims) * elementBytes[tensor.type]);

/** The tensor of a value whose elements are all known and stored exactly. */
function tensorFrom(value: Known | undefined): TensorData | undefined {
  if (value?.type === undefined || value.elements === undefined || !value.dims?.every((dim) => typeof dim === "number"))
    return undefined;
  const whole = !isFloat(value.type);
  const exact = (element: Dim) => typeof element === "number" && (!whole || Number.isSafeInteger(element));
  return value.elements.every(exact)
    ? tensorOf(value.type, value.dims as number[], value.elements as number[])
    : undefined;
}
