// How many inputs a network takes at once: as many as its file fixes; else several, unless its shapes say that it takes
// them one by one.
import { isError } from "../errors/error.js";
import { dependents, feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { inferShapes } from "../ops/infer.js";

type Shapes = ReadonlyMap<string, readonly number[]>;

export interface InputBatch {
  /** Inputs that the network takes at once, where that is not free. */
  readonly fixed: number | undefined;
  /** The other inputs that have a place for each of the inputs on their first axis. */
  readonly along: readonly string[];
}

/**
 * Whether inputs can go in together. A first axis that is free in the file may still be meant for one: a Reshape to
 * [1, ...] behind it says so.
 * @param input - that the data goes into; @param shapes - at which the network runs
 */
export function inputBatch(graph: Graph, input: string, shapes: Shapes): InputBatch {
  const first = new Map(feeds(graph).map(({ name, tensor }) => [name, tensor?.dims?.[0]]));
  const own = first.get(input);
  if (typeof own === "number" && own > 0) return { fixed: own, along: [] };
  if (typeof own === "string" && inLaterAxis(graph, input, own)) return { fixed: 1, along: [] };
  const others = [...first].filter(
    ([name, dim]) => name !== input && typeof dim !== "number" && (shapes.get(name)?.length ?? 0) > 0,
  );
  const alike = others.filter(([, dim]) => typeof dim === "string" && dim === own);
  for (const some of [alike, others]) {
    const along = some.map(([name]) => name);
    if (takes(graph, [input, ...along], shapes)) return { fixed: undefined, along };
  }
  return { fixed: 1, along: [] };
}

/** A state that has the batch behind its first axis: inputs of it cannot be put one behind the other. */
const inLaterAxis = (graph: Graph, input: string, batch: string): boolean =>
  feeds(graph).some(({ name, tensor }) => name !== input && tensor?.dims?.slice(1).includes(batch));

/**
 * Whether two inputs at once make two of every output of floats that depends on them, by the shapes. What cannot be
 * inferred is believed.
 */
function takes(graph: Graph, names: readonly string[], shapes: Shapes): boolean {
  const sized = (count: number): Shapes =>
    new Map([...shapes].map(([name, dims]) => [name, names.includes(name) ? [count, ...dims.slice(1)] : dims]));
  const [one, two] = [outputsAt(graph, sized(1)), outputsAt(graph, sized(2))];
  if (one === undefined) return true;
  if (two === undefined) return false;
  const moving = dependents(graph, names);
  return one.every((type, at) => {
    const [dims, other] = [type?.dims, two[at]?.dims];
    const known = dims?.every(isNumber) && other?.every(isNumber);
    if (!known || !isFloat(type!.type) || !moving.has(graph.outputs[at]!.name)) return true;
    return dims.length > 0 && [2 * dims[0]!, ...dims.slice(1)].join() === other.join();
  });
}

const isNumber = (dim: unknown): dim is number => typeof dim === "number";

function outputsAt(graph: Graph, shapes: Shapes) {
  try {
    const types = inferShapes(graph, shapes);
    return graph.outputs.map(({ name }) => types.get(name));
  } catch (error) {
    if (isError(error)) return undefined;
    throw error;
  }
}
