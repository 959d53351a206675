// What a plan knows of measured time: the questions that it has for a clock, and the answers by layer, splits, basis
// size and layout. Who asks a runtime, and where answers are kept, is not its business (see
// runtime/latency-table.ts).
import type { Layout } from "../basis/layouts.js";
import { canonicalLayout, layouts } from "../basis/layouts.js";
import { basisMacs } from "../basis/split.js";
import { windowAttributes } from "../graph/basis-conv.js";
import type { DataType, Dim, Graph } from "../graph/types.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/infer.js";
import type { Layer } from "./layers.js";
import { attributesToJson, type LayerRecord } from "./record.js";

/** One layer as it is to be timed: everything that its time depends on, as plain data. */
export interface TimedLayer {
  /** [N, c, ...] */
  readonly input: readonly number[];
  /** [n, c, ...] of the original filters. */
  readonly shape: readonly number[];
  readonly attributes: LayerRecord["attributes"];
  readonly type: DataType;
  readonly opset: number;
  /** Absent: the layer as it is. */
  readonly basis?: {
    readonly splits: number;
    readonly basisSize: number;
    readonly layout: Exclude<Layout, "dense">;
    /** Where the basis has a bias of its own. */
    readonly basisBias?: true;
  };
  /** Convolutions that stand in the layer's place, one behind the other: their weights' shapes and attributes. */
  readonly chain?: readonly Pick<TimedLayer, "shape" | "attributes">[];
  /** In eight bits, its neighbours too; absent: in floats. */
  readonly precision?: "int8";
}

/** Milliseconds of a timed layer, between neighbours as a network has them; undefined where it was not measured. */
export type Clock = (layer: TimedLayer) => number | undefined;

export interface Timed {
  readonly layout: Layout;
  readonly milliseconds: number;
}

/** Times of the layers of one graph. */
export interface Latencies {
  /** A layer as it is, over all its nodes. */
  original(layer: Layer): number | undefined;
  /** The fastest layout of those allowed; basis sizes between two measured ones are interpolated. */
  basis(layer: Layer, splits: number, basisSize: number): Timed | undefined;
}

/**
 * Basis sizes that are worth timing: a vector register's worth each, since runtimes pad channels to whole registers.
 */
export const step = 16;

/** Layouts that keep the saved multiply-accumulates. */
export const savingLayouts = layouts.filter((layout): layout is Exclude<Layout, "dense"> => layout !== "dense");

/** Of two layouts that take equally long, within this factor, the first in the list is taken. */
const indifference = 0.97;
const preference: readonly Layout[] = ["dense", "split", "batch-folded", "grouped"];

/** Sizes of the inputs of a layer's nodes; undefined where one is not known. */
export type InputSizes = (layer: Layer) => readonly (readonly number[])[] | undefined;

/** The sizes at which a graph's layers run. */
export function inputSizes(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]> = new Map()): InputSizes {
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  return ({ nodes }) => {
    const sizes = nodes.map(({ node }) => shapes.get(node.inputs[0] ?? "")?.dims);
    const known = (dims: readonly Dim[] | undefined) => dims?.every((dim) => typeof dim === "number" && dim > 0);
    return sizes.every(known) ? (sizes as number[][]) : undefined;
  };
}

/** What a clock is asked about one layer: its nodes, as they are or over a basis. */
export function questionsOf(
  layer: Layer,
  sizes: InputSizes,
  opset: number,
  basis?: { readonly splits: number; readonly basisSize: number; readonly layout: Layout },
): readonly TimedLayer[] | undefined {
  const inputs = sizes(layer);
  if (!inputs) return undefined;
  const shape = [layer.outChannels, layer.inChannels, ...layer.kernel];
  const common = { shape, type: layer.type, opset };
  const { splits = 1, basisSize = 1, layout = "dense" } = basis ?? {};
  const written = canonicalLayout(layout, splits);
  const over = written === "dense" ? {} : { basis: { splits, basisSize, layout: written } };
  return inputs.map((input, i) => {
    const attributes = attributesToJson(windowAttributes(layer.nodes[i]!.node.attributes));
    return { input, attributes, ...common, ...over };
  });
}

