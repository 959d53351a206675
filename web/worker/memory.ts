// How much memory a network takes while it is planned and compressed, about: said before it begins.
import type { CalibratedLayer } from "../../src/calibrate/layers.js";
import { elements } from "../../src/graph/attributes.js";
import type { Graph, ValueType } from "../../src/graph/types.js";
import { momentBytes } from "./effort.js";

/** Bytes of the values that are there at once, at most, while the network runs: each until its last reader. */
function liveBytes(graph: Graph, shapes: ReadonlyMap<string, ValueType>): number {
  const last = new Map(graph.nodes.flatMap(({ inputs }, at) => inputs.map((name) => [name, at] as const)));
  const sizeOf = (name: string): number => {
    const dims = shapes.get(name)?.dims;
    return dims?.every((dim) => typeof dim === "number") ? 4 * elements(dims as number[]) : 0;
  };
  let [held, most] = [0, 0];
  for (const [at, { inputs, outputs }] of graph.nodes.entries()) {
    held += outputs.reduce((sum, name) => sum + sizeOf(name), 0);
    most = Math.max(most, held);
    for (const name of new Set(inputs))
      if (last.get(name) === at && !graph.initializers.has(name)) held -= sizeOf(name);
  }
  return most;
}

/** Copies of the weights: the file, the graph, two networks in WebAssembly, and what is written of each. */
const copies = 6;
/** Matrices of the widest layer's patch at once: its sums, what a batch adds to them, and its covariance twice. */
const matrices = 4;
/** Networks that are open at once, and what their outputs take beside them. */
const open = 3;

export interface Memory {
  /** Of it in WebAssembly: networks that are open, with their weights. */
  readonly runtime: number;
  readonly all: number;
}

export function memoryOf(
  bytes: number,
  graph: Graph,
  shapes: ReadonlyMap<string, ValueType>,
  layers: readonly CalibratedLayer[],
): Memory {
  const sizes = layers.map(({ weight }) => 8 * weight.cols ** 2);
  const sums = sizes.reduce((sum, size) => sum + size, 0);
  const moments = Math.min(2 * momentBytes, sums) + matrices * Math.max(0, ...sizes) + momentBytes;
  const live = open * liveBytes(graph, shapes);
  return { runtime: open * bytes + live, all: copies * bytes + live + moments };
}
