// Which form each compressed layer is to have, by measurement: every distinct layer shape is timed in ONNX Runtime in each
// form, between two neighbours as it has them in a network, since ONNX Runtime keeps its tensors in a blocked layout from
// convolution to convolution and a reshape costs it that. Then the whole model is timed with this mixture against the same
// form everywhere, dense among them: what is returned is never slower than dense as measured.
import type { Form } from "../basis/forms.js";
import { canonicalForm, formNodes, forms } from "../basis/forms.js";
import { FilterBasisError } from "../errors/error.js";
import { elements, float32Tensor, int, ints, makeNode } from "../graph/attributes.js";
import { concreteInputs } from "../graph/cost.js";
import { freshNames } from "../graph/edit.js";
import { inferShapes } from "../graph/shapes/infer.js";
import type { Dim, Graph, TensorData } from "../graph/types.js";
import { Random } from "../linalg/random.js";
import { chooseForms, siteLabel } from "../methods/form.js";
import { attributesFromJson, readRecord, type SiteRecord } from "../methods/record.js";
import { alternate } from "./latency.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import { defaultRuntime, type RuntimeName, type Session } from "./session.js";

export interface ChooseFormOptions {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  /** Shapes that fix free axes. */
  readonly inputs?: ReadonlyMap<string, readonly Dim[]>;
  /** Rounds of alternation for a layer shape and for the whole model; each stops early after `budget` milliseconds. */
  readonly rounds?: number;
  readonly budget?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
}

export interface LayerTiming {
  /** Layers of this shape. */
  readonly layers: readonly string[];
  /** Median milliseconds in each form, with the neighbours. */
  readonly milliseconds: Readonly<Partial<Record<Form, number>>>;
  readonly chosen: Form;
}

export interface FormChoice {
  readonly graph: Graph;
  readonly layers: readonly LayerTiming[];
  /** Median milliseconds of the whole model: as chosen, and with one form everywhere. */
  readonly model: Readonly<{ chosen: number } & Record<Form, number>>;
  /** What won: the mixture of the layers' best, or one form everywhere. */
  readonly winner: "mixture" | Form;
}

/** A form other than dense must be this much faster to be taken: less is noise. */
const margin = 0.98;

/** Times and rewrites. Errors: `not-found` for a model that is not compressed, what ONNX Runtime throws, `interrupted`. */
export async function fastestForms(graph: Graph, options: ChooseFormOptions = {}): Promise<FormChoice> {
  const sites = readRecord(graph)?.sites ?? [];
  if (sites.length === 0)
    throw new FilterBasisError("not-found", "the model has no record of a compression", { field: "metadata.filterbasis" });
  const free = sites.filter((site) => !site.between);
  const concrete = concreteInputs(graph, options.inputs ?? new Map());
  const shapes = inferShapes(graph, concrete);
  const distinct = new Map<string, { dims: readonly number[]; sites: SiteRecord[] }>();
  for (const site of free) {
    const dims = inputDims(graph, site, shapes);
    const { splits, basisSize, shape, attributes, basisBias } = site;
    const key = JSON.stringify([dims, splits, basisSize, shape, attributes, basisBias !== undefined]);
    const known = distinct.get(key);
    if (known) known.sites.push(site);
    else distinct.set(key, { dims, sites: [site] });
  }
  const best = new Map<string, Form>();
  const layers: LayerTiming[] = [];
  let done = 0;
  for (const { dims, sites: alike } of distinct.values()) {
    const milliseconds = await timeLayer(alike[0]!, dims, graph.opsets.get("") ?? 17, options);
    const chosen = fastest(milliseconds);
    for (const site of alike) best.set(site.output, chosen);
    layers.push({ layers: alike.map(siteLabel), milliseconds, chosen });
    options.progress?.(++done, distinct.size + 1);
  }
  const mixture = chooseForms((site) => best.get(site.output) ?? site.form)(graph).graph;
  const uniform = forms.map((form) => chooseForms(() => form)(graph).graph);
  const graphs = [mixture, ...uniform];
  const medians = await timeModels(graphs, concrete, options);
  options.progress?.(distinct.size + 1, distinct.size + 1);
  const times = Object.fromEntries(forms.map((form, i) => [form, medians[i + 1]!])) as Record<Form, number>;
  // The mixture wins ties: it is the best of each layer. Dense wins where nothing is faster.
  const order = [0, 1, 2, 3, 4].sort((a, b) => medians[a]! - medians[b]!);
  const quickest = medians[0]! <= medians[order[0]!]! / margin ? 0 : order[0]!;
  const taken = medians[quickest]! < margin * times.dense ? quickest : forms.indexOf("dense") + 1;
  return {
    graph: graphs[taken]!,
    layers,
    model: { chosen: medians[taken]!, ...times },
    winner: taken === 0 ? "mixture" : forms[taken - 1]!,
  };
}