/**
 * Sizes of a basis that are timed for one layer and one number of splits: multiples of a step, wide apart, below
 * what saves nothing.
 */
export function timedSizes(layer: Layer, splits: number): readonly number[] {
  const limit = Math.min(layer.outChannels * splits, (layer.inChannels / splits) * layer.kernelElements);
  const perFilter = basisMacs(layer, splits, 1);
  const even = (layer.outChannels * layer.inChannels * layer.kernelElements) / perFilter;
  const most = Math.ceil(Math.min(limit, even)) - 1;
  const fine = [4, 8].filter((size) => size <= most);
  const coarse: number[] = [];
  for (let size = step; size <= most; size += size < 4 * step ? step : size < 8 * step ? 2 * step : 4 * step)
    coarse.push(size);
  return [...(most < 2 * step ? fine : fine.slice(1)), ...coarse];
}

export interface LatencyOptions {
  /** The layouts allowed; by default those that keep the saved multiply-accumulates. */
  readonly layouts?: readonly Layout[];
  /**
   * Whether sizes that were timed besides those of `timedSizes` count too. Not while a plan is solved: what an
   * earlier plan had timed would change the next one.
   */
  readonly exact?: boolean;
}

/** Answers from a clock, for one graph. */
export function latenciesOf(
  clock: Clock,
  sizes: InputSizes,
  opset: number,
  { layouts = savingLayouts, exact = false }: LatencyOptions = {},
): Latencies {
  const total = (questions: readonly TimedLayer[] | undefined): number | undefined => {
    let sum = 0;
    for (const question of questions ?? []) {
      const answer = clock(question);
      if (answer === undefined) return undefined;
      sum += answer;
    }
    return questions && sum;
  };
  const at = (layer: Layer, splits: number, basisSize: number, layout: Layout) =>
    total(questionsOf(layer, sizes, opset, { splits, basisSize, layout }));
  const original = (layer: Layer) => total(questionsOf(layer, sizes, opset));
  return {
    original,
    basis(layer, splits, basisSize) {
      const distinct = [...new Set(layouts.map((layout) => canonicalLayout(layout, splits)))];
      const timed = distinct.flatMap((layout): Timed[] => {
        const milliseconds =
          layout === "dense"
            ? original(layer)
            : ((exact ? at(layer, splits, basisSize, layout) : undefined) ??
              interpolated((size) => at(layer, splits, size, layout), layer, splits, basisSize));
        return milliseconds === undefined ? [] : [{ layout, milliseconds }];
      });
      return fastest(timed);
    },
  };
}

/** The first of the preferred ones that no other beats clearly. */
export function fastest(timed: readonly Timed[]): Timed | undefined {
  const least = Math.min(...timed.map(({ milliseconds }) => milliseconds));
  const good = timed.filter(({ milliseconds }) => milliseconds * indifference <= least);
  return [...good].sort((a, b) => preference.indexOf(a.layout) - preference.indexOf(b.layout))[0];
}

/** Linear between the measured sizes around; sizes that are no multiple of a step cost what the next multiple does. */
function interpolated(
  at: (size: number) => number | undefined,
  layer: Layer,
  splits: number,
  basisSize: number,
): number | undefined {
  const known = timedSizes(layer, splits).flatMap((size) => {
    const milliseconds = at(size);
    return milliseconds === undefined ? [] : [{ size, milliseconds }];
  });
  const wanted = basisSize > step ? Math.ceil(basisSize / step) * step : basisSize;
  const above = known.find(({ size }) => size >= wanted);
  const below = known.findLast(({ size }) => size <= wanted);
  if (!above || above.size === wanted) return above?.milliseconds;
  if (!below) return above.milliseconds;
  return (
    below.milliseconds + ((wanted - below.size) / (above.size - below.size)) * (above.milliseconds - below.milliseconds)
  );
}
