// What timing layers needs to know of a model before: the sizes at which each compressed layer works, and the memory of
// a run. Both are seen in one run of the model where its shapes cannot be told without.
import type { Layout } from "../basis/layouts.js";
import { elements, makeNode } from "../graph/attributes.js";
import { basisConvs } from "../graph/basis-conv.js";
import { freshNames } from "../graph/edit.js";
import type { Graph, Node, TensorData, Value } from "../graph/types.js";
import { ints } from "../graph/values.js";
import type { LayerRecord } from "../methods/record.js";
import { inferShapes } from "../ops/infer.js";
import { openSession } from "./open.js";
import type { SessionOptions } from "./session.js";
import { trialFeeds } from "./trial-feeds.js";

/** [N, c, h, w] and [N, n, h', w']. */
export interface LayerSize {
  readonly input: readonly number[];
  readonly output: readonly number[];
}

export interface Probe {
  /** By the layer's output. */
  readonly sizes: ReadonlyMap<string, LayerSize>;
  /** What a run of the model took. */
  readonly runBytes: number;
}

export interface ProbeOptions extends Pick<SessionOptions, "runtime" | "threads"> {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly values?: ReadonlyMap<string, TensorData>;
  /** Bytes that this process occupies. */
  readonly memory?: () => number;
}

/**
 * Runs a compressed model once.
 * @throws FilterBasisError what opening and running throw
 */
export async function probeLayers(graph: Graph, options: ProbeOptions): Promise<Probe> {
  const { shapes, values, memory = residentBytes, ...session } = options;
  const inferred = inferShapes(graph, shapes);
  const known = (name: string): readonly number[] | undefined => {
    const dims = inferred.get(name)?.dims;
    return dims?.every((dim) => typeof dim === "number" && dim > 0) ? (dims as readonly number[]) : undefined;
  };
  const ends = basisConvs(graph.nodes).flatMap(({ layer }) => (layer.provenance.partOf ? [] : [layer]));
  const asked = [...new Set(ends.flatMap(({ input, output }) => [input, output]))].filter(
    (name) => known(name) === undefined,
  );
  const { asking, outputs } = withShapes(graph, asked);
  const before = memory();
  const open = await openSession(asking, session);
  try {
    const run = await open.run(
      trialFeeds(open.inputs, "uniform 0..1", { shapes, ...(values === undefined ? {} : { values }) }),
    );
    const runBytes = Math.max(0, memory() - before);
    const size = (name: string): readonly number[] => known(name) ?? ints(run[outputs.get(name)!]!);
    const sizes = ends.map(({ input, output }) => [output, { input: size(input), output: size(output) }] as const);
    return { sizes: new Map(sizes), runBytes };
  } finally {
    await open.release();
  }
}

/** The graph with the shapes of the named values among its outputs, and what these are called. */
function withShapes(graph: Graph, names: readonly string[]) {
  const fresh = freshNames(graph);
  const outputs = new Map(names.map((name) => [name, fresh("shape")]));
  const nodes = [...outputs].map(([name, shape]): Node => makeNode("Shape", [name], [shape]));
  const values = [...outputs.values()].map((name): Value => ({ name, tensor: { type: "int64" } }));
  return { asking: { ...graph, nodes: [...graph.nodes, ...nodes], outputs: [...graph.outputs, ...values] }, outputs };
}

/**
 * Bytes that a layout of the layer needs beyond the dense one: what the convolution over the basis makes for all
 * splits, and once more for the copy that puts it together or into another order.
 */
export function extraBytes({ splits, basisSize }: LayerRecord, layout: Layout, { output }: LayerSize): number {
  if (layout === "dense") return 0;
  const pixels = output[0]! * elements(output.slice(2));
  const middle = 4 * pixels * splits * basisSize;
  return splits === 1 ? middle : 2 * middle;
}

const residentBytes = (): number => globalThis.process?.memoryUsage?.rss?.() ?? 0;
