// Which form each compressed layer is to have, by measurement: every distinct layer shape is timed in ONNX Runtime in each
// form, between two neighbours as it has them in a network, since ONNX Runtime keeps its tensors in a blocked layout from
// convolution to convolution and a reshape costs it that. Then the whole model is timed with this mixture against the same
// form everywhere and against the simplest.
//
// Forms have an order of preference: dense, grouped, folded, separate, by the number of operators that run (1, 2, 4, 2 + s). The simplest
// that is allowed is taken unless another is faster by 2 % and by more than noise (`preferred`), and of several such that are alike the one
// that stands first. So what is returned is never slower than dense as measured, where dense is allowed; two runs differ only where the
// machine does. A form that needs far more memory than the model itself is not tried.
import { canonicalForm, type Form, forms } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import type { Dim, Graph, TensorData } from "../graph/types.js";
import { chooseForms, siteLabel } from "../methods/form.js";
import type { TimedLayer } from "../methods/latencies.js";
import { readRecord, type SiteRecord } from "../methods/record.js";
import { concreteInputs } from "../ops/cost/cost.js";
import { timeInTurns } from "./compare-times.js";
import { median } from "./latency.js";
import { layerGraph } from "./layer-graph.js";
import { extraBytes, type LayerSize, type Probe, probeLayers } from "./layer-probe.js";
import { preferred } from "./paired.js";
import type { RuntimeName } from "./session.js";
import { trialFeeds } from "./trial-feeds.js";

export interface ChooseFormOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  /** Shapes that fix free axes. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  /** Values of inputs by name. */
  readonly values?: ReadonlyMap<string, TensorData>;
  /** Rounds of alternation for a layer shape and for the whole model, where noise needs so many; not beyond `budget` milliseconds. */
  readonly rounds?: number;
  readonly budget?: number;
  /** The forms that a layer may take (a budget in MACs forbids some); all by default. One without any keeps the form that it has. */
  readonly allowed?: (layer: SiteRecord) => readonly Form[];
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

export interface LayerTiming {
  /** Layers of this shape. */
  readonly layers: readonly string[];
  /** Median milliseconds in each form that was timed, with the neighbours; none where only one form is allowed. */
  readonly milliseconds: Readonly<Partial<Record<Form, number>>>;
  readonly chosen: Form;
  /** Forms that were not tried, and why. */
  readonly skipped: Readonly<Partial<Record<Form, string>>>;
}

export interface FormChoice {
  readonly graph: Graph;
  readonly layers: readonly LayerTiming[];
  /**
   * Median milliseconds of the whole model: as chosen, and with one form wherever it can be had (else the simplest). A form that is much slower by
   * the layers alone is not timed in the whole model.
   */
  readonly model: Readonly<{ chosen: number } & Partial<Record<Form, number>>>;
  /** What won: the mixture of the layers' best, or one form everywhere. */
  readonly winner: "mixture" | Form;
}

/** The order of preference. */
export const preference: readonly Form[] = ["dense", "grouped", "folded", "separate"];

/** A form whose layers together take this much longer than the simplest ones is not tried in the whole model. */
const hopeless = 1.25;
/** What a form may need beyond half of what the model needs itself. */
const spareBytes = 2 ** 28;

/** Times and rewrites. Errors: `not-found` for a model that is not compressed, what ONNX Runtime throws, `interrupted`. */
export async function fastestForms(graph: Graph, options: ChooseFormOptions = {}): Promise<FormChoice> {
  const sites = readRecord(graph)?.sites ?? [];
  if (sites.length === 0)
    throw new FilterBasisError("not-found", "the model has no record of a compression", { field: "metadata.filterbasis" });
  const shapes = concreteInputs(graph, options.inputs ?? new Map());
  const free = sites.filter((site) => !site.between);
  const dense = chooseForms(() => "dense")(graph).graph;
  const groups = distinctLayers(free, await probeLayers(dense, { ...options, shapes }), options);
  const timed: TimedGroup[] = [];
  for (const group of groups) {
    timed.push({ ...group, ...(await timeLayer(group, graph.opsets.get("") ?? 17, options)) });
    options.progress?.(timed.length, groups.length + 1);
  }
  const whole = await timeWhole(graph, timed, shapes, options);
  options.progress?.(groups.length + 1, groups.length + 1);
  const layers = timed.map(({ alike, milliseconds, chosen, skipped }) => ({
    layers: alike.map(siteLabel),
    milliseconds,
    chosen,
    skipped,
  }));
  return { ...whole, layers };
}

interface LayerGroup {
  readonly size: LayerSize;
  readonly alike: readonly SiteRecord[];
  /** In order of preference. */
  readonly tried: readonly Form[];
  readonly skipped: Readonly<Partial<Record<Form, string>>>;
}

interface TimedGroup extends LayerGroup {
  readonly chosen: Form;
  readonly milliseconds: Readonly<Partial<Record<Form, number>>>;
}

