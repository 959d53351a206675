// A piece of a graph: from values that are known to values that are wanted, as a graph of its own.
import { dependents, reads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import { feeds } from "../graph/index.js";
import type { Dim, Graph, GraphBody, Node, TensorData, Value, ValueType } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";
import type { Engine, Values } from "./engine.js";

/** Types of values where they are known, by name. */
export type Types = ReadonlyMap<string, ValueType>;

export const typesOf = (graph: Graph): Types => inferShapes(graph);

/** A batch is as large as it is, whatever the file states. */
export function inferred(graph: Graph, dims: ReadonlyMap<string, readonly number[]>): Types {
  const inputs = graph.inputs.map((value) =>
    value.tensor !== undefined && dims.has(value.name)
      ? { name: value.name, tensor: { type: value.tensor.type, dims: dims.get(value.name)! } }
      : value,
  );
  return typesOf({ ...graph, inputs });
}

/** The nodes between `known` and `wanted` (inputs of the graph are known too), with those inputs and outputs. */
export function segment(graph: Graph, known: ReadonlySet<string>, wanted: readonly string[], types: Types): Graph {
  const made = indexOf(graph).producers;
  const needed = new Set<Node>();
  const read = new Set<string>();
  const open = [...wanted];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (read.has(name)) continue;
    read.add(name);
    const node = known.has(name) ? undefined : made.get(name);
    if (node === undefined || needed.has(node)) continue;
    needed.add(node);
    open.push(...reads(node));
  }
  const fed = [...feeds(graph).map(({ name }) => name), ...known].filter((name) => read.has(name));
  const value = (name: string): Value => port(graph, name, types);
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => needed.has(node)),
    initializers: only(graph.initializers, read),
    ...(graph.sparseInitializers && { sparseInitializers: only(graph.sparseInitializers, read) }),
    inputs: [...new Set(fed)].map(value),
    outputs: [...new Set(wanted)].map(value),
    values: new Map(),
    metadata: new Map(),
  };
}

const only = <T>(map: ReadonlyMap<string, T>, names: ReadonlySet<string>): ReadonlyMap<string, T> =>
  new Map([...map].filter(([name]) => names.has(name)));

/**
 * A port for a value: an input of the graph as it stands, another one with its type and as many free axes as it has.
 */
function port(graph: Graph, name: string, types: Types): Value {
  const input = feeds(graph).find((value) => value.name === name);
  if (input !== undefined) return input;
  const { type = "float32", dims } = types.get(name) ?? {};
  const free = dims?.map((_, axis): Dim => `${name}_${axis}`);
  return { name, tensor: free === undefined ? { type } : { type, dims: free } };
}

/** Values of a graph, computed batch by batch from inputs and known values. */
export interface Tap {
  /** Whether inputs of the graph are read: where they are not, nothing need be fed. */
  readonly readsInputs: boolean;
  /** @param known the values that the tap was opened with */
  run(fed: Values, known: Values): Promise<Values>;
  close(): Promise<void>;
}

/** Opens the piece of a graph that computes the wanted values. Those that are known or inputs are handed through. */
export async function openTap(
  engine: Engine,
  graph: Graph,
  known: ReadonlySet<string>,
  wanted: readonly string[],
  types: Types,
): Promise<Tap> {
  const inputs = new Set(feeds(graph).map(({ name }) => name));
  const given = wanted.filter((name) => known.has(name) || inputs.has(name));
  const computed = wanted.filter((name) => !given.includes(name));
  const piece = segment(graph, known, computed, types);
  const session = computed.length === 0 ? undefined : await engine.open(piece);
  const names = [...piece.inputs.map(({ name }) => name), ...given];
  return {
    readsInputs: names.some((name) => inputs.has(name)),
    async run(fed, values) {
      const all: Values = { ...fed, ...values };
      const read = Object.fromEntries(piece.inputs.map(({ name }) => [name, all[name]!]));
      const results = session === undefined ? {} : await session.run(read);
      return { ...results, ...Object.fromEntries(given.map((name) => [name, all[name]!])) };
    },
    async close() {
      await session?.close();
    },
  };
}

/**
 * The values that the nodes from `position` on read of what the nodes before it compute from inputs, so that these need
 * not run again; undefined where one of them is no float tensor (a shape, say) and would have to be fed as one.
 */
export function liveAt(
  graph: GraphBody,
  position: number,
  moving: ReadonlySet<string>,
  types: Types,
): readonly string[] | undefined {
  const before = new Set(graph.nodes.slice(0, position).flatMap((node) => node.outputs));
  const live = new Set<string>();
  for (const node of graph.nodes.slice(position))
    for (const name of reads(node)) if (before.has(name) && moving.has(name)) live.add(name);
  const names = [...live];
  return names.every((name) => isFloat(types.get(name)?.type ?? "int64")) ? names : undefined;
}

/** The values that depend on an input of the graph. */
export const movingValues = (graph: GraphBody): ReadonlySet<string> =>
  dependents(
    graph,
    feeds(graph).map(({ name }) => name),
  );

export const bytesOf = (values: Values): number =>
  Object.values(values).reduce((sum, { data }: TensorData) => sum + data.byteLength, 0);
