// Which convolutions of a graph can be written over a basis: layers, each one weight with all the nodes that read it,
// and for everything else that carries weights the reason why it is skipped.
import { type Convolution, isSkipped, readConvolution, type SkippedLayer } from "../basis/convolution.js";
import type { Filters } from "../basis/initialise.js";
import { denseWeights, type FilterShape } from "../basis/split.js";
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { bodies, captures } from "../graph/edit.js";
import { indexOf, type Stored } from "../graph/graph-index.js";
import type { DataType, Graph, Node, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";
import { functionKey } from "../ops/verify/functions.js";
import { calledKey } from "../ops/verify/node.js";
import { weightReason } from "../passes/fold-weights.js";
import { compressedNodes } from "./compressed-layers.js";
import { insideBodies, insideFunctions } from "./hidden-layers.js";

/** One weight and the convolutions that read it. */
export interface Layer extends FilterShape {
  /** The name of the first node that reads it. */
  readonly name: string;
  readonly nodes: readonly Convolution[];
  readonly kernel: readonly number[];
  /** The value at the root of the weight. */
  readonly weightName: string;
  readonly weight: TensorData;
  /** The type that the nodes compute in. */
  readonly type: DataType;
}

export interface Layers {
  readonly layers: readonly Layer[];
  readonly skipped: readonly SkippedLayer[];
}

/**
 * Finds layers, and those skipped with the reason, in the order of the graph. Weights behind operators and layers in
 * local functions are found once `prepareForPlanning` has run.
 * @throws FilterBasisError `not-found` for a graph without any convolution, with what it has instead
 */
export function findLayers(graph: Graph): Layers {
  const constant = indexOf(graph).stored;
  const compressed = compressedNodes(graph);
  const computed = lazily(() => weightReason(graph));
  const functions = new Set((graph.functions ?? []).map(functionKey));
  const found = new Map<string, Convolution[]>();
  const skipped: SkippedLayer[] = [];
  for (const node of graph.nodes) {
    if (functions.has(calledKey(node))) continue; // see insideFunctions
    if (compressed.has(node)) {
      const done = compressed.get(node);
      if (done !== undefined) skipped.push(done);
      continue;
    }
    const read = readConvolution(node, constant, (name) => computed()(name));
    if (read && isSkipped(read)) skipped.push(read);
    else if (read) {
      const nodes = found.get(read.weightName);
      if (nodes === undefined) found.set(read.weightName, [read]);
      else nodes.push(read);
    }
    skipped.push(...insideBodies(node));
  }
  skipped.push(...insideFunctions(graph));
  const layers: Layer[] = [];
  const other = otherReaders(graph, constant);
  for (const [weightName, nodes] of found) {
    const [first] = nodes as [Convolution, ...Convolution[]];
    const reader = other.get(weightName);
    const mixed = nodes.some((node) => node.type !== first.type);
    const reason = reader
      ? `its weight is also read by ${reader}`
      : mixed
        ? "its weight is read in more than one type"
        : undefined;
    if (reason) skipped.push(...nodes.map(({ name }) => ({ name, reason })));
    else layers.push({ ...first, nodes });
  }
  if (layers.length === 0 && skipped.every(isMatrix)) throw noConvolution(graph, skipped);
  return { layers, skipped };
}

const isMatrix = ({ reason }: SkippedLayer): boolean =>
  reason.startsWith("it is a fully") || reason.startsWith("it is a matrix");

function noConvolution(graph: Graph, matrices: readonly SkippedLayer[]): FilterBasisError {
  const most = operatorCounts(graph);
  const weights =
    matrices.length > 0 ? `its weights are in ${matrices.length} fully connected layers or products of matrices` : "";
  const operators = most.length > 0 ? `its operators are ${most.join(", ")}` : "it has no nodes";
  return new FilterBasisError("not-found", `the model has no convolution: ${weights || operators}`, {
    expected: "at least one Conv node",
  });
}

/** The most frequent operators of a graph, with their numbers. */
function operatorCounts(graph: Graph): readonly string[] {
  const counts = new Map<string, number>();
  for (const { op, domain } of graph.nodes) {
    const name = domain === "" ? op : `${domain}::${op}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 5)
    .map(([name, count]) => `${count} ${name}`);
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** The filters of a layer as doubles, ready to be decomposed with the given splits. */
export function filtersOf(layer: Layer, splits: number): Filters {
  const { name, outChannels, inChannels, kernelElements, weight } = layer;
  return { name, outChannels, inChannels, kernelElements, splits, values: numbers(weight) };
}

/** Weights of the layer as it is. */
export const layerWeights = (layer: Layer): number => denseWeights(layer);

/** For each constant root: who else reads it, apart from convolutions at their weight's place. */
function otherReaders(graph: Graph, constant: (name: string) => Stored | undefined): ReadonlyMap<string, string> {
  const other = new Map<string, string>();
  const integers = (value: string): boolean => constant(value)?.integers !== undefined;
  for (const { name } of graph.outputs) {
    const root = constant(name)?.root;
    if (root !== undefined) other.set(root, "an output of the graph");
  }
  for (const [value, nodes] of indexOf(graph).consumers) {
    const root = constant(value)?.root;
    if (root === undefined) continue;
    for (const node of nodes)
      if (!readsAsFilters(node, value, integers)) other.set(root, `${nodeName(node)} (${node.op})`);
  }
  return other;
}

function readsAsFilters(node: Node, value: string, integers: (value: string) => boolean): boolean {
  if (node.domain !== "") return false;
  // followed further by its own readers
  if (["Identity", "Cast", "DequantizeLinear"].includes(node.op)) return true;
  if (node.op === "Mul" && integers(node.outputs[0]!)) return true;
  return (
    node.op === "Conv" && node.inputs.every((input, place) => input !== value || place === 1) && !captured(node, value)
  );
}

const captured = (node: Node, value: string): boolean => bodies(node).some((body) => captures(body).has(value));
