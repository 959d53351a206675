// A whole evaluation of a model file: quality on data, what it costs, how long it takes; with another model beside it.
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { imagePairs, labelledImages } from "../data/dataset.js";
import type { Image } from "../data/image.js";
import { firstImages, type ImageSet, parseNormalization } from "../data/image-set.js";
import { loadPair } from "../data/load-pair.js";
import type { PairFiles, Split } from "../data/sr-pairs.js";
import { openData } from "../data/table.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, TensorData } from "../graph/types.js";
import { cost } from "../ops/cost/cost.js";
import { freeSizes } from "../ops/sizes/free-sizes.js";
import { loadModel } from "../runtime/files.js";
import {
  alternate,
  findInputs,
  type ModelInputs,
  openSession,
  type RuntimeName,
  refuseUnknownRank,
  type Session,
  sampleFeeds,
  timedRun,
} from "../runtime/index.js";
import { forwardChop, selfEnsemble } from "./chop.js";
import { topOne } from "./classify.js";
import { measureSr, type SrQuality } from "./measure-sr.js";
import { withStatedRanks } from "./ports.js";
import type { Measure } from "./psnr.js";
import { describeSrModel, inputPlanes, type SrModel, superResolve } from "./sr-model.js";

export interface EvaluateOptions {
  /** `cifar10`, an archive, a folder, a file of arrays, or the name of a fetched data set: see `openData`. */
  readonly data: string;
  /** Another model, measured alike and timed in turns with this one. */
  readonly against?: string;
  /** Classifiers; by default what the model's metadata says. */
  readonly normalize?: string;
  readonly scale?: number;
  readonly range?: 1 | 255 | "auto";
  readonly measure?: Measure;
  readonly shave?: number;
  readonly split?: Split;
  /**
   * How a super-resolution network is run: on the whole image, in the authors' quarters, as the mean of eight turned
   * copies.
   */
  readonly inference?: "whole" | "chop" | "ensemble";
  /** Only the first so many images. */
  readonly limit?: number;
  /** What is stated of a model's inputs; what is free is found (see `findInputs`) and told by `chosen`. */
  readonly shapes?: (graph: Graph) => ReadonlyMap<string, readonly number[]>;
  readonly values?: (graph: Graph) => ReadonlyMap<string, TensorData>;
  readonly chosen?: (file: string, inputs: ModelInputs) => void;
  readonly threads?: number;
  readonly runtime?: RuntimeName;
  /** False: nothing is timed. */
  readonly latency?: boolean;
  readonly note?: (text: string) => void;
  readonly progress?: (label: string, total: number) => { update(done: number, extra?: string): void; stop(): void };
  readonly signal?: AbortSignal;
}

/** Metrics of one model. `psnr` and its companions for super-resolution, `top1Error` (percent) for classifiers. */
export interface ModelMetrics extends Partial<SrQuality> {
  readonly model: string;
  readonly top1Error?: number;
  readonly wrong?: number;
  readonly images: number;
  readonly weights: number;
  readonly parameters: number;
  readonly macs: number;
  /** Layers whose MACs are not in the sum: see `cost`. */
  readonly uncounted: readonly string[];
  /** Of the file and of the files with its tensors. */
  readonly bytes: number;
  /** Median milliseconds of one run at `input`; absent where nothing was timed. */
  readonly latencyMs?: number;
  /** Input shapes at which MACs are counted and time is taken. */
  readonly input: ReadonlyMap<string, readonly number[]>;
  /** True where any of these sizes was chosen here. */
  readonly guessed: boolean;
  readonly normalize?: string;
  readonly scale?: number;
  readonly range?: 1 | 255;
}

export interface Evaluation extends ModelMetrics {
  readonly against?: ModelMetrics;
}

interface Loaded {
  readonly file: string;
  readonly graph: Graph;
  readonly session: Session;
}

/** One model's metrics, and what it was run with. */
interface Measured {
  readonly metrics: ModelMetrics;
  readonly inputs: ModelInputs;
}

