// Networks that only sharpen what was enlarged before: their output is as large as their input.
import type { Graph } from "../../src/graph/types.js";
import { inferShapes } from "../../src/ops/infer.js";

export function onlySharpens(graph: Graph, shapes: ReadonlyMap<string, readonly number[]>, input: string): boolean {
  const made = inferShapes(graph, shapes).get(graph.outputs[0]?.name ?? "")?.dims;
  return made !== undefined && made.at(-1) === shapes.get(input)?.at(-1);
}
