// Which convolutions of a graph can be written over a basis: layers, each one weight with all the nodes that read it,
// and for everything else that carries weights the reason why it is left alone.
import { type Constant, constants } from "../basis/constant.js";
import { type Convolution, isRefusal, type Refusal, readConvolution } from "../basis/convolution.js";
import type { Filters } from "../basis/initialise.js";
import { denseWeights, type FilterShape } from "../basis/split.js";
import { FilterBasisError } from "../errors/error.js";
import { siteName } from "../graph/attributes.js";
import { basisConvs, isBasisConv } from "../graph/basis-conv.js";
import { bodies, captures, consumers } from "../graph/edit.js";
import type { DataType, Graph, GraphBody, Node, TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";

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
  readonly refused: readonly Refusal[];
}

const compressed = "it is compressed already; --undo gives its dense form back";

/** Finds layers and refusals, in the order of the graph. Errors: `not-found` for a graph without any convolution. */
export function findLayers(graph: Graph): Layers {
  const constant = constants(graph);
  const parts = basisConvs(graph.nodes).flatMap(({ site }) => site.provenance.layer ?? []);
  const coefficients = new Set(parts.map((layer) => layer.coefficients));
  const found = new Map<string, Convolution[]>();
  const refused: Refusal[] = [];
  for (const node of graph.nodes) {
    if (isBasisConv(node)) {
      // A basis part belongs to the convolution with its coefficients, which stands for the layer.
      if ((node.inputs[2] ?? "") !== "") refused.push({ name: siteName(node), because: compressed });
      continue;
    }
    if (node.op === "Conv" && coefficients.has(constant(node.inputs[1] ?? "")?.root ?? "")) {
      refused.push({ name: siteName(node), because: compressed });
      continue;
    }
    const read = readConvolution(node, constant);
    if (read && isRefusal(read)) refused.push(read);
    else if (read) found.set(read.weightName, [...(found.get(read.weightName) ?? []), read]);
    for (const body of bodies(node)) refused.push(...insideBody(body, siteName(node), node.op));
  }
  const layers: Layer[] = [];
  const other = otherReaders(graph, constant);
  for (const [weightName, nodes] of found) {
    const [first] = nodes as [Convolution, ...Convolution[]];
    const reader = other.get(weightName);
    const mixed = nodes.some((node) => node.type !== first.type);
    const because = reader
      ? `its weight is also read by ${reader}`
      : mixed
        ? "its weight is read in more than one type"
        : undefined;
    if (because) refused.push(...nodes.map(({ name }) => ({ name, because })));
    else layers.push({ ...first, nodes });
  }
  if (
    layers.length === 0 &&
    !refused.some(({ because }) => !because.startsWith("it is a fully") && !because.startsWith("it is a matrix"))
  ) {
    throw new FilterBasisError("not-found", "the model has no convolution", { expected: "at least one Conv node" });
  }
  return { layers, refused };
}

/** The filters of a layer as doubles, ready to be decomposed with the given splits. */
export function filtersOf(layer: Layer, splits: number): Filters {
  const { name, outChannels, inChannels, taps, weight } = layer;
  return { name, outChannels, inChannels, taps, splits, values: numbers(weight) };
}

/** Weights of the layer as it is. */
export const layerWeights = (layer: Layer): number => denseWeights(layer);

/** For each constant root: who else reads it, apart from convolutions at their weight's place. */
function otherReaders(graph: Graph, constant: (name: string) => Constant | undefined): ReadonlyMap<string, string> {
  const other = new Map<string, string>();
  for (const { name } of graph.outputs) {
    const root = constant(name)?.root;
    if (root !== undefined) other.set(root, "an output of the graph");
  }
  for (const [value, nodes] of consumers(graph)) {
    const root = constant(value)?.root;
    if (root === undefined) continue;
    for (const node of nodes) if (!readsAsFilters(node, value)) other.set(root, `${siteName(node)} (${node.op})`);
  }
  return other;
}

function readsAsFilters(node: Node, value: string): boolean {
  if (node.domain !== "") return false;
  if (node.op === "Identity" || node.op === "Cast") return true; // followed further by its own readers
  return node.op === "Conv" && node.inputs.every((input, place) => input !== value || place === 1) && !captured(node, value);
}

const captured = (node: Node, value: string): boolean => bodies(node).some((body) => captures(body).has(value));

function insideBody(body: GraphBody, owner: string, op: string): Refusal[] {
  return body.nodes.flatMap((node) => [
    ...(node.op === "Conv" ? [{ name: siteName(node), because: `it stands in the body of ${owner} (${op})` }] : []),
    ...bodies(node).flatMap((inner) => insideBody(inner, siteName(node), node.op)),
  ]);
}
