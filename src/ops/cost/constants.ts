// The constants of a graph as counting sees them: what is stored, what is computed from it, and which of it are
// parameters.
import { elementBytes, elements } from "../../graph/attributes.js";
import { constantTensor } from "../../graph/constants.js";
import { bodies, reads } from "../../graph/edit.js";
import type { Graph, GraphBody, Node, TensorData } from "../../graph/types.js";
import { isFloat } from "../../graph/values.js";
import { constantValues } from "../constant-values.js";
import { placesOf } from "../operator.js";
import { operatorOf } from "../table.js";

export interface Constants {
  /** Initializers and the tensors of Constant nodes. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** These, and everything computed from them alone, with the node that computes it. */
  readonly values: ReadonlyMap<string, Node | undefined>;
}

/** The constants that the nodes of a graph, or of a body inside one, can read. */
export function findConstants(body: GraphBody, outer?: Constants): Constants {
  const tensors = new Map(outer?.tensors);
  for (const [name, tensor] of body.initializers) tensors.set(name, tensor);
  for (const [name, sparse] of body.sparseInitializers ?? []) tensors.set(name, sparse.values); // what is stored is what counts
  for (const node of body.nodes) {
    const value = constantTensor(node);
    if (value !== undefined) tensors.set(node.outputs[0]!, value);
  }
  const values = constantValues(body, outer?.values);
  if (outer === undefined) return { tensors, values };
  return { tensors: new Map([...tensors].filter(([name]) => values.has(name))), values };
}

/** The stored tensors that a constant value is computed from, by name. */
export function under(name: string, { tensors, values }: Constants): ReadonlySet<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next) || !values.has(next)) continue;
    seen.add(next);
    if (tensors.has(next)) found.add(next);
    const node = values.get(next);
    if (node !== undefined) open.push(...reads(node));
  }
  return found;
}

/**
 * The weights underneath: the tensor itself, or the matrices and filters it is computed from (not scales, zero points,
 * shapes).
 */
export function weightsUnder(name: string, constants: Constants): readonly string[] {
  const { tensors, values } = constants;
  if (tensors.has(name)) return [name];
  const sources = [...under(name, constants)].filter((source) => {
    const { type, dims } = tensors.get(source)!;
    return dims.length >= 2 && type !== "int64" && type !== "int32";
  });
  // Places in a codebook are no weights: their bits are counted elsewhere.
  const places = new Set<string>();
  for (const node of nodesUnder(name, values))
    if (operatorOf(node)?.picks) for (const source of under(node.inputs[1] ?? "", constants)) places.add(source);
  // A factor or shift for each channel is as little a weight as one that stands behind the layer would be.
  const scales = new Set<string>();
  const isVector = (source: string) => tensors.get(source)!.dims.filter((size) => size > 1).length <= 1;
  for (const node of nodesUnder(name, values))
    if (operatorOf(node)?.affine) for (const input of node.inputs) scales.add(input);
  const weights = sources.filter((source) => !places.has(source) && !(scales.has(source) && isVector(source)));
  return weights.length > 0 ? weights : sources;
}

function nodesUnder(name: string, values: Constants["values"]): ReadonlySet<Node> {
  const found = new Set<Node>();
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const node = values.get(next);
    if (node === undefined || found.has(node)) continue;
    found.add(node);
    open.push(...reads(node));
  }
  return found;
}

export const isParameter = ({ tensors }: Constants, name: string): boolean =>
  isFloat(tensors.get(name)!.type) && tensors.get(name)!.dims.length > 0;

/** The float constants that some node or output of a graph reads as parameters. */
export function parametersRead(body: GraphBody, constants: Constants): readonly string[] {
  const read = new Set(body.outputs.map((output) => output.name));
  for (const node of body.nodes) {
    const operator = operatorOf(node);
    const set = placesOf(operator, "mean", "variance", "setting");
    const names = set.length === 0 ? reads(node) : node.inputs.filter((_, index) => !set.includes(index));
    // what a layer reads is counted with the layer; of a normalisation or an activation, constants are parameters
    // however they are stored
    const parameterised = operator?.macs === undefined && placesOf(operator, "scale", "slope").length > 0;
    for (const name of names) if (constants.values.get(name) === undefined || parameterised) read.add(name);
  }
  return [...read].filter((name) => constants.tensors.has(name) && isParameter(constants, name));
}

/** Bytes of all constants of a model as stored, bodies and functions included, each once. */
export function storedBytes(graph: Graph): number {
  const found = new Set<TensorData>();
  const walk = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      const value = constantTensor(node);
      if (value !== undefined) found.add(value);
      for (const body of bodies(node)) walkBody(body);
    }
  };
  const walkBody = (body: GraphBody): void => {
    for (const tensor of body.initializers.values()) found.add(tensor);
    for (const { values } of body.sparseInitializers?.values() ?? []) found.add(values);
    walk(body.nodes);
  };
  walkBody(graph);
  for (const local of graph.functions ?? []) walk(local.nodes);
  let bytes = 0;
  for (const { type, dims, strings } of found) {
    bytes +=
      strings === undefined
        ? Math.ceil(elements(dims) * elementBytes[type])
        : strings.reduce((sum, one) => sum + one.length, 0);
  }
  return bytes;
}
