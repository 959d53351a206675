// Which layout each compressed layer is to have, by measurement: every distinct layer shape is timed in ONNX Runtime in
// each layout, between two neighbours as it has them in a network, since ONNX Runtime keeps its tensors in a blocked
// layout from convolution to convolution and a reshape costs it that. Then the whole model is timed with this mixture
// against the same layout everywhere and against the simplest.
//
// Layouts have an order of preference: dense, grouped, batch-folded, split, by the number of operators that run (1, 2,
// 4, 2 + s). The simplest that is allowed is taken unless another is faster by 2 % and by more than noise
// (`preferred`), and of several such that are alike the one that stands first. So what is returned is never slower than
// dense as measured, where dense is allowed; two runs differ only where the machine does. A layout that needs far more
// memory than the model itself is not tried.
import { canonicalLayout, type Layout, layouts } from "../basis/layouts.js";
import { FilterBasisError } from "../errors/error.js";
import type { Dim, Graph, TensorData } from "../graph/types.js";
import type { TimedLayer } from "../methods/latencies.js";
import { chooseLayouts, layerLabel } from "../methods/layout.js";
import { type LayerRecord, readRecord } from "../methods/record.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { timeInTurns } from "./compare-times.js";
import { median } from "./latency.js";
import { layerGraph } from "./layer-graph.js";
import { extraBytes, type LayerSize, type Probe, probeLayers } from "./layer-probe.js";
import { preferred } from "./paired.js";
import type { RuntimeName } from "./session.js";
import { trialFeeds } from "./trial-feeds.js";

export interface ChooseLayoutOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  /** Shapes that fix free axes. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  /** Values of inputs by name. */
  readonly values?: ReadonlyMap<string, TensorData>;
  /**
   * Rounds of alternation for a layer shape and for the whole model, where noise needs so many; not beyond `budget`
   * milliseconds.
   */
  readonly rounds?: number;
  readonly budget?: number;
  /**
   * The layouts that a layer may take (a budget in MACs forbids some); all by default. One without any keeps the layout
   * that it has.
   */
  readonly allowed?: (layer: LayerRecord) => readonly Layout[];
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

export interface LayerTiming {
  /** Layers of this shape. */
  readonly layers: readonly string[];
  /** Median milliseconds in each layout that was timed, with the neighbours; none where only one layout is allowed. */
  readonly milliseconds: Readonly<Partial<Record<Layout, number>>>;
  readonly chosen: Layout;
  /** Layouts that were not tried, and why. */
  readonly skipped: Readonly<Partial<Record<Layout, string>>>;
}

export interface LayoutChoice {
  readonly graph: Graph;
  readonly layers: readonly LayerTiming[];
  /**
   * Median milliseconds of the whole model: as chosen, and with one layout wherever it can be had (else the simplest).
   * A layout that is much slower by the layers alone is not timed in the whole model.
   */
  readonly model: Readonly<{ chosen: number } & Partial<Record<Layout, number>>>;
  /** What won: the mixture of the layers' best, or one layout everywhere. */
  readonly winner: "mixture" | Layout;
}

/** The order of preference. */
export const preference: readonly Layout[] = ["dense", "grouped", "batch-folded", "split"];

/** A layout whose layers together take this much longer than the simplest ones is not tried in the whole model. */
const hopeless = 1.25;
/** What a layout may need beyond half of what the model needs itself. */
const spareBytes = 2 ** 28;

/**
 * Times and rewrites. Errors: `not-found` for a model that is not compressed, what ONNX Runtime throws, `interrupted`.
 */
export async function fastestLayouts(graph: Graph, options: ChooseLayoutOptions = {}): Promise<LayoutChoice> {
  const recorded = readRecord(graph)?.layers ?? [];
  if (recorded.length === 0)
    throw new FilterBasisError("not-found", "the model has no record of a compression", {
      field: "metadata.filterbasis",
    });
  const shapes = concreteInputs(graph, options.inputs ?? new Map());
  const free = recorded.filter((layer) => !layer.basisOnly);
  const dense = chooseLayouts(() => "dense")(graph).graph;
  const groups = distinctLayers(free, await probeLayers(dense, { ...options, shapes }), options);
  const timed: TimedGroup[] = [];
  for (const group of groups) {
    timed.push({ ...group, ...(await timeLayer(group, graph.opsets.get("") ?? 17, options)) });
    options.progress?.(timed.length, groups.length + 1);
  }
  const whole = await timeWhole(graph, timed, shapes, options);
  options.progress?.(groups.length + 1, groups.length + 1);
  const layers = timed.map(({ alike, milliseconds, chosen, skipped }) => ({
    layers: alike.map(layerLabel),
    milliseconds,
    chosen,
    skipped,
  }));
  return { ...whole, layers };
}

interface LayerGroup {
  readonly size: LayerSize;
  readonly alike: readonly LayerRecord[];
  /** In order of preference. */
  readonly tried: readonly Layout[];
  readonly skipped: Readonly<Partial<Record<Layout, string>>>;
}

interface TimedGroup extends LayerGroup {
  readonly chosen: Layout;
  readonly milliseconds: Readonly<Partial<Record<Layout, number>>>;
}

