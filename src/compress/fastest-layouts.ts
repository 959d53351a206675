// The layouts of a network that is compressed already, chosen as the chain chooses those of a plan: each layer in each
// layout from the table of latencies, then the whole network against the dense layout, which is the original's speed.
import { canonicalLayout, type Layout, layouts } from "../basis/layouts.js";
import { FilterBasisError } from "../errors/error.js";
import { type BasisConv, basisConvs, layerName, windowAttributes } from "../graph/basis-conv.js";
import type { Dim, Graph } from "../graph/types.js";
import { fastest, type Timed, type TimedLayer } from "../methods/latencies.js";
import { chooseLayouts } from "../methods/layout.js";
import { attributesToJson } from "../methods/record.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { inferShapes } from "../ops/index.js";
import { findInputs } from "../runtime/index.js";
import type { NetworkTimes } from "../runtime/known-times.js";
import { openLatencyTable } from "../runtime/latency-table.js";
import { type JobHooks, type JobOptions, placeOf, withBar } from "./job.js";
import { networkKey } from "./network-key.js";
import { worthwhile } from "./pays.js";
import { timeNetworks } from "./time.js";

export type ChooseLayoutOptions = Pick<JobOptions, "inputs" | "runtime" | "threads" | "latencies">;

export interface LayerTiming {
  readonly name: string;
  /** By itself, in each layout; nothing where the sizes at which it runs are not known. */
  readonly milliseconds: Readonly<Partial<Record<Layout, number>>>;
  /** The layout that it has in the result. */
  readonly chosen: Layout;
}

export interface LayoutChoice {
  /** Every layer in its fastest layout where that pays in the whole network, else all of them dense. */
  readonly graph: Graph;
  readonly layers: readonly LayerTiming[];
  /** Of the whole network: dense, and every layer in its fastest layout. Absent where these are the same. */
  readonly times?: NetworkTimes;
}

/**
 * Times and rewrites; what was timed before is taken from the table.
 * @throws FilterBasisError `not-found` for a model that is not compressed; `interrupted`; what ONNX Runtime throws
 * @example
 * ```ts
 * import { basis, fastestLayouts, loadModel, saveModel } from "filterbasis";
 *
 * const { graph } = basis({ basis: 4, splits: 2 })(await loadModel("model.onnx"));
 * const choice = await fastestLayouts(graph, { threads: 1 });
 * for (const { name, chosen, milliseconds } of choice.layers) console.log(name, chosen, milliseconds);
 * await saveModel(choice.graph, "fast.onnx");
 * ```
 */
export async function fastestLayouts(
  graph: Graph,
  options: ChooseLayoutOptions = {},
  hooks: JobHooks = {},
): Promise<LayoutChoice> {
  const found = basisConvs(graph.nodes).map(({ layer }) => layer);
  if (found.length === 0)
    throw new FilterBasisError("not-found", "the model has no record of a compression", {
      field: "metadata.filterbasis",
    });
  const { runtime, threads, latencies: folder } = options;
  const { signal } = hooks;
  const place = placeOf(options, options.inputs ?? (await findInputs(graph)));
  const table = await openLatencyTable({
    ...(runtime === undefined ? {} : { runtime }),
    ...(threads === undefined ? {} : { threads }),
    ...(folder === undefined ? {} : { folder }),
  });
  const free = found.filter(({ provenance }) => provenance.partOf === undefined);
  const questions = questionsFor(graph, free, place.inputs.shapes);
  const asked = [...questions.values()].flatMap((byLayout) => [...byLayout.values()]);
  await withBar("timing layouts", hooks, (progress) =>
    table.measure(asked, { progress, ...(signal ? { signal } : {}) }),
  );
  const layers = free.map((layer): LayerTiming => {
    const timed = [...questions.get(layer)!].flatMap(([layout, question]): Timed[] => {
      const milliseconds = table.clock(question);
      return milliseconds === undefined ? [] : [{ layout, milliseconds }];
    });
    return {
      name: layerName(layer),
      milliseconds: Object.fromEntries(timed.map(({ layout, milliseconds }) => [layout, milliseconds])),
      chosen: fastest(timed)?.layout ?? layer.layout,
    };
  });
  const chosen = new Map(layers.map((timing, i) => [free[i]!.output, timing.chosen]));
  const mixture = chooseLayouts((layer) => chosen.get(layer.output) ?? layer.layout)(graph).graph;
  if (layers.every((timing) => timing.chosen === "dense")) return { graph: mixture, layers };
  const dense = chooseLayouts(() => "dense")(graph).graph;
  const times = await table.networks(networkKey([dense, mixture], place.inputs.shapes), async () => {
    const { original, written } = await timeNetworks(dense, mixture, place, hooks);
    return { original, written };
  });
  if (times.written <= worthwhile * times.original) return { graph: mixture, layers, times };
  return { graph: dense, layers: layers.map((timing) => ({ ...timing, chosen: "dense" })), times };
}

/** What the clock is asked of each layer, by layout; nothing where the size of its input is not known. */
function questionsFor(
  graph: Graph,
  layers: readonly BasisConv[],
  shapes: ReadonlyMap<string, readonly Dim[]>,
): ReadonlyMap<BasisConv, ReadonlyMap<Layout, TimedLayer>> {
  const inferred = inferShapes(graph, concreteInputs(graph, shapes));
  const opset = graph.opsets.get("") ?? 17;
  return new Map(
    layers.map((layer) => {
      const { splits, basisSize, outChannels, inChannels, kernel, basisBias } = layer;
      const { type = "float32", dims } = inferred.get(layer.input) ?? {};
      if (!dims?.every((dim) => typeof dim === "number" && dim > 0)) return [layer, new Map()];
      const attributes = attributesToJson(windowAttributes(layer.attributes));
      const common = { input: dims as number[], shape: [outChannels, inChannels, ...kernel], attributes, type, opset };
      const bias = basisBias === "" ? {} : { basisBias: true as const };
      const question = (layout: Layout): TimedLayer =>
        layout === "dense" ? common : { ...common, basis: { splits, basisSize, layout, ...bias } };
      const distinct = [...new Set(layouts.map((layout) => canonicalLayout(layout, splits)))];
      return [layer, new Map(distinct.map((layout) => [layout, question(layout)]))];
    }),
  );
}