/**
 * Measures a model on data in ONNX Runtime.
 * @throws FilterBasisError `data-mismatch` (model and data do not fit), `usage` (a convention must be stated), and what
 * loading throws
 * @example
 * ```ts
 * import { evaluateModel } from "filterbasis";
 *
 * const { psnr, ssim, macs } = await evaluateModel("sr.onnx", { data: "photos", scale: 2, range: 255, latency: false });
 * console.log(psnr, ssim, macs);
 * ```
 */
export async function evaluateModel(file: string, options: EvaluateOptions): Promise<Evaluation> {
  const files = options.against === undefined ? [file] : [file, options.against];
  const loaded: Loaded[] = [];
  try {
    for (const path of files)
      loaded.push({ file: path, graph: await loadModel(path), session: await openSession(path, options) });
    const measured: Measured[] = [];
    for (const one of loaded) measured.push(await quality(one, options, measured[0]?.inputs));
    const medians = options.latency === false ? undefined : await time(loaded, measured, options);
    const [own, other] = measured.map(({ metrics }, i) =>
      medians ? { ...metrics, latencyMs: medians[i]! } : metrics,
    ) as [ModelMetrics, ModelMetrics?];
    return other ? { ...own, against: other } : own;
  } finally {
    for (const { session } of loaded) await session.release();
  }
}

async function quality(model: Loaded, options: EvaluateOptions, first?: ModelInputs): Promise<Measured> {
  const { file, graph } = model;
  const [stated = new Map(), values] = [options.shapes?.(graph), options.values?.(graph)];
  refuseUnknownRank(graph, stated);
  const session = withStatedRanks(model.session, graph, stated);
  const images = givesImages(session);
  checkKind(file, images, options);
  const find = (shapes: ModelInputs["shapes"]) =>
    findInputs(graph, {
      session,
      shapes: new Map([...alike(graph, first), ...shapes, ...stated]),
      ...(values && { values }),
      ...(options.signal && { signal: options.signal }),
    });
  // what a network for images is counted at does not depend on the data: where nothing is found, that is said before
  // they are gone through
  const found = images ? await find(new Map()) : undefined;
  const { metrics, shapes } = await (found ? superResolution : classification)({ ...model, session }, options);
  const inputs = found ?? (await find(shapes));
  if (inputs.chosen.length > 0) options.chosen?.(file, inputs);
  const { weights, parameters, macs, bytes, uncounted } = cost(graph, inputs.shapes);
  const counts = { weights, parameters, macs, uncounted, bytes: await fileBytes(file, bytes) };
  return { metrics: { model: file, ...metrics, ...counts, input: inputs.shapes, guessed: inputs.guessed }, inputs };
}

/** What the first model is counted and timed at, where this one takes it: two models are compared at one size. */
function alike(graph: Graph, first: ModelInputs | undefined): ReadonlyMap<string, readonly number[]> {
  if (first === undefined) return new Map();
  try {
    freeSizes(graph, first.shapes);
    return first.shapes;
  } catch {
    return new Map();
  }
}

/** Four axes are an image, unless height and width are 1: some classifiers end so. */
function givesImages({ outputs }: Session): boolean {
  const [, , height, width] = outputs[0]?.dims ?? [];
  return outputs[0]?.dims.length === 4 && !(height === 1 && width === 1);
}

const ofImages = ["scale", "range", "measure", "shave", "split", "inference"] as const;

/** @throws FilterBasisError `usage` for an option that says nothing about a network of this kind */
function checkKind(file: string, images: boolean, options: EvaluateOptions): void {
  const other = (images ? (["normalize"] as const) : ofImages).find((name) => options[name] !== undefined);
  if (other === undefined) return;
  throw new FilterBasisError("usage", `--${other} is for ${images ? "classifiers" : "super-resolution"}`, {
    file,
    got: images ? "a network that gives images" : "a network that gives scores of classes",
  });
}