function fastest(milliseconds: Readonly<Partial<Record<Form, number>>>): Form {
  const dense = milliseconds.dense ?? Number.POSITIVE_INFINITY;
  let best: Form = "dense";
  for (const form of forms) {
    const time = milliseconds[form];
    if (form !== "dense" && time !== undefined && time < margin * dense && time < (milliseconds[best] ?? 0)) best = form;
  }
  return best;
}

/** The site's input at the stated size; [1, c, 32, ...] where shapes cannot be known. */
function inputDims(graph: Graph, site: SiteRecord, shapes: ReturnType<typeof inferShapes>): readonly number[] {
  const [, channels, ...kernel] = site.shape as [number, number, ...number[]];
  const fallback = [1, channels, ...kernel.map(() => 32)];
  // The output's size and the strides tell the input's: nothing else in the graph has to be looked at.
  const output = shapes.get(site.output)?.dims ?? graph.values.get(site.output)?.tensor?.dims;
  if (!output?.every((dim) => typeof dim === "number" && dim > 0)) return fallback;
  const strides = site.attributes.strides;
  const step = (axis: number): number => (Array.isArray(strides) ? (strides[axis] ?? 1) : 1);
  return [
    output[0] as number,
    channels,
    ...kernel.map((size, axis) => Math.max(size, (output[axis + 2] as number) * step(axis))),
  ];
}

async function timeLayer(
  site: SiteRecord,
  dims: readonly number[],
  opset: number,
  options: ChooseFormOptions,
): Promise<Partial<Record<Form, number>>> {
  const tried = [...new Set(forms.map((form) => canonicalForm(form, site.splits)))];
  const medians = await timeModels(
    tried.map((form) => layerGraph(site, form, dims, opset)),
    new Map([["x", dims]]),
    options,
  );
  return Object.fromEntries(tried.map((form, i) => [form, medians[i]!]));
}

async function timeModels(
  graphs: readonly Graph[],
  shapes: ReadonlyMap<string, readonly number[]>,
  options: ChooseFormOptions,
): Promise<readonly number[]> {
  const { runtime = await defaultRuntime(), threads, rounds = 15, budget = 400, signal } = options;
  const sessions: Session[] = [];
  try {
    for (const graph of graphs)
      sessions.push(await openSession(graph, { runtime, ...(threads === undefined ? {} : { threads }) }));
    const feeds = sampleFeeds(sessions[0]!.inputs, { shapes });
    const runs = sessions.map((session) => () => session.run(feeds));
    return (await alternate(runs, { rounds, warmup: 2, budget, ...(signal ? { signal } : {}) })).medians;
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** One layer between two 1 x 1 depthwise convolutions, which cost next to nothing but keep ONNX Runtime's blocked layout. */
function layerGraph(site: SiteRecord, form: Form, dims: readonly number[], opset: number): Graph {
  const { splits, basisSize, shape, basisBias } = site;
  const [outChannels, inChannels, ...kernel] = shape as [number, number, ...number[]];
  const random = new Random(1);
  const initializers = new Map<string, TensorData>();
  const constant = (name: string, size: readonly number[]): string => {
    initializers.set(
      name,
      float32Tensor(
        size,
        Float32Array.from({ length: elements(size) }, () => random.next() - 0.5),
      ),
    );
    return name;
  };
  const ones = kernel.map(() => 1);
  const neighbour = (name: string, channels: number, input: string, output: string) =>
    makeNode("Conv", [input, constant(name, [channels, 1, ...ones])], [output], {
      group: int(channels),
      kernel_shape: ints(ones),
    });
  const middle = {
    name: "site",
    input: "before",
    output: "after",
    basis: constant("B", [basisSize, inChannels / splits, ...kernel]),
    coefficients: constant("A", [outChannels, splits * basisSize, ...ones]),
    bias: constant("bias", [outChannels]),
    basisBias: basisBias === undefined ? "" : constant("basis.bias", [basisSize]),
    splits,
    basisSize,
    outChannels,
    inChannels,
    kernel,
    slice: null,
    attributes: attributesFromJson(site.attributes),
  };
  const graph: Graph = {
    name: "layer",
    nodes: [],
    initializers,
    inputs: [{ name: "x", tensor: { type: "float32", dims } }],
    outputs: [{ name: "y", tensor: { type: "float32", dims: [null, outChannels, ...kernel.map(() => null)] } }],
    values: new Map(),
    opsets: new Map([["", opset]]),
    irVersion: 8,
    metadata: new Map(),
  };
  const first = neighbour("first", inChannels, "x", "before");
  const last = [makeNode("Relu", ["after"], ["active"]), neighbour("last", outChannels, "active", "y")];
  const nodes = [first, ...formNodes(middle, form, { fresh: freshNames(graph, ["before", "after", "active"]), opset }), ...last];
  return { ...graph, nodes };
}
