// Which constants of a graph are parameters that learn, and which are running statistics.
import { elements } from "../graph/attributes.js";
import { constantOf } from "../graph/constants.js";
import { producersOf } from "../graph/graph-index.js";
import type { Node, TensorData } from "../graph/types.js";
import { placesOf } from "../ops/operator.js";
import { operatorOf } from "../ops/table.js";

/** True for nodes of the standard domain, and of the given operator where one is given. */
export const isStandard = (node: Node, op?: string): boolean =>
  (node.domain === "" || node.domain === "ai.onnx") && (op === undefined || node.op === op);

/**
 * The constants of a graph by name: initializers, and the tensors of Constant nodes by their output (those of functions
 * too).
 */
export function constantsOf(
  initializers: ReadonlyMap<string, TensorData>,
  nodes: readonly Node[],
): Map<string, TensorData> {
  const constants = new Map(initializers);
  for (const node of nodes) {
    const value = isStandard(node, "Constant") ? constantOf(node) : undefined;
    if (value !== undefined && node.outputs[0]) constants.set(node.outputs[0], value);
  }
  return constants;
}

const learns = (data: TensorData | undefined): boolean =>
  data?.type === "float32" || data?.type === "float16" || data?.type === "float64";

/** [C], [C, 1, 1], [1, C, 1, 1] and the like, C > 1. */
function perChannel(dims: readonly number[]): boolean {
  return elements(dims) > 1 && dims.filter((n) => n !== 1).length === 1 && dims.indexOf(elements(dims)) <= 1;
}

export interface Roles {
  readonly parameters: readonly string[];
  readonly statistics: readonly string[];
}

/**
 * The names of the constants that learn, in the order of their first use, and of the running statistics of batch
 * normalisations. Names that Identity nodes give them are resolved: a shared weight is listed once.
 */
export function roles(
  nodes: readonly Node[],
  constants: ReadonlyMap<string, TensorData>,
  initializers: ReadonlyMap<string, TensorData>,
): Roles {
  const producers = producersOf(nodes);
  const fixed = constantDerived(nodes, constants);
  const statistics = new Set<string>();
  const parameters = new Set<string>();
  const origin = (name: string): string => {
    let current = name;
    for (
      let node = producers.get(current);
      node !== undefined && isStandard(node, "Identity");
      node = producers.get(current)
    ) {
      current = node.inputs[0] ?? "";
    }
    return current;
  };
  for (const node of nodes) {
    for (const place of placesOf(operatorOf(node), "mean", "variance")) {
      const name = origin(node.inputs[place] ?? "");
      if (constants.has(name)) statistics.add(name);
    }
  }
  const seen = new Set<string>();
  /**
   * Follows a weight back to the constants that it is made of; among those, lone numbers are factors and do not learn.
   */
  const trace = (weight: string): void => {
    const open = [origin(weight)];
    const direct = open[0];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const data = constants.get(name);
      if (data !== undefined) {
        if (learns(data) && !statistics.has(name) && (name === direct || elements(data.dims) > 1)) parameters.add(name);
      } else if (fixed.has(name) && !seen.has(name)) {
        seen.add(name);
        for (const input of producers.get(name)?.inputs ?? []) if (input !== "") open.push(origin(input));
      }
    }
  };
  for (const node of nodes) {
    const operator = operatorOf(node);
    for (const place of placesOf(operator, "weight", "factor", "bias", "scale", "shift", "slope")) {
      const name = node.inputs[place];
      if (name) trace(name);
    }
    // a bias or a scale on its own
    for (const place of placesOf(operator, "per-channel")) {
      const name = node.inputs[place];
      const data = name ? initializers.get(origin(name)) : undefined;
      if (name && data && perChannel(data.dims) && !node.inputs.every((input) => fixed.has(input))) trace(name);
    }
  }
  return { parameters: [...parameters], statistics: [...statistics] };
}

/** Names of constants and of everything that is computed from constants alone. */
function constantDerived(nodes: readonly Node[], constants: ReadonlyMap<string, TensorData>): ReadonlySet<string> {
  const fixed = new Set(constants.keys());
  for (const node of nodes) {
    if (node.inputs.length > 0 && node.inputs.every((input) => input === "" || fixed.has(input))) {
      for (const output of node.outputs) fixed.add(output);
    }
  }
  return fixed;
}