interface Result {
  readonly metrics: Omit<
    ModelMetrics,
    "model" | "weights" | "parameters" | "macs" | "uncounted" | "bytes" | "input" | "guessed"
  >;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

async function classification({ file, graph, session }: Loaded, options: EvaluateOptions): Promise<Result> {
  const normalize = options.normalize ?? graph.metadata.get("filterbasis.normalize");
  if (normalize === undefined) {
    throw new FilterBasisError("usage", "the model does not say how its input is normalised", {
      file,
      expected: "--normalize cifar10, imagenet, none or m,m,m/s,s,s",
    });
  }
  const normalization = parseNormalization(normalize);
  const { note, signal } = options;
  const { test } = await labelledImages(
    await openData(options.data, { ...(note && { note }), ...(signal && { signal }) }),
  );
  if (test === undefined) throw new FilterBasisError("not-found", "there are no test images", { file: options.data });
  const set: ImageSet = firstImages(test, options.limit ?? test.count);
  const bar = options.progress?.(file, set.count);
  try {
    const { top1Error, wrong, images } = await topOne(session, set, normalization, {
      progress: (done) => bar?.update(done),
      ...(signal && { signal }),
    });
    const { name, dims } = session.inputs[0]!;
    const batch = typeof dims[0] === "number" ? dims[0] : 1;
    return {
      metrics: { top1Error, wrong, images, normalize },
      shapes: new Map([[name, [batch, 3, set.height, set.width]]]),
    };
  } finally {
    bar?.stop();
  }
}

async function superResolution({ file, graph, session }: Loaded, options: EvaluateOptions): Promise<Result> {
  const told = graph.metadata.get("filterbasis.scale");
  const scale = options.scale ?? (told === undefined ? (await describeSrModel(session, ramp)).scale : Number(told));
  const found = (await imagePairs(await openData(options.data), scale, options.split ?? "valid")).pairs;
  const pairs: readonly PairFiles[] = found.slice(0, options.limit ?? found.length);
  const { lr } = await loadPair(pairs[0]!, scale);
  const range =
    options.range ?? ({ "1": 1, "255": 255 } as const)[graph.metadata.get("filterbasis.range") ?? ""] ?? "auto";
  const sr = await describeSrModel(session, lr, { scale, range });
  if (range === "auto") options.note?.(`${file}: input and output 0..${sr.range} (found by running it)`);
  const bar = options.progress?.(file, pairs.length);
  try {
    const result = await measureSr(sr, pairs, {
      ...(options.measure && { measure: options.measure }),
      ...(options.shave !== undefined && { shave: options.shave }),
      ...(options.signal && { signal: options.signal }),
      infer: inference(options.inference),
      progress: (done, name) => bar?.update(done, name),
    });
    return { metrics: { ...result, scale, range: sr.range }, shapes: new Map() };
  } finally {
    bar?.stop();
  }
}

function inference(
  way: EvaluateOptions["inference"] = "whole",
): (sr: SrModel, lr: Image) => ReturnType<typeof superResolve> {
  const ways = {
    whole: superResolve,
    chop: (sr: SrModel, lr: Image) => forwardChop(sr, inputPlanes(sr, lr)),
    ensemble: (sr: SrModel, lr: Image) => selfEnsemble(sr, inputPlanes(sr, lr)),
  };
  return ways[way];
}

/** Something to find out a scale with. */
const ramp: Image = {
  width: 32,
  height: 32,
  channels: 3,
  data: Uint8Array.from({ length: 3072 }, (_, i) => 64 + 4 * (i % 32)),
};

/** Both models in turns, on random input of the shape at which MACs are counted. */
async function time(
  loaded: readonly Loaded[],
  measured: readonly Measured[],
  { signal, note }: EvaluateOptions,
): Promise<readonly number[]> {
  note?.("timing");
  const runs: (() => Promise<unknown>)[] = [];
  for (const [i, { session }] of loaded.entries())
    runs.push(await timedRun(session, sampleFeeds(session.inputs, measured[i]!.inputs)));
  return (await alternate(runs, { rounds: 20, warmup: 2, budget: 10_000, ...(signal && { signal }) })).medians;
}

/** The model's file, and the files beside it where its tensors take more than that. */
async function fileBytes(file: string, tensors: number): Promise<number> {
  const { size } = await stat(file);
  if (tensors <= size) return size;
  const names = (await readdir(dirname(file))).filter((name) => name.endsWith(".data"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(dirname(file), name))).size));
  return names.length === 1 ? size + sizes[0]! : size + tensors;
}
