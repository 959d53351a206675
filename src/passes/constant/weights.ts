// What stands behind the weights that layers read: the results of nodes over constants, or the reason why such a weight
// is not stored as it is read.
import { elementBytes, elements } from "../../graph/attributes.js";
import { constantOf } from "../../graph/constants.js";
import { reads } from "../../graph/edit.js";
import { indexOf } from "../../graph/graph-index.js";
import type { Graph, Node, TensorData } from "../../graph/types.js";
import { constantValues } from "../../ops/constant-values.js";
import { inferKnown } from "../../ops/infer.js";
import { placesOf, type Role } from "../../ops/operator.js";
import type { Known } from "../../ops/rules/call.js";
import { unknown } from "../../ops/rules/call.js";
import { evaluateConstant } from "../../ops/rules/value.js";
import { operatorOf } from "../../ops/table.js";

/** What a layer or a normalisation with stored statistics reads, by the role of the input. */
const names: Partial<Record<Role, string>> = {
  weight: "weight",
  factor: "weight",
  bias: "bias",
  scale: "scale",
  shift: "shift",
  mean: "mean",
  variance: "variance",
};

/** The values that layers read at a weight's place, constant or not. */
export function layerConstants(
  graph: Graph,
): readonly { readonly layer: Node; readonly value: string; readonly what: string }[] {
  return graph.nodes.flatMap((layer) => {
    const operator = layer.domain === "" ? operatorOf(layer) : undefined;
    if (operator?.macs === undefined && placesOf(operator, "mean").length === 0) return [];
    return layer.inputs.flatMap((value, index) => {
      const what = names[operator?.operands?.[index] ?? "data"];
      return value === "" || what === undefined ? [] : [{ layer, value, what }];
    });
  });
}

/** A node over constants with its results, or why there are none: a clause whose subject is the weight. */
export type WeightFound =
  | {
      readonly node: Node;
      readonly made: readonly TensorData[];
      readonly roots: ReadonlySet<string>;
      readonly operators: readonly string[];
    }
  | { readonly reason: string };

/**
 * A function that tells what stands behind a value. Undefined for stored constants (also behind Identity and Cast), for
 * what depends on the inputs, and for what is computed from `keep`.
 */
export function weightAnalysis(graph: Graph, keep: ReadonlySet<string>): (value: string) => WeightFound | undefined {
  const constant = constantValues(graph);
  const position = new Map(graph.nodes.map((node, index) => [node, index]));
  const { outputs } = indexOf(graph);
  let known: ReadonlyMap<string, Known> | undefined;
  const results = new Map<string, TensorData | undefined>(graph.initializers);
  const opset = graph.opsets.get("") ?? 1;
  const compute = (node: Node): void => {
    if (isConstant(node)) return void results.set(node.outputs[0]!, constantOf(node));
    known ??= inferKnown(graph);
    const inputs = node.inputs.map((name) => (name === "" ? unknown : (known!.get(name) ?? unknown)));
    const tensors = node.inputs.map((name) => results.get(name));
    const complete = node.inputs.every((name, at) => name === "" || tensors[at] !== undefined);
    const types = node.outputs.map((name) => known!.get(name) ?? unknown);
    const made = complete
      ? evaluateConstant(operatorOf(node)?.value, { node, opset, inputs }, tensors, types)
      : undefined;
    for (const [at, output] of node.outputs.entries()) if (output !== "") results.set(output, made?.[at]);
  };
  const cache = new Map<string, WeightFound | undefined>();
  const analyse = (read: string): WeightFound | undefined => {
    const value = beneath(read, constant, () => (known ??= inferKnown(graph)));
    const node = constant.get(value);
    if (node === undefined || isConstant(node)) return undefined;
    const cone = coneOf(value, constant);
    if (cone === undefined)
      return { reason: `is computed from constants by more than ${largestCone} operators, which is not done here` };
    if ([...cone.roots].some((root) => keep.has(root))) return undefined;
    const quantised = quantisedReason(cone, (root) => graph.initializers.get(root) ?? constantOf(constant.get(root)!));
    if (quantised !== undefined) return { reason: quantised };
    const nodes = [...cone.nodes].sort((a, b) => position.get(a)! - position.get(b)!);
    for (const one of nodes) if (!results.has(one.outputs[0]!)) compute(one);
    const operators = [...new Set(nodes.filter(({ op }) => op !== "Constant").map(operatorName))];
    const made = node.outputs.map((output) => results.get(output));
    if (made.some((tensor) => tensor === undefined))
      return { reason: `is computed from constants by ${operators.join(", ")}, which is not done here` };
    if (node.outputs.some((output) => outputs.has(output))) return { reason: "is an output of the graph" };
    return { node, made: made as readonly TensorData[], roots: cone.roots, operators };
  };
  return (value) => {
    if (!cache.has(value)) cache.set(value, analyse(value));
    return cache.get(value);
  };
}