/** Layers that take the same time in each form, together. */
function distinctLayers(
  sites: readonly SiteRecord[],
  { sizes, runBytes }: Probe,
  { allowed = () => forms }: ChooseFormOptions,
): readonly LayerGroup[] {
  const groups = new Map<string, LayerGroup & { alike: SiteRecord[] }>();
  for (const site of sites) {
    const size = sizes.get(site.output)!;
    const { tried, skipped } = formsToTry(site, allowed(site), size, spareBytes + runBytes / 2);
    const { splits, basisSize, shape, attributes, basisBias } = site;
    const key = JSON.stringify([size, splits, basisSize, shape, attributes, basisBias !== undefined, tried]);
    const known = groups.get(key);
    if (known) known.alike.push(site);
    else groups.set(key, { size, alike: [site], tried, skipped });
  }
  return [...groups.values()];
}

/** The allowed forms in order of preference, less those that need more memory than there is; the one that needs least, where all do. */
function formsToTry(site: SiteRecord, allowed: readonly Form[], size: LayerSize, bytes: number) {
  const stated = new Set(allowed.map((form) => canonicalForm(form, site.splits)));
  const ordered = preference.filter((form) => stated.has(form));
  const needs = (form: Form): number => extraBytes(site, form, size);
  const fitting = ordered.filter((form) => needs(form) <= bytes);
  const least = [...ordered].sort((a, b) => needs(a) - needs(b)).slice(0, 1);
  const tried = fitting.length > 0 ? fitting : least.length > 0 ? least : [site.form];
  const skipped = ordered.filter((form) => !tried.includes(form));
  const reason = (form: Form): string => `it needs ${Math.round(needs(form) / 2 ** 20)} MB more than the dense form`;
  return { tried, skipped: Object.fromEntries(skipped.map((form) => [form, reason(form)])) };
}

function timedLayer(
  { splits, basisSize, shape, attributes, basisBias }: SiteRecord,
  form: Form,
  input: readonly number[],
  opset: number,
): TimedLayer {
  const common = { input, shape, attributes, type: "float32", opset } as const;
  if (form === "dense") return common;
  return { ...common, basis: { splits, basisSize, layout: form, ...(basisBias === undefined ? {} : { basisBias: true }) } };
}

async function timeLayer({ alike, size, tried }: LayerGroup, opset: number, options: ChooseFormOptions) {
  if (tried.length === 1) return { chosen: tried[0]!, milliseconds: {} };
  const graphs = tried.map((form) => layerGraph(timedLayer(alike[0]!, form, size.input, opset)));
  const { values: _, ...timing } = options;
  const { medians, index } = await timeGraphs(graphs, new Map([["x", size.input]]), timing);
  return { chosen: tried[index]!, milliseconds: Object.fromEntries(tried.map((form, i) => [form, medians[i]!])) };
}

/** The forms that the groups' layers are to have, in the groups' order. */
type Assignment = readonly Form[];

/** The simplest, the mixture, and each form wherever it can be had; each assignment that several of these mean is timed once. */
async function timeWhole(
  graph: Graph,
  groups: readonly TimedGroup[],
  shapes: ReadonlyMap<string, readonly number[]>,
  options: ChooseFormOptions,
): Promise<Omit<FormChoice, "layers">> {
  const everywhere = (form: Form): Assignment =>
    groups.map(({ alike, tried }) => tried.find((one) => one === canonicalForm(form, alike[0]!.splits)) ?? tried[0]!);
  const expected = (assignment: Assignment): number =>
    assignment.reduce((sum, form, i) => sum + groups[i]!.alike.length * (groups[i]!.milliseconds[form] ?? 0), 0);
  const simplest = groups.map(({ tried }) => tried[0]!);
  const promising = preference.map(everywhere).filter((one) => expected(one) <= hopeless * expected(simplest));
  const all = [simplest, groups.map(({ chosen }) => chosen), ...promising];
  const distinct = [...new Map(all.map((one) => [one.join(), one])).values()];
  const graphs = distinct.map((one) => assigned(graph, groups, one));
  const { medians, index } = await timeGraphs(graphs, shapes, options);
  const place = (form: Form): number => distinct.findIndex((one) => one.join() === everywhere(form).join());
  const times = forms.flatMap((form) => (place(form) < 0 ? [] : [[form, medians[place(form)]!]]));
  return {
    graph: graphs[index]!,
    model: { chosen: medians[index]!, ...Object.fromEntries(times) },
    winner: preference.find((form) => place(form) === index) ?? "mixture",
  };
}

function assigned(graph: Graph, groups: readonly LayerGroup[], assignment: Assignment): Graph {
  const of = new Map(groups.flatMap(({ alike }, i) => alike.map((site) => [site.output, assignment[i]!] as const)));
  return chooseForms((site) => of.get(site.output) ?? site.form)(graph).graph;
}

/** Times graphs of the same inputs, given in order of preference, until it is clear which one is to be taken. */
async function timeGraphs(
  graphs: readonly Graph[],
  shapes: ReadonlyMap<string, readonly number[]>,
  { runtime, threads, values, rounds = 15, budget = 5000, signal }: ChooseFormOptions,
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
