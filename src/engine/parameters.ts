// Which constants of a graph are parameters that learn, and which are running statistics.
import { elements, readTensor } from "../graph/attributes.js";
import type { Graph, Node, TensorData } from "../graph/types.js";

/** The constants of a graph by name: initializers, and the tensors of Constant nodes by their output. */
export function constantsOf(graph: Graph): Map<string, TensorData> {
  const constants = new Map(graph.initializers);
  for (const node of graph.nodes) {
    const value = node.op === "Constant" && node.domain === "" ? readTensor(node, "value") : undefined;
    if (value !== undefined && node.outputs[0]) constants.set(node.outputs[0], value);
  }
  return constants;
}

/** Inputs that hold weights, by operator. A weight may be computed from constants: what it is computed from then learns. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2], ConvTranspose: [1, 2], BatchNormalization: [1, 2], InstanceNormalization: [1, 2], GroupNormalization: [1, 2],
  LayerNormalization: [1, 2], PRelu: [1], Gemm: [0, 1, 2], MatMul: [0, 1],
}; // biome-ignore format: a table

/** Inputs of which only initializers of one number a channel are weights: a bias or a scale on its own. */
const channelInputs: Readonly<Record<string, readonly number[]>> = { Add: [0, 1], Mul: [0, 1] };

const learns = (data: TensorData | undefined): boolean =>
  data?.type === "float32" || data?.type === "float16" || data?.type === "float64";

/** [C], [C, 1, 1], [1, C, 1, 1] and the like, C > 1. */
function perChannel(dims: readonly number[]): boolean {
  return elements(dims) > 1 && dims.filter((n) => n !== 1).length === 1 && dims.indexOf(elements(dims)) <= 1;
}

/**
 * The names of the constants that learn, in the order of their first use, and of the running statistics of batch normalisations.
 * Names that Identity nodes give them are resolved: a shared weight is listed once.
 */
export function roles(graph: Graph): { readonly parameters: readonly string[]; readonly statistics: readonly string[] } {
  const constants = constantsOf(graph);
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  const fixed = constantDerived(graph, constants);
  const statistics = new Set<string>();
  const parameters = new Set<string>();
  const origin = (name: string): string => {
    const node = producers.get(name);
    return node?.op === "Identity" && node.domain === "" && node.inputs[0] !== undefined ? origin(node.inputs[0]) : name;
  };
  for (const node of graph.nodes) {
    if (node.op !== "BatchNormalization" || node.domain !== "") continue;
    for (const name of node.inputs.slice(3, 5).map(origin)) if (constants.has(name)) statistics.add(name);
  }
  const seen = new Set<string>();
  /** Follows a weight back to the constants that it is made of. */
  const trace = (name: string, direct: boolean): void => {
    const source = origin(name);
    const data = constants.get(source);
    if (data !== undefined) {
      if (learns(data) && !statistics.has(source) && (direct || elements(data.dims) > 1)) parameters.add(source);
    } else if (fixed.has(source) && !seen.has(source)) {
      seen.add(source);
      for (const input of producers.get(source)?.inputs ?? []) if (input !== "") trace(input, false);
    }
  };
  for (const node of graph.nodes) {
    if (node.domain !== "") continue;
    for (const position of weightInputs[node.op] ?? []) {
      const name = node.inputs[position];
      if (name) trace(name, true);
    }
    for (const position of channelInputs[node.op] ?? []) {
      const name = node.inputs[position];
      const data = name === undefined ? undefined : graph.initializers.get(origin(name));
      if (name && data && perChannel(data.dims) && !node.inputs.every((input) => fixed.has(input))) trace(name, true);
    }
  }
  return { parameters: [...parameters], statistics: [...statistics] };
}

/** Names of constants and of everything that is computed from constants alone. */
function constantDerived(graph: Graph, constants: ReadonlyMap<string, TensorData>): ReadonlySet<string> {
  const fixed = new Set(constants.keys());
  for (const node of graph.nodes) {
    if (node.inputs.length > 0 && node.inputs.every((input) => input === "" || fixed.has(input))) {
      for (const output of node.outputs) fixed.add(output);
    }
  }
  return fixed;
}