const isConstant = (node: Node | undefined): boolean => node?.op === "Constant" && node.domain === "";

/**
 * The value under any Identity and under any Cast to a larger type: what reads weights looks through these, and stored
 * they take less beneath.
 */
function beneath(
  value: string,
  constant: ReadonlyMap<string, Node | undefined>,
  known: () => ReadonlyMap<string, Known>,
): string {
  let current = value;
  for (let node = constant.get(current); node?.domain === ""; node = constant.get(current)) {
    if (node.op !== "Identity" && !(node.op === "Cast" && widens(node, known()))) break;
    current = node.inputs[0]!;
  }
  return current;
}

function widens(cast: Node, known: ReadonlyMap<string, Known>): boolean {
  const [from, to] = [cast.inputs[0]!, cast.outputs[0]!].map((name) => known.get(name)?.type);
  return from !== undefined && to !== undefined && elementBytes[to] > elementBytes[from];
}

const operatorName = ({ op, domain }: Node): string => (domain === "" ? op : `${domain}::${op}`);

interface Cone {
  readonly nodes: ReadonlySet<Node>;
  /** Initializers and outputs of Constant nodes. */
  readonly roots: ReadonlySet<string>;
}

/** Operators behind a weight, at most: exporters leave a dozen, and each of many layers may stand on the same ones. */
const largestCone = 256;

/** The nodes and stored constants that a constant value is computed from; undefined for too many. */
function coneOf(value: string, constant: ReadonlyMap<string, Node | undefined>): Cone | undefined {
  const nodes = new Set<Node>();
  const roots = new Set<string>();
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const node = constant.get(next);
    if (node === undefined || node.op === "Constant") roots.add(next);
    if (node === undefined || nodes.has(node)) continue;
    if (nodes.size >= largestCone) return undefined;
    nodes.add(node);
    open.push(...reads(node));
  }
  return { nodes, roots };
}

/**
 * Why a weight is quantised, if it is: integers of 8 bits or fewer that are scaled to floats at load, or floats that
 * are rounded so.
 */
function quantisedReason(
  { nodes, roots }: Cone,
  tensorAt: (root: string) => TensorData | undefined,
): string | undefined {
  const op = [...nodes].find((node) => /^(De)?[Qq]uant|Quant(ize)?(Linear)?$/.test(node.op));
  let largest: TensorData | undefined;
  for (const root of roots) {
    const tensor = tensorAt(root);
    if (tensor !== undefined && (largest === undefined || elements(tensor.dims) > elements(largest.dims)))
      largest = tensor;
  }
  const integers = largest !== undefined && /^u?int\d+$/.test(largest.type);
  const small = integers && largest!.dims.length >= 2 && /^u?int[248]$/.test(largest!.type);
  if (op === undefined && !small) return undefined;
  const stored = integers ? `stored as ${largest!.type}` : "rounded to few bits";
  return `is quantised (${stored}${op === undefined ? "" : `, ${operatorName(op)}`}): ${quantisedCure}`;
}

/** What to do about a quantised layer: a clause after a colon. */
export const quantisedCure = "compress the float model that it was made from, then quantise the result";
