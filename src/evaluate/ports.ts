// Inputs and outputs of unknown rank, which ONNX Runtime shows like scalars, with the axes that the user stated.

import type { Dim, Graph } from "../graph/types.js";
import { inferShapes } from "../ops/infer.js";
import type { Port, Session } from "../runtime/session.js";

/**
 * The session with as many axes as `shapes` states for inputs of unknown rank; batch and pixels stay free, as they are
 * in such models.
 */
export function withStatedRanks(
  session: Session,
  graph: Graph,
  shapes: ReadonlyMap<string, readonly number[]>,
): Session {
  const unknown = new Set(graph.inputs.filter(({ tensor }) => tensor?.dims === undefined).map(({ name }) => name));
  const stated = new Map(
    [...shapes].filter(([name]) => unknown.has(name)).map(([name, dims]) => [name, freed(dims)] as const),
  );
  if (stated.size === 0) return session;
  const types = inferShapes(graph, stated);
  const port = (own: Port): Port => ({
    ...own,
    dims: own.dims.length > 0 ? own.dims : (types.get(own.name)?.dims ?? own.dims),
  });
  return { ...session, inputs: session.inputs.map(port), outputs: session.outputs.map(port) };
}

const freed = (dims: readonly number[]): readonly Dim[] => dims.map((size, axis) => (axis === 1 ? size : null));