/** Layers that take the same time in each layout, together. */
function distinctLayers(
  layers: readonly LayerRecord[],
  { sizes, runBytes }: Probe,
  { allowed = () => layouts }: ChooseLayoutOptions,
): readonly LayerGroup[] {
  const groups = new Map<string, LayerGroup & { alike: LayerRecord[] }>();
  for (const layer of layers) {
    const size = sizes.get(layer.output)!;
    const { tried, skipped } = layoutsToTry(layer, allowed(layer), size, spareBytes + runBytes / 2);
    const { splits, basisSize, shape, attributes, basisBias } = layer;
    const key = JSON.stringify([size, splits, basisSize, shape, attributes, basisBias !== undefined, tried]);
    const known = groups.get(key);
    if (known) known.alike.push(layer);
    else groups.set(key, { size, alike: [layer], tried, skipped });
  }
  return [...groups.values()];
}

/**
 * The allowed layouts in order of preference, less those that need more memory than there is; the one that needs least,
 * where all do.
 */
function layoutsToTry(layer: LayerRecord, allowed: readonly Layout[], size: LayerSize, bytes: number) {
  const stated = new Set(allowed.map((layout) => canonicalLayout(layout, layer.splits)));
  const ordered = preference.filter((layout) => stated.has(layout));
  const needs = (layout: Layout): number => extraBytes(layer, layout, size);
  const fitting = ordered.filter((layout) => needs(layout) <= bytes);
  const least = [...ordered].sort((a, b) => needs(a) - needs(b)).slice(0, 1);
  const tried = fitting.length > 0 ? fitting : least.length > 0 ? least : [layer.layout];
  const skipped = ordered.filter((layout) => !tried.includes(layout));
  const reason = (layout: Layout): string =>
    `it needs ${Math.round(needs(layout) / 2 ** 20)} MB more than the dense layout`;
  return { tried, skipped: Object.fromEntries(skipped.map((layout) => [layout, reason(layout)])) };
}

function timedLayer(
  { splits, basisSize, shape, attributes, basisBias }: LayerRecord,
  layout: Layout,
  input: readonly number[],
  opset: number,
): TimedLayer {
  const common = { input, shape, attributes, type: "float32", opset } as const;
  if (layout === "dense") return common;
  return { ...common, basis: { splits, basisSize, layout, ...(basisBias === undefined ? {} : { basisBias: true }) } };
}

async function timeLayer({ alike, size, tried }: LayerGroup, opset: number, options: ChooseLayoutOptions) {
  if (tried.length === 1) return { chosen: tried[0]!, milliseconds: {} };
  const graphs = tried.map((layout) => layerGraph(timedLayer(alike[0]!, layout, size.input, opset)));
  const { values: _, ...timing } = options;
  const { medians, index } = await timeGraphs(graphs, new Map([["x", size.input]]), timing);
  return { chosen: tried[index]!, milliseconds: Object.fromEntries(tried.map((layout, i) => [layout, medians[i]!])) };
}

/** The layouts that the groups' layers are to have, in the groups' order. */
type Assignment = readonly Layout[];

/**
 * The simplest, the mixture, and each layout wherever it can be had; each assignment that several of these mean is
 * timed once.
 */
async function timeWhole(
  graph: Graph,
  groups: readonly TimedGroup[],
  shapes: ReadonlyMap<string, readonly number[]>,
  options: ChooseLayoutOptions,
): Promise<Omit<LayoutChoice, "layers">> {
  const everywhere = (layout: Layout): Assignment =>
    groups.map(
      ({ alike, tried }) => tried.find((one) => one === canonicalLayout(layout, alike[0]!.splits)) ?? tried[0]!,
    );
  const expected = (assignment: Assignment): number =>
    assignment.reduce((sum, layout, i) => sum + groups[i]!.alike.length * (groups[i]!.milliseconds[layout] ?? 0), 0);
  const simplest = groups.map(({ tried }) => tried[0]!);
  const promising = preference.map(everywhere).filter((one) => expected(one) <= hopeless * expected(simplest));
  const all = [simplest, groups.map(({ chosen }) => chosen), ...promising];
  const distinct = [...new Map(all.map((one) => [one.join(), one])).values()];
  const graphs = distinct.map((one) => assigned(graph, groups, one));
  const { medians, index } = await timeGraphs(graphs, shapes, options);
  const place = (layout: Layout): number => distinct.findIndex((one) => one.join() === everywhere(layout).join());
  const times = layouts.flatMap((layout) => (place(layout) < 0 ? [] : [[layout, medians[place(layout)]!]]));
  return {
    graph: graphs[index]!,
    model: { chosen: medians[index]!, ...Object.fromEntries(times) },
    winner: preference.find((layout) => place(layout) === index) ?? "mixture",
  };
}

function assigned(graph: Graph, groups: readonly LayerGroup[], assignment: Assignment): Graph {
  const of = new Map(groups.flatMap(({ alike }, i) => alike.map((layer) => [layer.output, assignment[i]!] as const)));
  return chooseLayouts((layer) => of.get(layer.output) ?? layer.layout)(graph).graph;
}

/** Times graphs of the same inputs, given in order of preference, until it is clear which one is to be taken. */
async function timeGraphs(
  graphs: readonly Graph[],
  shapes: ReadonlyMap<string, readonly number[]>,
  { runtime, threads, values, rounds = 15, budget = 5000, signal }: ChooseLayoutOptions,
): Promise<{ readonly medians: readonly number[]; readonly index: number }> {
  const models = graphs.map((model, i) => ({ name: String(i), model }));
  const given = { shapes, ...(values === undefined ? {} : { values }) };
  const { samples } = await timeInTurns(models, (inputs) => trialFeeds(inputs, "uniform 0..1", given), {
    rounds,
    budget,
    patience: 4 * budget,
    burst: 5,
    enough: (soFar) => preferred(soFar).settled,
    ...(runtime === undefined ? {} : { runtime }),
    ...(threads === undefined ? {} : { threads }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { medians: samples.map(median), index: preferred(samples).index };
}
